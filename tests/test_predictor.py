"""Predictor: images → results."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import timm
import torch
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from safetensors.torch import save_file
from timm.models import save_for_hf

import gmixer
from conftest import PHOTOS
from gmixer.catalogue import VARIANTS
from gmixer.data.preprocess import ModelInput
from gmixer.errors import ImageError, InputError
from gmixer.options import DEFAULT_READING, Precision
from gmixer.results import Result
from gmixer.runtimes import Engine, Output
from mixers import drawn_mixer, timm_mixer

BATCH = Engine.batch_hint


def test_the_names_are_those_of_the_classes(predictor: gmixer.Predictor) -> None:
    """Names in another order than the weights' would name something else."""
    coffee = predictor.classify(PHOTOS / "coffee.png")
    assert "espresso" in [c.label for c in coffee]


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


def test_rollup_comes_with_every_answer_where_asked_for(predictor: gmixer.Predictor, photos: list[Path]) -> None:
    single = [predictor.classify(photo, rollup_at=0.5) for photo in photos]
    assert all(p.rollup[-1].label == "entity" and p.rollup[0].probability >= 0.5 for p in single)
    assert predictor.classify(photos, rollup_at=0.5) == single, "the same bits alone and in a batch"
    assert [r.prediction for r in predictor.predict(photos, rollup_at=0.5)] == single
    streamed = predictor.stream([photos[0], b"", *photos[1:]], rollup_at=0.5)
    assert [r.prediction for r in streamed if isinstance(r, Result)] == single
    assert all(replace(p, rollup=()) == predictor.classify(photo) for p, photo in zip(single, photos, strict=True))


@pytest.mark.parametrize("at", [0, -0.1, 1.001, float("nan"), True, "0.5"])
def test_rollup_at_is_a_probability(predictor: gmixer.Predictor, photos: list[Path], at: Any) -> None:
    for ask in (predictor.classify, predictor.predict):
        with pytest.raises(InputError, match=f"rollup_at is {at!r}; wanted a probability above 0, at most 1"):
            ask(photos[0], rollup_at=at)


@pytest.mark.parametrize(("classes", "reason"), [(7, "'class 0', is not one of ImageNet's"), (0, "has no classes")])
def test_rollup_needs_imagenets_classes(classes: int, reason: str, photos: list[Path], tmp_path: Path) -> None:
    model = drawn_mixer(replace(VARIANTS["gmixer_8_64"].model, num_classes=classes))
    save_file(model.state_dict(), tmp_path / "own.safetensors")
    own = gmixer.load(tmp_path / "own.safetensors")
    with pytest.raises(InputError, match=reason):
        own.predict(photos[0], rollup_at=0.5)
    assert own.predict(photos[0]).prediction.rollup == ()


def test_who_does_not_roll_up_reads_no_table_for_it(photos: list[Path]) -> None:
    program = f"""
import sys
import gmixer
from gmixer.labels import imagenet as labels
gmixer.load("gmixer_8_64").classify({str(photos[0])!r})
print([name for name in sys.modules if "rollup" in name or "hypernyms" in name])
print(labels.imagenet_21k_goog.cache_info().misses + labels.imagenet_21k_miil.cache_info().misses)
"""
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert run.stdout.splitlines() == ["[]", "0"]


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


def test_a_bad_image_changes_no_other_result(predictor: gmixer.Predictor, photos: list[Path], tmp_path: Path) -> None:
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
        assert taken < i + 2 * BATCH, "a stream reads ahead by the batch it runs and the next, not more"


@pytest.mark.parametrize(
    "one", ["a.png", Path("a.png"), b"\x89PNG", bytearray(2), np.zeros((4, 4, 3), np.uint8), Image.new("RGB", (4, 4))]
)
def test_one_image_is_no_stream(one: Any, predictor: gmixer.Predictor) -> None:
    """A str is a sequence of letters, an array one of rows."""
    with pytest.raises(InputError, match=r"images is a single \w+; wanted several images: pass a list"):
        next(predictor.stream(one))
    with pytest.raises(InputError, match="images is a single"):
        next(predictor.outputs(one))


