"""log.py: tables of a run that go on where it does."""

from __future__ import annotations

from pathlib import Path

import pytest

from gmixer.train.log import Log, Progress, Validation, read_table

HEADER = "step,epoch,lr,loss,top1,images_per_s\n"


def row(step: int) -> Progress:
    return Progress(step=step, epoch=step / 4, lr=1e-4, loss=2.5, top1=0.25, images_per_s=100 / 3)


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    log = Log(tmp_path, from_step=0)
    log.write(row(1))
    log.write(Validation(step=1, epoch=0.25, loss=1.0, top1=0.5, top5=1.0, n=7))
    log.close()
    assert (tmp_path / "train.csv").read_text() == HEADER + "1,0.25,0.0001,2.5,0.25,33.3333\n"
    assert read_table(tmp_path / "val.csv") == [
        {"step": 1, "epoch": 0.25, "loss": 1.0, "top1": 0.5, "top5": 1.0, "n": 7}
    ]
    assert list((tmp_path / "tensorboard").iterdir())
    assert read_table(tmp_path / "no.csv") == []


@pytest.mark.parametrize("torn", ["", "4", "4,1,0.0001,2.5,0.25,3", "4,1,0.0001,2.5,0.25,1e"])
def test_a_run_that_goes_on_drops_what_came_after_its_checkpoint(torn: str, tmp_path: Path) -> None:
    log = Log(tmp_path, from_step=0)
    for step in (1, 2, 3):
        log.write(row(step))
    log.close()
    with (tmp_path / "train.csv").open("a") as file:
        file.write(torn)  # killed meanwhile
    assert [r["step"] for r in read_table(tmp_path / "train.csv")] == [1, 2, 3]
    log = Log(tmp_path, from_step=2)
    log.write(row(3))
    log.close()
    assert [r["step"] for r in read_table(tmp_path / "train.csv")] == [1, 2, 3]
    assert not list(tmp_path.glob(".*"))


def test_a_run_that_had_ended_is_not_measured_twice(tmp_path: Path) -> None:
    for _ in range(2):
        log = Log(tmp_path, from_step=4)
        log.write(Validation(step=4, epoch=1.0, loss=1.0, top1=0.5, top5=1.0, n=7))
        log.close()
    assert [r["step"] for r in read_table(tmp_path / "val.csv")] == [4]


def test_the_rows_that_stay_are_never_off_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(tmp_path, from_step=0)
    log.write(row(1))
    log.close()
    before = (tmp_path / "train.csv").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gmixer.files.os.replace", full)
    with pytest.raises(OSError):
        Log(tmp_path, from_step=1)
    assert (tmp_path / "train.csv").read_bytes() == before


def test_of_five_classes_nothing_is_said_of_the_first_five(tmp_path: Path) -> None:
    log = Log(tmp_path, from_step=0)
    log.write(Validation(step=3, epoch=1.0, loss=0.5, top1=0.75, top5=None, n=8))
    log.close()
    Log(tmp_path, from_step=3).close()  # as one that goes on writes it again
    assert read_table(tmp_path / "val.csv") == [{"step": 3, "epoch": 1.0, "loss": 0.5, "top1": 0.75, "n": 8}]
