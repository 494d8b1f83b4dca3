"""validate.py: a model and labelled images → its accuracy; the reference is timm's transform and torch's network."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm.data
import torch
from PIL import Image

import gmixer
from gmixer.errors import InputError
from gmixer.evaluate.metrics import Share
from gmixer.evaluate.published import Published
from gmixer.evaluate.subsets import SUBSETS
from gmixer.evaluate.validate import Compared, Validated, validate
from gmixer.labels import imagenet_1k
from mixers import write_outlier

MODEL = "gmixer_8_64.distill_in1k"
TURNED = 6  # EXIF: a quarter to the right


@pytest.fixture(scope="module")
def ignoring() -> gmixer.Predictor:
    return gmixer.load(MODEL, orientation="ignore")


@pytest.fixture(scope="module")
def folder(photos: list[Path], ignoring: gmixer.Predictor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 pieces of photos, all EXIF-turned, in folders such that about half of the top-1 answers are right."""
    rng = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("photos")
    images = [Image.open(path).convert("RGB") for path in photos]
    exif = Image.Exif()
    exif[0x0112] = TURNED
    for i in range(40):
        image = images[i % len(images)]
        side = int(rng.integers(100, min(image.size)))
        left, top = (int(rng.integers(0, length - side + 1)) for length in image.size)
        path = root / f"{i}.jpg"
        image.crop((left, top, left + side, top + side - 30)).save(path, quality=85, exif=exif)
        index = ignoring.classify(path, k=9)[int(rng.choice([0, 0, 3, 8]))].index
        (root / imagenet_1k()[index].synset).mkdir(exist_ok=True)
        path.rename(root / imagenet_1k()[index].synset / path.name)
    return root


@pytest.fixture(scope="module")
def validated(ignoring: gmixer.Predictor, folder: Path) -> Validated:
    return validate(ignoring, folder)


def test_equals_timms_transform_and_torchs_network(validated: Validated, folder: Path) -> None:
    model = gmixer.create_model(MODEL, pretrained=True).eval()
    transform = timm.data.create_transform(**gmixer.data.resolve_model_data_config(model), is_training=False)
    index = {label.synset: label.index for label in imagenet_1k()}
    paths = sorted(folder.glob("*/*.jpg"), key=lambda path: (path.parent.name, path.name))
    labels = torch.tensor([index[path.parent.name] for path in paths])
    with torch.inference_mode():
        logits = model(torch.stack([transform(Image.open(path).convert("RGB")) for path in paths]))
    best = logits.topk(5).indices
    assert [validated.images.name(int(i)) for i in validated.outcomes.image] == [str(path) for path in paths]
    assert validated.outcomes.best.tolist() == best.tolist()
    assert validated.top1 == Share(int((best[:, 0] == labels).sum()), 40)
    assert validated.top5 == Share(int((best == labels[:, None]).any(1).sum()), 40)
    assert 5 < validated.top1.correct < validated.top5.correct < 40, "else it shows little"


def test_orientation_makes_a_difference_and_is_said(validated: Validated, folder: Path) -> None:
    applied = validate(gmixer.load(MODEL), folder)
    assert applied.outcomes.best.tolist() != validated.outcomes.best.tolist()
    assert "orientation ignored" in validated.pipeline and "turned as EXIF says" in applied.pipeline


def test_the_pipeline_is_told(validated: Validated) -> None:
    from PIL import __version__ as pillow

    for words in ("bicubic to 72 px", "center crop of 64", "mean 0.485 0.456 0.406", "std 0.229", f"pillow {pillow}"):
        assert words in validated.pipeline
    assert f"gmixer {gmixer.__version__}" in validated.pipeline


def test_torch_gives_the_same_top_five(validated: Validated, folder: Path) -> None:
    other = validate(gmixer.load(MODEL, runtime="torch", orientation="ignore"), folder)
    assert other.outcomes.best.tolist() == validated.outcomes.best.tolist()
    assert (other.top1, other.top5, other.classes) == (validated.top1, validated.top5, validated.classes)


def test_against_another_precision_the_difference_is_paired(
    validated: Validated, folder: Path, ignoring: gmixer.Predictor, tmp_path: Path
) -> None:
    outlier = write_outlier(ignoring.checkpoint, tmp_path / "outlier.safetensors")
    int8 = gmixer.load(outlier, precision="int8", orientation="ignore")
    fp32 = gmixer.load(MODEL)  # which would turn the images: but both get the same tensors
    found = validate(int8, folder, against=fp32)
    assert found.against is not None and found.against.top1 == validated.top1
    assert found.top1.correct < validated.top1.correct - 5, "else it shows little"
    assert found.against.difference == pytest.approx(found.top1.value - validated.top1.value)
    assert (found.against.precision, found.against.model) == ("fp32", MODEL)
    alone = validate(int8, folder)
    assert alone.against is None and alone.outcomes.best.tolist() == found.outcomes.best.tolist()
    said = json.loads(json.dumps(found.to_dict()))
    assert said["against"]["top1"] == validated.top1.value
    assert {name: value for name, value in said.items() if name != "against"} == json.loads(json.dumps(alone.to_dict()))