def test_a_stack_of_images_is_a_stream_and_a_folder_is_told(predictor: gmixer.Predictor, tmp_path: Path) -> None:
    assert len(list(predictor.stream(np.zeros((3, 4, 4, 3), np.uint8)))) == 3
    (error,) = predictor.stream([tmp_path])
    assert isinstance(error, ImageError) and "is a folder, not an image: pass the images in it" in error.reason


def overlapping(predictor: gmixer.Predictor) -> tuple[gmixer.Predictor, threading.Barrier]:
    """A predictor whose first batch runs only while an image of the second is decoded, else the barrier breaks.

    Its images are numbers; the first number of its features is the image's own.
    """
    together = threading.Barrier(2)
    config = predictor.model

    class Runtime:
        precision: Precision = "fp32"
        batch_hint = BATCH

        def __init__(self) -> None:
            self.config, self.batches = config, 0

        def forward(self, x_BCHW: NDArray[np.float32], *, tokens: bool = False) -> Output:
            self.batches += 1
            if self.batches == 1:
                together.wait(20)
            features_BC = np.zeros((len(x_BCHW), config.channels), np.float32)
            features_BC[:, 0] = x_BCHW[:, 0, 0, 0]
            return Output(features_BC, np.zeros((len(x_BCHW), config.num_classes), np.float32))

    def decode(number: Any) -> ModelInput:
        if number == BATCH:
            together.wait(20)
        return ModelInput(np.full((3, config.image_px, config.image_px), number, np.float32), None, (1, 1))

    preprocess = SimpleNamespace(with_note=decode, reading=DEFAULT_READING)
    return gmixer.Predictor(predictor.checkpoint, Runtime(), preprocess), together  # type: ignore[arg-type]


def test_the_next_batch_is_decoded_while_one_runs(predictor: gmixer.Predictor) -> None:
    images: list[Any] = list(range(3 * BATCH + 1))
    for ask in ("embed", "predict", "classify", "stream"):
        fake, together = overlapping(predictor)
        answers = getattr(fake, ask)(images)
        if ask == "embed":
            assert answers.vectors[:, 0].tolist() == images
        elif ask == "classify":
            assert len(answers) == len(images)
        else:
            assert [result.embedding.vectors[0] for result in answers] == images
        assert not together.broken


