"""shards.py: WebDataset's tars."""

from __future__ import annotations

import json
import pickle
import re
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from gmixer.datasets import UNKNOWN, open_images, open_split
from gmixer.errors import ImageError, InputError
from labelled import Members, image, samples, shard


def test_samples_of_several_shards_in_order(tmp_path: Path) -> None:
    for start in (0, 7, 14):
        shard(tmp_path / f"a-{start:03}.tar", samples(range(start, start + 7)))
    images = open_images(tmp_path)
    assert images.labels.tolist() == [n % 3 for n in range(21)]
    for copy in (images, pickle.loads(pickle.dumps(images))):
        assert [copy.read(n) for n in reversed(range(21))] == [image(n) for n in reversed(range(21))]
    assert images.name(8) == f"{tmp_path}/a-007.tar::008.png"
    assert images.notes == ()


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        ([("cls", b"4\n"), ("cls", b"2")], None, [4, 2]),
        ([("txt", b"dog"), ("txt", b"cat\n")], ("cat", "dog"), [1, 0]),
        ([("json", b'{"label": 4, "w": 3}'), ("json", b'{"label": 0}')], None, [4, 0]),
        ([("json", b'{"label": "dog"}'), ("json", b'{"label": "cat"}')], ("cat", "dog"), [1, 0]),
        ([("CLS", b"4"), ("json", json.dumps({"x": "y" * 2000, "label": 3}).encode())], None, [4, 3]),
    ],
)
def test_labels_of_every_kind(
    labels: list[tuple[str, bytes]], classes: tuple[str, ...] | None, expected: list[int], tmp_path: Path
) -> None:
    members: Members = []
    for i, (end, data) in enumerate(labels):
        members += [(f"x/{i}.{end}", data), (f"x/{i}.jpg", image(i))]
    images = open_images(shard(tmp_path / "a.tar", members))
    assert images.classes == classes
    assert images.labels.tolist() == expected


def test_members_of_a_sample_need_not_stand_together(tmp_path: Path) -> None:
    members = samples(range(9))
    images = open_images(shard(tmp_path / "a.tar", members[::2] + members[1::2][::-1]))
    assert images.labels.tolist() == [n % 3 for n in range(9)]
    assert images.read(4) == image(4)


def test_samples_that_say_too_much_or_too_little_are_reported(tmp_path: Path) -> None:
    members = [
        *samples(range(2)),
        ("two.png", image(5)),
        ("two.seg.png", image(6)),
        ("two.cls", b"1"),
        ("none.cls", b"1"),
        ("mute.png", image(7)),
        ("odd.png", image(8)),
        ("odd.json", b'{"label": '),
        ("deep.png", image(10)),
        ("deep.json", b"[" * 100_000),
        ("null.png", image(9)),
        ("null.json", b'{"label": null}'),
        ("bad.jpg", b"no image"),
        ("bad.cls", b"1"),
    ]
    images = open_images(shard(tmp_path / "a.tar", members))
    assert [Path(images.name(i)).name for i in range(len(images))] == [
        "a.tar::000.png",
        "a.tar::001.png",
        "a.tar::mute.png",
        "a.tar::odd.png",
        "a.tar::deep.png",
        "a.tar::null.png",
        "a.tar::bad.jpg",
    ]
    assert images.labels.tolist() == [0, 1, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, 1]
    assert images.read(6) == b"no image"
    said = " ".join(images.notes)
    for words in ("1 sample holds more than one", "::two", "1 sample holds no image", "::none", "::mute", "::odd"):
        assert words in said


def test_the_folders_of_the_tars_tell_the_split(tmp_path: Path) -> None:
    for i, split in enumerate(("Training", "Testing", "pred")):
        (tmp_path / split).mkdir()
        shard(tmp_path / split / "0.tar", samples(range(10 * i, 10 * i + 10)))
    for source in (tmp_path, f"{tmp_path}/*/*.tar"):
        split = open_split(source)
        assert not split.is_drawn and (split.train.read(0), split.val.read(0)) == (image(0), image(10))
        assert any("left out" in note and "pred" in note for note in split.train.notes)
    assert len(open_images(f"{tmp_path}/pred/*.tar")) == 10


