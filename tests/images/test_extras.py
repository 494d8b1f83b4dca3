"""extras.py: formats whose package may be missing."""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gmixer
from gmixer.errors import ImageError
from gmixer.images import extras, heif
from gmixer.images.decode import decode
from gmixer.isolation.workers import Workers
from phone_files import heic, jxl

IMAGE = Image.new("RGB", (64, 64), "teal")
FILES = {"heif": heic(IMAGE), "jxl": jxl(IMAGE)}


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_spec(module: str) -> ModuleSpec | None:
        return None

    monkeypatch.setattr(extras, "find_spec", no_spec)


@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.parametrize(
    ("extra", "words"), [("heif", "is HEIC, for which gmixer needs pillow-heif"), ("jxl", "pillow-jxl-plugin")]
)
def test_the_error_names_the_extra(extra: str, words: str) -> None:
    for workers in (None, Workers()):
        with pytest.raises(ImageError) as caught:
            decode(FILES[extra], workers=workers)
        assert caught.value.kind == "unsupported" and words in caught.value.reason
        assert f"pip install 'gmixer[{extra}]'" in caught.value.reason


@pytest.mark.usefixtures("nothing_installed")
def test_other_images_keep_their_results(predictor: gmixer.Predictor, photos: list[Path]) -> None:
    answers = predictor.predict([photos[0], FILES["heif"], FILES["jxl"], photos[1]], on_error="return")
    assert [getattr(answer, "kind", "fine") for answer in answers] == ["fine", "unsupported", "unsupported", "fine"]


def test_a_package_that_cannot_be_imported_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise ImportError("libheif.so.1: cannot open shared object file")

    monkeypatch.setattr(heif, "import_module", broken)
    with pytest.raises(ImageError) as caught:
        decode(FILES["heif"])
    assert (
        caught.value.kind == "unsupported" and "pillow-heif is installed but cannot be imported" in caught.value.reason
    )


def test_both_are_read_in_archives_folders_and_data_sets(predictor: gmixer.Predictor, tmp_path: Path) -> None:
    import tarfile
    import zipfile
    from io import BytesIO

    from gmixer.datasets import open_images

    files = {"a.heic": FILES["heif"], "b.hif": FILES["heif"], "c.jxl": FILES["jxl"], "d.jpg": FILES["heif"]}
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive, tarfile.open(tmp_path / "b.tar", "w") as tar:
        for number, (name, data) in enumerate(files.items()):
            archive.writestr(name, data)
            for member, content in ((name, data), (f"{name[0]}.cls", b"%d" % (number % 2))):
                info = tarfile.TarInfo(member)
                info.size = len(content)
                tar.addfile(info, BytesIO(content))
            for folder in ("one", "two"):
                (tmp_path / "set" / folder).mkdir(parents=True, exist_ok=True)
                (tmp_path / "set" / folder / name).write_bytes(data)
    for source in (tmp_path / "b.tar", tmp_path / "set"):
        images = open_images(source)
        assert len(images.labels) == (4 if source.suffix else 8)
        for i in range(len(images.labels)):
            assert np.ptp(decode(images.read(i)).reshape(-1, 3), axis=0).max() <= 3
    answers = predictor.predict([f"{tmp_path}/{archive}::{name}" for archive in ("a.zip", "b.tar") for name in files])
    assert len(answers) == 8