def test_many_threads_stream_at_once(predictor: gmixer.Predictor, photos: list[Path]) -> None:
    wanted = predictor.predict(photos)
    answers: list[list[Result | ImageError]] = []

    def stream() -> None:
        answers.append(list(predictor.stream(photos[i % len(photos)] for i in range(20))))

    threads = [threading.Thread(target=stream) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    for results in answers:
        for i, result in enumerate(results):
            assert isinstance(result, Result) and result.prediction == wanted[i % len(photos)].prediction
            np.testing.assert_array_equal(result.embedding.vectors, wanted[i % len(photos)].embedding.vectors)


def test_what_stops_a_stream_comes_after_the_results_before_it(predictor: gmixer.Predictor, photos: list[Path]) -> None:
    def breaking() -> Iterator[Path]:
        yield from photos[:1] * 20
        raise OSError("the disk is gone")

    for images, error in ((breaking(), OSError), ([*photos[:1] * 20, 7, *photos], InputError)):
        results = []
        with pytest.raises(error):
            for result in predictor.stream(images):  # type: ignore[arg-type]
                results.append(result)
        assert len(results) == 20


def test_a_stream_left_early_leaves_nothing_behind(predictor: gmixer.Predictor, photos: list[Path]) -> None:
    before = set(threading.enumerate())
    for _ in predictor.stream(photos[:1] * 100):
        break
    for thread in set(threading.enumerate()) - before:
        thread.join(20)
        assert not thread.is_alive()


def test_an_image_error_among_the_images_comes_out_as_it_is(predictor: gmixer.Predictor, photos: list[Path]) -> None:
    error = ImageError("refused", "is not for us", "image 2")
    first, second, third = predictor.stream([photos[0], error, photos[0]])
    assert second is error
    assert isinstance(first, Result) and isinstance(third, Result) and first.prediction == third.prediction


def test_one_pil_image_many_times(predictor: gmixer.Predictor, jpeg: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow reads it when its pixels are first asked for, which only one thread may do."""
    two_inside, load = threading.Barrier(2), JpegImageFile.load

    def watched(self: JpegImageFile) -> object:
        with suppress(threading.BrokenBarrierError):
            two_inside.wait(0.1)
            pytest.fail("two threads read it at once")
        return load(self)

    with Image.open(jpeg) as image:
        monkeypatch.setattr(JpegImageFile, "load", watched)
        results = predictor.predict([image] * 6)
    assert {result.prediction for result in results} == {predictor.predict(jpeg).prediction}


def test_memory_of_a_stream_is_flat(predictor: gmixer.Predictor, jpeg: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.jpg").write_bytes(jpeg.read_bytes()[:700])
    files = [jpeg, tmp_path / "cut.jpg"]

    def peak_bytes(count: int) -> int:
        gc.collect()
        tracemalloc.start()
        for _ in predictor.stream(files[i % 2] for i in range(count)):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak_bytes(32)
    slack = 1_500_000  # by which threads happen to do at once; one tensor kept for each good image would be 7 MB
    assert peak_bytes(320) < peak_bytes(32) + slack


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


def test_an_engine_of_another_model_is_refused(predictor: gmixer.Predictor, tmp_path: Path) -> None:
    other = drawn_mixer(replace(VARIANTS["gmixer_8_64"].model, num_classes=3))
    with pytest.raises(InputError, match="holds another model than gmixer_8_64"):
        gmixer.Predictor(predictor.checkpoint, gmixer.Engine.from_torch(other))
    again = gmixer.Predictor(predictor.checkpoint, predictor.runtime)
    assert again.classify(np.zeros((70, 90, 3), np.uint8)) == predictor.classify(np.zeros((70, 90, 3), np.uint8))


@pytest.fixture(scope="module")
def by_torch() -> gmixer.Predictor:
    return gmixer.load("gmixer_8_64", runtime="torch")


def test_both_runtimes_give_the_same(
    predictor: gmixer.Predictor, by_torch: gmixer.Predictor, photos: list[Path]
) -> None:
    """Logits to 1e-5 of a largest of 7.5: float32 rounds to 6e-8, which 8 blocks amplify to 2e-6 on these weights."""
    x_BCHW = by_torch.transform(photos)
    np.testing.assert_array_equal(x_BCHW, predictor.transform(photos))
    ours, natives = by_torch.forward(x_BCHW, tokens=True), predictor.forward(x_BCHW, tokens=True)
    for stage in ("logits", "features", "tokens"):
        np.testing.assert_allclose(getattr(ours, stage), getattr(natives, stage), rtol=0, atol=1e-5)
    for result, expected in zip(by_torch.predict(photos), predictor.predict(photos), strict=True):
        assert [c.index for c in result.prediction] == [c.index for c in expected.prediction]
        assert [c.label for c in result.prediction] == [c.label for c in expected.prediction]
        for c, wanted in zip(result.prediction, expected.prediction, strict=True):
            assert abs(c.probability - wanted.probability) < 1e-5
        assert result.embedding.model == expected.embedding.model
    np.testing.assert_allclose(by_torch.embed(photos), predictor.embed(photos), rtol=0, atol=1e-5)
    assert by_torch.transform([]).shape == (0, 3, 64, 64)
    assert by_torch.embed([]).vectors.shape == (0, 256)


def test_by_torch_too_a_bad_image_changes_no_other_result(
    by_torch: gmixer.Predictor, photos: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "cut.png").write_bytes(photos[0].read_bytes()[:2000])
    mixed = [tmp_path / "cut.png", *photos, tmp_path / "absent.jpg"]
    results = by_torch.predict(mixed, on_error="return")
    assert [r.kind if isinstance(r, ImageError) else "" for r in results] == ["corrupt", *[""] * len(photos), "missing"]
    assert [r.prediction for r in results[1:-1]] == by_torch.classify(photos)  # type: ignore[union-attr]
    with pytest.raises(ImageError, match=r"cut\.png"):
        by_torch.predict(mixed)
    streamed = list(by_torch.stream(iter([*photos * 6, mixed[0]])))
    assert isinstance(streamed.pop(), ImageError)
    for i, result in enumerate(streamed):
        assert isinstance(result, Result)
        alone = by_torch.classify(photos[i % len(photos)])
        # Torch chooses another order of sums for another size of batch, so not bit for bit as the native engine.
        assert [c.index for c in result.prediction] == [c.index for c in alone]
        assert abs(result.prediction[0].probability - alone[0].probability) < 1e-5
