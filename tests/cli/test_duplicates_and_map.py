"""The commands `gmixer duplicates` and `gmixer map`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from command import call, run, run_in_terminal
from s3 import S3
from stored_rows import stamp, write_rows


@pytest.fixture
def out(tmp_path: Path) -> Path:
    rows = [
        {"path": f"photos/{name}", "vector": vector, "bytes": 1_234_567, "width": 640, "height": 480}
        for name, vector in (
            ("a.jpg", [1, 0, 0, 0]),
            ("a (1).jpg", [1, 0, 0, 0]),
            ("b\n.jpg", [1, 0.1, 0, 0]),
            ("c", [0, 1, 0, 0]),
        )
    ]
    rows.append({"path": "bad.jpg", "error_kind": "corrupt", "error_message": "it is"})
    write_rows(tmp_path / "out", stamp(), rows)
    return tmp_path / "out"


def test_duplicates_in_a_pipe(out: Path) -> None:
    finished = run("duplicates", out)
    assert finished.returncode == 0
    assert finished.stdout.splitlines() == [
        "1\tkeep\t1.0000\t640×480\t1234567\tphotos/a.jpg",
        "1\texact\t1.0000\t640×480\t1234567\tphotos/a (1).jpg",
        "1\tnear\t0.9950\t640×480\t1234567\tphotos/b\\n.jpg",
    ]
    assert finished.stderr.splitlines() == [
        "4 images; 1 group with 1 exact and 1 near copies (cosine 0.95 or more), 2.5 MB in copies. "
        "Nothing was deleted.",
        "rows without a vector, left out: 1",
    ]


def test_duplicates_in_a_terminal(out: Path) -> None:
    shown, status = run_in_terminal("duplicates", out)
    assert status == 0
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "1 keep 640×480 1.2 MB photos/a.jpg" in lines and "near 0.995 640×480 1.2 MB photos/b\\n.jpg" in lines


def test_files_and_json(out: Path, tmp_path: Path) -> None:
    finished = call(
        "duplicates", out, "--threshold", "1", "--json", "--csv", tmp_path / "a.csv", "--html", tmp_path / "a.html"
    )
    found = json.loads(finished.stdout)
    assert found["threshold"] == 1 and [len(group) for group in found["groups"]] == [2]
    assert (tmp_path / "a.csv").read_text().splitlines() == [
        "group,kind,similarity,path,bytes,width,height,label,sha256",
        "1,keep,1.0,photos/a.jpg,1234567,640,480,,",
        "1,exact,1.0,photos/a (1).jpg,1234567,640,480,,",
    ]
    assert "1 group</li>" in (tmp_path / "a.html").read_text().replace("<b>1</b>", "1")


def test_map(out: Path, tmp_path: Path) -> None:
    finished = call("map", out, "-o", tmp_path / "map.html", "--points", 3)
    said = r"map\.html: 3 points; \d+ kB; rows not taken: 1 \(--points\); rows without a vector, left out: 1"
    assert finished.returncode == 0 and re.search(said, finished.stderr)
    assert (tmp_path / "map.html").read_bytes().startswith(b"<!DOCTYPE html>")


def test_what_cannot_be_done_is_said_before_the_work(out: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for words, said in (
        (("duplicates", tmp_path / "empty"), "holds no stamp of gmixer"),
        (("duplicates", tmp_path / "absent"), "holds no stored embeddings"),
        (("map", tmp_path / "absent", "-o", tmp_path / "m.html"), "holds no stored embeddings"),
        (("duplicates", out, "--threshold", "2"), "threshold is 2.0; wanted a number above 0, at most 1"),
        (("duplicates", out, "--html", tmp_path / "a.csv"), "ends in .csv; wanted .html"),
        (("duplicates", out, "--csv", tmp_path / "a.html"), "ends in .html; wanted .csv"),
        (("map", out, "-o", tmp_path / "a.txt"), "ends in .txt; wanted .html"),
        (("map", "ftp://host/out", "-o", tmp_path / "a.html"), "is a URL that gmixer does not read; wanted one of s3"),
    ):
        finished = call(*words)
        assert finished.returncode == 2 and said in finished.stderr and finished.stdout == "", words
    finished = run("map", out, "-o", tmp_path / "no" / "a.html")
    assert finished.returncode == 2 and f"{tmp_path}/no is no folder" in finished.stderr


def test_without_copies(out: Path) -> None:
    write_rows(out, stamp(), [{"path": "a.jpg", "vector": [1, 0, 0, 0]}])
    assert call("duplicates", out).stderr == "1 image; no exact copies, and no near copies (cosine 0.95 or more)\n"


def test_stored_embeddings_on_object_storage(out: Path, s3: S3, tmp_path: Path) -> None:
    url = s3.put("out/part-000000.parquet", (out / "part-000000.parquet").read_bytes())
    options = ("--storage-options", json.dumps(s3.options))
    assert "4 images; 1 group" in call("duplicates", url, *options).stderr
    assert "4 points" in call("map", url, "-o", tmp_path / "m.html", *options).stderr
    assert "rows; 4 added" in call("index", url, "-o", tmp_path / "index", *options).stdout
    refused = call("train", url, "--knn", 1, *options)
    assert refused.returncode == 2 and "has no labels" in refused.stderr
    refused = call("duplicates", url, "--storage-options", "s3cret")
    assert refused.returncode == 2 and "--storage-options is no JSON" in refused.stderr and "s3c" not in refused.stderr
