"""The whole walk: bytes → pixels → tensor → model → results."""

from __future__ import annotations

import gc
import io
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from timm.models import save_for_hf

import gmixer
from gmixer.config import VARIANTS
from gmixer.errors import ImageError, InputError
from gmixer.results import Result
from mixers import drawn_mixer, timm_mixer


def test_a_cat_is_named_in_the_top_five(predictor: gmixer.Predictor, photos: list[Path]) -> None:
    chelsea = next(path for path in photos if path.name == "chelsea.png")
    labels = [c.label for c in predictor.classify(chelsea)]
    assert any("cat" in label.replace(",", " ").split() for label in labels), labels


def test_answers_equal_timms_own_pipeline(predictor: gmixer.Predictor, photos: list[Path]) -> None:
    """timm's transform and timm's network with the same weights, on real photographs."""
    model = timm_mixer(predictor.model)
    model.load_state_dict({name: torch.tensor(values) for name, values in predictor.checkpoint.tensors()})
    transform = timm.data.create_transform(**predictor.data.to_timm(), is_training=False)
    for path in photos:
        x_BCHW = transform(Image.open(path).convert("RGB"))[None]
        np.testing.assert_array_equal(predictor.transform(path), x_BCHW[0].numpy())
        with torch.inference_mode():
            probability_K = model(x_BCHW).softmax(-1)[0].numpy()
            features_C = model.forward_head(model.forward_features(x_BCHW), pre_logits=True)[0].numpy()
        result = predictor.predict(path)
        assert [c.index for c in result.prediction] == np.argsort(-probability_K)[:5].tolist()
        for c in result.prediction:
            assert abs(c.probability - probability_K[c.index]) < 1e-5
        np.testing.assert_allclose(result.embedding, features_C, atol=1e-4)


def test_every_kind_of_image_gives_the_same_answer(predictor: gmixer.Predictor, photos: list[Path]) -> None:
    path = photos[0]
    with Image.open(path) as image:
        forms = [path, str(path), path.read_bytes(), image, np.array(image.convert("RGB"))]
        first, *others = (predictor.predict(form) for form in forms)
    for other in others:
        assert other.prediction == first.prediction
        np.testing.assert_array_equal(other.embedding.vectors, first.embedding.vectors)


def test_one_in_one_out_and_a_list_in_a_list_out(predictor: gmixer.Predictor, photos: list[Path]) -> None:
    assert predictor.classify(photos[0]).model == "gmixer_8_64.distill_in1k"
    assert len(predictor.classify(photos[0], k=3)) == 3
    assert [p.classes for p in predictor.classify(photos)] == [predictor.classify(path).classes for path in photos]
    assert predictor.classify(photos[:1]) == [predictor.classify(photos[0])]
    assert predictor.classify([]) == []
    assert predictor.embed(photos[0]).vectors.shape == (256,)
    assert predictor.embed(photos).vectors.shape == (len(photos), 256)
    assert predictor.embed([]).vectors.shape == (0, 256)
    assert predictor.embed(photos).vectors.dtype == np.float32
    assert predictor.transform(photos[0]).shape == (3, 64, 64)
    assert predictor.transform(photos).shape == (len(photos), 3, 64, 64)
    output = predictor.forward(predictor.transform(photos), tokens=True)
    assert output.tokens is not None and output.tokens.shape == (len(photos), 64, 256)
    np.testing.assert_array_equal(output.features, predictor.embed(photos).vectors)


