"""patterns.py: what stands for files, and what is a name."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import datasets
from gmixer.datasets import open_images
from gmixer.datasets.patterns import expanded
from gmixer.errors import InputError
from labelled import folders, image, samples, shard, write

NAMES = [
    "set [2024]",
    "100% a?b#c",
    "{000..001}",
    "{a,b}",
    "~",
    "$HOME",
    "ab::c",
    "-x",
    " lead, trail ",
    "hf:org",
    "s3:x",
    "*",
    "[!a]",
    "a\\b",
    "label=3",
    "_x",
    "line\nbreak",
    "'\"",
    "bold [red]x",
]


def test_patterns_stand_for_files_in_order(tmp_path: Path) -> None:
    names = [f"{a}-{i:02}.tar" for a in (1, 2) for i in (8, 9, 10)]
    write(tmp_path, dict.fromkeys(names, b"x"))
    assert expanded(f"{tmp_path}/{{1..2}}-{{08..10}}.tar") == [f"{tmp_path}/{name}" for name in names]
    assert expanded(f"{tmp_path}/1-*.tar") == [f"{tmp_path}/{name}" for name in names[:3]]
    assert expanded(f"{tmp_path}/[2]-{{09..10}}.tar") == [f"{tmp_path}/{name}" for name in names[4:]]
    assert f"{tmp_path}/../{tmp_path.name}/1-08.tar" in expanded(f"{tmp_path}/../*/1-08.t?r")
    for series in ("{000000000..999999999}", "{0..9}{0..99}/{0..9999}", "{3..1}"):
        with pytest.raises(InputError, match=r"matches .* files; wanted 1 to 1,000,000"):
            expanded(f"{series}.tar")
    assert expanded(f"{{0..{'9' * 5000}}}.tar") == [f"{{0..{'9' * 5000}}}.tar"]


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_exists_is_no_pattern(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside folders that the name would match as a pattern."""
    for folder in (name, "set 2", "000", "001", "b", "xbc"):
        for i in range(2):
            (tmp_path / folder).mkdir(exist_ok=True)
            shard(tmp_path / folder / f"train-{i:03}.tar", samples(range(3 * i, 3 * i + 3)))
    monkeypatch.chdir(tmp_path)
    for root in ("", f"{tmp_path}/"):
        for pattern in ("train-{000..001}.tar", "train-*.tar", "train-00[01].tar", "train-{000..001}.t?r"):
            images = open_images(f"{root}{name}/{pattern}")
            assert len(images) == 6
            assert {images.name(i).partition("/train-")[0] for i in range(6)} == {f"{root}{name}"}
    (tmp_path / "outer" / name).mkdir(parents=True)
    assert expanded(f"oute[r]/{name}") == [f"outer/{name}"]


@pytest.mark.parametrize("name", NAMES)
def test_every_format_is_read_under_every_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    root = tmp_path / name
    folders(root / "folder", {name: 1, "z": 1})
    shard(
        root / f"{name}.tar", [(f"{name}1.png", image(0)), (f"{name}1.cls", b"a"), ("2.png", image(1)), ("2.cls", b"b")]
    )
    write(root, {f"in {name}.png": image(0), "1.png": image(1)})
    paths = [f"in {name}.png", "1.png"]
    quoted = paths[0].replace('"', '""')
    (root / f"{name}.csv").write_text(f'path,label\n"{quoted}",a\n1.png,b\n', newline="")
    pq.write_table(pa.table({"path": paths, "label": ["a", "b"]}), str(root / "paths.parquet"))
    with open(root / f"{name}.parquet", "wb") as out:
        pq.write_table(pa.table({"image": [image(0), image(1)], "label": ["a", "b"]}), out)
    features = datasets.Features({"image": datasets.Value("binary"), "label": datasets.Value("int64")})
    rows = datasets.Dataset.from_dict({"image": [image(0), image(1)], "label": [0, 1]}, features=features)
    rows.save_to_disk(tmp_path / "saved")
    (tmp_path / "saved").rename(root / "saved")
    for source in ("folder", f"{name}.tar", f"{name}.csv", "paths.parquet", f"{name}.parquet", "saved"):
        if "::" in name and source == "saved":
            with pytest.raises(InputError, match="has :: in its name"):
                open_images(f"{name}/{source}")
            continue
        images = open_images(f"{name}/{source}")
        assert (source, sorted(images.read(i) for i in range(2))) == (source, sorted([image(0), image(1)]))


def test_a_pattern_of_folders_says_so(tmp_path: Path) -> None:
    folders(tmp_path / "data", {"a": 1, "b": 1})
    with pytest.raises(InputError, match=r"d\*: matches the folder .*/data, but no file"):
        open_images(f"{tmp_path}/d*")
