"""teacher.py: a teacher sees the images as it was trained to see them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

import gmixer
from gmixer.catalogue import VARIANTS
from gmixer.errors import InputError, WeightsError
from gmixer.models.mixer import Mixer
from gmixer.options import WeightsSource
from gmixer.train.initial_model import InitialModel
from gmixer.train.teacher import open_teacher

CPU = torch.device("cpu")


@pytest.fixture
def student() -> InitialModel:
    config = replace(VARIANTS["gmixer_8_64"].model, blocks=1, num_classes=3)
    return InitialModel(Mixer(config), VARIANTS["gmixer_8_64"].data, "drawn", ["a", "b", "c"], new_head=True)


class Means(nn.Module):
    """The mean of each channel of what it is fed, and how that was: three "logits"."""

    def forward(self, x_BCSS: Tensor) -> Tensor:
        self.seen = x_BCSS
        return x_BCSS.mean(dim=(2, 3))


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    made = ModuleType("a_teachers_module")
    monkeypatch.setitem(sys.modules, made.__name__, made)
    return made


def test_a_torch_model_is_fed_as_its_own_config_says(student: InitialModel, module: ModuleType) -> None:
    model = Means()
    model.pretrained_cfg = {"input_size": (3, 96, 96), "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)}  # type: ignore[assignment]
    module.make = lambda: model
    answer = open_teacher("a_teachers_module:make", student, CPU)
    pixels_C = torch.tensor([0.9, 0.1, 0.4])
    mean_C, std_C = torch.tensor(student.data.mean), torch.tensor(student.data.std)
    x_BCSS = ((pixels_C - mean_C) / std_C)[None, :, None, None].expand(2, 3, 64, 64)
    logits_BK = answer(x_BCSS)
    assert model.seen.shape == (2, 3, 96, 96)
    wanted_C = (pixels_C - torch.tensor([0.5, 0.4, 0.3])) / torch.tensor([0.2, 0.3, 0.4])
    torch.testing.assert_close(logits_BK, wanted_C.expand(2, 3), atol=1e-5, rtol=0)


def test_without_a_config_it_sees_what_the_student_sees(student: InitialModel, module: ModuleType) -> None:
    module.make = Means
    x_BCSS = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(open_teacher("a_teachers_module:make", student, CPU)(x_BCSS), x_BCSS.mean(dim=(2, 3)))


@pytest.mark.parametrize(
    ("names", "refused"), [(["a", "b", "c"], False), (["a", "c", "b"], True), (["x", "y"], False), (None, False)]
)
def test_a_teacher_of_other_classes_is_refused(
    names: list[str] | None, refused: bool, student: InitialModel, module: ModuleType
) -> None:
    """As many, but others or in another order. What it does not say is trusted; two names are of an older head."""
    model = Means()
    model.pretrained_cfg = {**student.data.to_timm(), "label_names": names}  # type: ignore[assignment]
    module.make = lambda: model
    if not refused:
        assert open_teacher("a_teachers_module:make", student, CPU)
        return
    with pytest.raises(InputError, match=r"knows other classes \(a, c, b\) than the student \(a, b, c\); wanted the"):
        open_teacher("a_teachers_module:make", student, CPU)


@pytest.mark.parametrize(("ours", "theirs"), [(None, "by name"), ("by name", None)])
def test_numbers_and_names_that_are_numbers_are_compared(
    ours: str | None, theirs: str | None, student: InitialModel, module: ModuleType
) -> None:
    """Of eleven classes called by numbers, sorted as words, 10 is the third."""
    names = sorted(map(str, range(11)))
    eleven = replace(student, class_names=names if ours else None)
    eleven.model.reset_classifier(11)
    teacher = Mixer(replace(student.model.config, num_classes=11)).eval()
    teacher.pretrained_cfg = {**student.data.to_timm(), "label_names": names if theirs else None}  # type: ignore[assignment]
    module.make = lambda: teacher
    with pytest.raises(InputError, match="knows other classes"):
        open_teacher("a_teachers_module:make", eleven, CPU)
    same = replace(eleven, class_names=names if theirs else None)
    assert open_teacher("a_teachers_module:make", same, CPU)


def test_a_model_folder_answers_as_it_would_alone(student: InitialModel, tmp_path: Path) -> None:
    model = gmixer.create_model("gmixer_8_64", pretrained=True, num_classes=3).eval()
    nn.init.normal_(model.head.weight)
    folder = gmixer.save_model(model, tmp_path / "teacher", class_names=["a", "b", "c"])
    x_BCSS = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(open_teacher(str(folder), student, CPU)(x_BCSS), model(x_BCSS), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["folder", "x.pth", "x.safetensors"])
def test_files_and_folders_with_a_pickle_teach_where_pickles_are_allowed(
    name: str, student: InitialModel, tmp_path: Path
) -> None:
    model = gmixer.create_model("gmixer_8_64", pretrained=True, num_classes=3).eval()
    source = gmixer.save_model(model, tmp_path / "folder", class_names=["a", "b", "c"]) / "model.safetensors"
    if name == "x.safetensors":
        source.rename(tmp_path / name)
    else:
        torch.save(model.state_dict(), tmp_path / name if name == "x.pth" else source.with_name("pytorch_model.bin"))
        source.unlink()
        with pytest.raises(WeightsError, match=r"is a pickle, .* \(on the command line --allow-pickle\)"):
            open_teacher(str(tmp_path / name), student, CPU)
    weights = WeightsSource(allow_pickle=True, name="gmixer_24_224")  # the name is of the student's file
    x_BCSS = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        answer = open_teacher(str(tmp_path / name), student, CPU, weights)(x_BCSS)
        torch.testing.assert_close(answer, model(x_BCSS), atol=1e-4, rtol=0)
    with pytest.raises(WeightsError, match="no such file or folder; for the repository on the Hub say hf-hub:a/b"):
        open_teacher("a/b", student, CPU)


def test_who_cannot_teach_these_classes_is_refused(student: InitialModel, module: ModuleType) -> None:
    with pytest.raises(InputError, match=r"gmixer_8_64 answers with \(1, 1000\) to one image; wanted \(1, 3\)"):
        open_teacher("gmixer_8_64", student, CPU)
    with pytest.raises(InputError, match=r"no_such_module:f cannot be loaded .*wanted package\.module:function"):
        open_teacher("no_such_module:f", student, CPU)
    with pytest.raises(InputError, match="cannot be loaded"):
        open_teacher("a_teachers_module:nothing", student, CPU)
    module.make = dict
    with pytest.raises(InputError, match=r"is a dict; wanted a function that returns a torch\.nn\.Module"):
        open_teacher("a_teachers_module:make", student, CPU)