def test_against_a_model_with_another_transform_is_refused(ignoring: gmixer.Predictor, folder: Path) -> None:
    with pytest.raises(InputError, match="different network"):
        validate(ignoring, folder, against=gmixer.load(MODEL, image_px=96))


def test_an_image_that_cannot_be_read_does_not_count(
    validated: Validated, ignoring: gmixer.Predictor, folder: Path
) -> None:
    lost = sorted(folder.glob("*/*.jpg"))[7]
    before = lost.read_bytes()
    lost.write_bytes(before[:300])
    try:
        found = validate(ignoring, folder)
    finally:
        lost.write_bytes(before)
    assert [error.source for error in found.unreadable] == [str(lost)]
    assert found.top1.n == 39 and validated.top1.correct - 1 <= found.top1.correct <= validated.top1.correct
    assert [row["path"] for row in found.to_dict()["unreadable"]] == [str(lost)]


def test_subsets_take_answers_from_their_classes_alone(
    ignoring: gmixer.Predictor, photos: list[Path], tmp_path: Path
) -> None:
    synset = imagenet_1k()[int(SUBSETS["r"][0])].synset
    other = imagenet_1k()[int(SUBSETS["r"][1])].synset
    for name in (synset, other):
        (tmp_path / name).mkdir()
        for photo in photos:
            (tmp_path / name / photo.name).write_bytes(photo.read_bytes())
    plain, restricted = validate(ignoring, tmp_path), validate(ignoring, tmp_path, "r")
    allowed = set(SUBSETS["r"].tolist())
    assert not set(plain.outcomes.best.ravel().tolist()) <= allowed
    assert set(restricted.outcomes.best.ravel().tolist()) <= allowed
    assert (restricted.outcomes.rank <= plain.outcomes.rank).all()


def test_real_labels_make_several_answers_right(ignoring: gmixer.Predictor, photos: list[Path], tmp_path: Path) -> None:
    for i, synset in enumerate(("n01440764", "n01443537"), start=1):
        (tmp_path / "val" / synset).mkdir(parents=True)
        (tmp_path / "val" / synset / f"ILSVRC2012_val_0000000{i}.JPEG").write_bytes(photos[i].read_bytes())
    second = ignoring.classify(photos[1], k=2)[1].index
    (tmp_path / "real.json").write_text(json.dumps([[0, second], []]))
    found = validate(ignoring, tmp_path / "val", "real", real_labels=tmp_path / "real.json")
    assert (found.top1, found.top5, found.uncounted) == (Share(0, 1), Share(1, 1), 1)
    assert found.outcomes.label.tolist() == [second] and found.outcomes.rank.tolist() == [1]


def test_progress_is_told_to_the_end(ignoring: gmixer.Predictor, folder: Path) -> None:
    told: list[tuple[int, int]] = []
    validate(ignoring, folder, on_progress=lambda done, total: told.append((done, total)))
    assert told == [(16, 40), (32, 40), (40, 40)]


@pytest.mark.parametrize(("right", "inside"), [(39024, True), (39400, False), (38600, False)])
def test_a_published_figure_lies_inside_the_interval_or_not(right: int, inside: bool) -> None:
    compared = Compared("top-1", Share(right, 50_000), 0.78048)
    assert compared.inside is inside
    assert compared.difference == pytest.approx(right / 50_000 - 0.78048)


def test_published_figures_stand_beside_where_there_are_some(validated: Validated) -> None:
    assert validated.published is None and validated.compared() == []
    beside = replace(validated, published=Published(50.0, 80.0)).to_dict()["published"]
    assert [row["what"] for row in beside] == ["top-1", "top-5"]
    assert beside[0]["difference"] == pytest.approx(validated.top1.value - 0.5)
    assert [c.what for c in replace(validated, published=Published(50.0)).compared()] == ["top-1"]


def test_a_folder_called_like_a_published_model_has_none_of_its_figures(
    ignoring: gmixer.Predictor, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "gmixer.evaluate.validate.published", lambda model, of: Published(50.0) if model == MODEL else None
    )
    namesake = gmixer.load(gmixer.save_model(gmixer.create_model(MODEL, pretrained=True), tmp_path / MODEL))
    assert namesake.name == ignoring.name
    assert validate(ignoring, folder, "v2").published == Published(50.0)
    assert validate(namesake, folder, "v2").published is None


def test_the_dictionary_is_json(validated: Validated) -> None:
    said = json.loads(json.dumps(validated.to_dict()))
    assert said["n"] == 40 and said["top1"] == validated.top1.value
    assert said["top1_interval"][0] <= said["top1"] <= said["top1_interval"][1]
    assert sum(row["n"] for row in said["classes"]) == 40


def test_models_without_classes_are_refused(folder: Path, tmp_path: Path) -> None:
    model = gmixer.create_model("gmixer_8_64", num_classes=0)
    gmixer.save_model(model, tmp_path / "m")
    with pytest.raises(InputError, match="no classes"):
        validate(gmixer.load(tmp_path / "m"), folder)