def test_a_bad_picture_costs_no_other_result(predictor: gmixer.Predictor, photos: list[Path], tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(photos[0].read_bytes()[:2000])
    (tmp_path / "page.jpg").write_text("<!doctype html><title>404</title>")
    mixed = [tmp_path / "cut.png", *photos, tmp_path / "page.jpg", *photos, tmp_path / "absent.jpg"]
    results = predictor.predict(mixed, on_error="return")
    assert len(results) == len(mixed)
    kinds = [result.kind if isinstance(result, ImageError) else "" for result in results]
    good = [""] * len(photos)
    assert kinds == ["corrupt", *good, "not_image", *good, "missing"]
    clean = predictor.predict(photos)
    for result, expected in zip([r for r in results if isinstance(r, Result)], clean + clean, strict=True):
        assert result.prediction == expected.prediction
        np.testing.assert_array_equal(result.embedding.vectors, expected.embedding.vectors)
    assert str(results[-1]) == f"{tmp_path}/absent.jpg: no such file"
    with pytest.raises(ImageError, match=r"cut\.png"):
        predictor.predict(mixed)
    with pytest.raises(ImageError, match=r"absent\.jpg"):
        predictor.classify(tmp_path / "absent.jpg", on_error="return")  # type: ignore[call-overload]
    classified = predictor.classify(mixed, on_error="return")
    assert isinstance(classified[0], ImageError) and classified[1] == clean[0].prediction


def test_results_do_not_depend_on_the_company(predictor: gmixer.Predictor, photos: list[Path]) -> None:
    many = (photos * 14)[:40]  # three batches
    for path, result in zip(many, predictor.predict(many), strict=True):
        alone = predictor.predict(path)
        assert result.prediction == alone.prediction
        np.testing.assert_array_equal(result.embedding.vectors, alone.embedding.vectors)


def test_stream_is_lazy_and_keeps_order(predictor: gmixer.Predictor, photos: list[Path]) -> None:
    taken = 0

    def endless() -> Iterator[Path]:
        nonlocal taken
        while True:
            taken += 1
            yield photos[taken % len(photos)]

    stream = predictor.stream(endless())
    for i in range(1, 20):
        result = next(stream)
        assert isinstance(result, Result)
        assert result.prediction == predictor.classify(photos[i % len(photos)])
    assert taken <= 32, "a stream reads ahead by a batch, not more"


def test_memory_of_a_stream_is_flat(predictor: gmixer.Predictor, photos: list[Path], tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(photos[0].read_bytes()[:2000])
    files = [photos[0], tmp_path / "cut.png"]

    def peak_bytes(count: int) -> int:
        gc.collect()
        tracemalloc.start()
        for _ in predictor.stream(files[i % 2] for i in range(count)):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak_bytes(32)
    assert peak_bytes(320) < peak_bytes(32) + 200_000


def test_orientation_is_applied_or_ignored(photos: list[Path]) -> None:
    upright = Image.open(photos[0]).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it a quarter turn to the right
    stored = io.BytesIO()
    upright.transpose(Image.Transpose.ROTATE_90).save(stored, "png", exif=exif)
    apply, ignore = gmixer.load("gmixer_8_64"), gmixer.load("gmixer_8_64", orientation="ignore")
    np.testing.assert_array_equal(apply.transform(stored.getvalue()), apply.transform(photos[0]))
    turned = np.array(upright.transpose(Image.Transpose.ROTATE_90))
    np.testing.assert_array_equal(ignore.transform(stored.getvalue()), ignore.transform(turned))


def test_limits_are_the_callers(photos: list[Path]) -> None:
    predictor = gmixer.load("gmixer_8_64", limits=gmixer.Limits(max_pixels=1000))
    with pytest.raises(ImageError, match="the limit is 1,000") as caught:
        predictor.classify(photos[0])
    assert caught.value.kind == "too_large"


@pytest.mark.parametrize(("call", "message"), [("k=0", "k is 0"), ("k=True", "k is True"), ("k='5'", "k is '5'")])
def test_wrong_arguments(call: str, message: str, predictor: gmixer.Predictor, photos: list[Path]) -> None:
    with pytest.raises(InputError, match=message):
        eval(f"predictor.classify(photos[0], {call})")
    with pytest.raises(InputError, match="on_error is 'skip'"):
        predictor.predict(photos, on_error="skip")  # type: ignore[call-overload]


def test_own_classes_and_no_classes(tmp_path: Path, photos: list[Path]) -> None:
    names = ["rose", "tulip", "daisy"]
    model = timm.create_model("mixer_s32_224", num_classes=3)
    save_for_hf(model, tmp_path / "flowers", model_config={"label_names": names}, safe_serialization=True)
    flowers = gmixer.load(tmp_path / "flowers")
    prediction = flowers.classify(photos[0])
    assert sorted(c.label for c in prediction) == sorted(names)
    assert (prediction.model, prediction[0].synset) == ("flowers", "")

    bare = drawn_mixer(replace(VARIANTS["gmixer_8_64"].model, num_classes=0))
    save_file(bare.state_dict(), tmp_path / "backbone.safetensors")
    backbone = gmixer.load(tmp_path / "backbone.safetensors")
    assert backbone.embed(photos).vectors.shape == (len(photos), 256)
    assert len(backbone.predict(photos[0]).prediction) == 0
    with pytest.raises(InputError, match="backbone has no classes"):
        backbone.classify(photos[0])


def test_threads_and_isa_reach_the_engine() -> None:
    predictor = gmixer.load("gmixer_8_64", threads=1, isa="scalar")
    assert (predictor.engine.threads, predictor.engine.isa) == (1, "scalar")
    assert "scalar, 1 threads" in repr(predictor)