def test_the_folders_inside_a_tar_tell_the_split(tmp_path: Path) -> None:
    inside = {"x/train_1": range(9), "x/test": range(9, 12), "x/pred": range(12, 13)}
    members = [(f"{folder}/{name}", data) for folder, numbers in inside.items() for name, data in samples(numbers)]
    split = open_split(shard(tmp_path / "a.tar", members))
    assert not split.is_drawn and (len(split.train), len(split.val)) == (9, 3)
    assert any("x/pred/012.png" in note for note in split.val.notes)
    classes = [(f"{folder}/{name}", data) for folder in ("train", "bus") for name, data in samples(range(3))]
    assert len(open_images(shard(tmp_path / "b.tar", classes))) == 6


def test_files_are_parts_by_their_names_and_series_are_spelt_with_braces(tmp_path: Path) -> None:
    for i in range(3):
        shard(tmp_path / f"train-{i:02}.tar", samples(range(10 * i, 10 * i + 10)))
    shard(tmp_path / "val-00.tar", samples(range(30, 35)))
    split = open_split(tmp_path)
    assert not split.is_drawn and (len(split.train), len(split.val)) == (30, 5)
    some = open_images(f"{tmp_path}/train-{{01..02}}.tar")
    assert [some.read(i) for i in (0, 19)] == [image(10), image(29)]
    with pytest.raises(InputError, match=r"train-03\.tar: no such file"):
        open_images(f"{tmp_path}/train-{{01..03}}.tar")


def test_a_name_that_occurs_twice(tmp_path: Path) -> None:
    file = shard(tmp_path / "a.tar", [*samples(range(3)), ("./001.cls", b"2")])
    with pytest.raises(InputError, match=r"a\.tar holds 001\.cls twice"):
        open_images(file)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_link(kind: bytes, tmp_path: Path) -> None:
    file = shard(tmp_path / "a.tar", samples(range(3)))
    with tarfile.open(file, "a") as tar:
        link = tarfile.TarInfo("009.png")
        link.type, link.linkname = kind, "000.png"
        tar.addfile(link)
    with pytest.raises(InputError, match=r"a\.tar::009\.png: is a link"):
        open_images(file)


@pytest.mark.parametrize("cut", [1_200, 2_000, 2_048, 3_000])
def test_a_tar_cut_short(cut: int, tmp_path: Path) -> None:
    shard(tmp_path / "a.tar", samples(range(3)))
    file = shard(tmp_path / "b.tar", samples(range(3, 6)))
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"b\.tar"):
        open_images(tmp_path)


def test_a_damaged_header(tmp_path: Path) -> None:
    file = shard(tmp_path / "a.tar", samples(range(3)))
    data = bytearray(file.read_bytes())
    data[2 * 1024 + 150] ^= 1
    file.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.tar.*damaged"):
        open_images(file)


def test_a_packed_tar_cannot_be_read_at_random(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="packed"):
        open_images(shard(tmp_path / "a.tar.gz", samples(range(3)), "w:gz"))


