"""The model that is measured: of the table, with drawn weights, or weights that are on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from gmixer.catalogue import VARIANTS, find_model
from gmixer.config import ModelConfig
from gmixer.doctor.reference import drawn_tensors
from gmixer.weights import find_checkpoint

SEED = 0


@dataclass(frozen=True, slots=True)
class Subject:
    name: str
    config: ModelConfig
    source: str  # what gmixer.load takes, in any process, together with
    variant: str | None  # its name=
    drawn: bool
    scratch: Path  # a folder for as long as it is measured

    @property
    def weights(self) -> dict[str, str | None]:
        """Arguments of every function that measures it in a process of its own."""
        return {"source": self.source, "variant": self.variant}


@contextmanager
def subject(model: str) -> Iterator[Subject]:
    """model: a bare variant gets drawn weights (drawn_tensors); a variant with its tag, a folder or a file has its own.

    Raises UnknownModelError, WeightsError. Never touches the network.
    """
    with TemporaryDirectory(prefix="gmixer-bench-") as folder:
        scratch = Path(folder)
        if model in VARIANTS:
            config = find_model(model)[1].model
            path = scratch / "drawn.safetensors"
            _draw(config, path)
            yield Subject(model, config, str(path), model, drawn=True, scratch=scratch)
        else:
            checkpoint = find_checkpoint(model)
            yield Subject(checkpoint.name, checkpoint.model, model, None, drawn=False, scratch=scratch)


def _draw(config: ModelConfig, path: Path) -> None:
    from safetensors.numpy import save_file

    save_file(drawn_tensors(config, SEED), path)