def test_a_tar_that_shrank_after_it_was_opened(tmp_path: Path) -> None:
    file = shard(tmp_path / "a.tar", samples(range(3)))
    images = open_images(file)
    file.write_bytes(file.read_bytes()[:1_000])
    assert images.read(0) == image(0)
    with pytest.raises(ImageError) as error:
        images.read(2)
    assert error.value.kind == "corrupt"


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([(f"{c}/{i}.png", image(i)) for c in ("cat", "dog") for i in range(2)], "folders (cat, dog) are no classes"),
        ([m for i in range(2) for m in ((f"{i}.png", image(i)), (f"{i}.json", b'{"class": 1}'))], "the key label"),
    ],
)
def test_why_there_are_no_labels(members: Members, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        open_split(shard(tmp_path / "a.tar", members))
    assert said in str(error.value)


def test_numbers_and_names_do_not_mix(tmp_path: Path) -> None:
    members = [("0.png", image(0)), ("0.json", b'{"label": 1}'), ("1.png", image(1)), ("1.txt", b"dog")]
    with pytest.raises(InputError, match=r"numbers \(1\) and names \(dog\)"):
        open_images(shard(tmp_path / "a.tar", members))


def dotted(stems: Sequence[str], ends: Sequence[str] = ("png", "cls")) -> Members:
    return [
        (f"{stem}.{end}", image(i) if end == "png" else b"%d" % (i % 2)) for i, stem in enumerate(stems) for end in ends
    ]


@pytest.mark.parametrize(
    "stems",
    [
        ["2024.05.01", "2024.05.02", "2024.06.01"],
        ["photo.v2", "image.v2", "scan"],
        ["a.b/x.left", "a.b/x.right"],
        ["{000..001}", "v1.0 beta"],
    ],
)
@pytest.mark.parametrize("ends", [("png", "cls"), ("json", "png", "cls", "txt")])
def test_names_with_dots_end_at_the_last_dot_where_that_gives_pairs(
    stems: list[str], ends: tuple[str, ...], tmp_path: Path
) -> None:
    shard(tmp_path / "a.tar", dotted(stems, ends))
    shard(tmp_path / "b.tar", samples(range(3)))
    images = open_images(tmp_path)
    assert len(images) == len(stems) + 3 and UNKNOWN not in images.labels
    assert [images.read(i) for i in range(len(stems))] == [image(i) for i in range(len(stems))]
    assert images.notes == (f"1 tar has dots in the names of samples, so these end at the last dot ({tmp_path}/a.tar)",)


@pytest.mark.parametrize(
    "more", [[("2024.05.03.png", image(9))], [("2024.05.03.cls", b"1")], [("2024.05.02.seg.png", image(9))]]
)
def test_the_rule_of_the_first_dot_is_named_where_no_rule_fits(more: Members, tmp_path: Path) -> None:
    members = [*dotted(["2024.05.01", "2024.05.02"]), *more]
    rule = r"a sample's name ends at its first dot, so 2024\.05\.01\.png belongs to the sample 2024"
    with pytest.raises(InputError, match=f"no samples with one image: {rule}; wanted"):
        open_images(shard(tmp_path / "a.tar", members))
    images = open_images(shard(tmp_path / "a.tar", [*members, *samples(range(3))]))
    assert len(images) == 3 and re.search(rule, images.notes[-1])


def test_several_ends_of_one_sample_stay_one_sample(tmp_path: Path) -> None:
    members: Members = []
    for i in range(3):
        members += [(f"{i}.png", image(i)), (f"{i}.cls", b"%d" % i), (f"{i}.seg.bin", b"x"), (f"{i}.caption.txt", b"y")]
    images = open_images(shard(tmp_path / "a.tar", members))
    assert images.labels.tolist() == [0, 1, 2] and images.notes == ()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_labels_in_the_encodings_of_windows(encoding: str, tmp_path: Path) -> None:
    members: Members = []
    for i, label in enumerate(("Dörrobst", "犬")):
        data = json.dumps({"label": label}, ensure_ascii=False) if i else f"{label}\r\n"
        members += [(f"a\\{i}.png", image(i)), (f"a\\{i}.{'json' if i else 'cls'}", data.encode(encoding))]
    images = open_images(shard(tmp_path / "a.tar", members))
    assert images.classes == ("Dörrobst", "犬") and images.labels.tolist() == [0, 1]
    assert images.name(1).endswith("a.tar::a/1.png")
