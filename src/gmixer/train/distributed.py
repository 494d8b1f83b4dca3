"""One run in several processes, as torchrun starts them, or in one process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from gmixer.runtimes.torch import usable_device


@dataclass(frozen=True)
class World:
    """rank: the number of this process. size: how many there are. Only the first one writes files and messages."""

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        return self.rank == 0

    def wrapped(self, model: nn.Module) -> nn.Module:
        """The model, with gradients that are the mean over all processes."""
        if self.size == 1:
            return model
        return DistributedDataParallel(model, device_ids=[self.device.index] if self.device.type == "cuda" else None)

    def summed(self, tensor: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def gathered(self, mine: Any) -> list[Any]:
        """The objects of all processes, in the order of their ranks."""
        everyone = [mine] * self.size
        if self.size > 1:
            dist.all_gather_object(everyone, mine)
        return everyone

    def of_first(self, mine: Any) -> Any:
        """The object of the first process, in all processes."""
        box = [mine]
        if self.size > 1:
            dist.broadcast_object_list(box)
        return box[0]


def processes_here() -> int:
    """The number of the run's processes on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1))


@contextmanager
def world(device: str | None) -> Iterator[World]:
    """The processes that torchrun started together, by its environment variables; else this process alone.

    device: None takes a CUDA device for each process where there are any, else the CPU.
    Raises EngineError for a device that torch cannot use.
    """
    size, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if kind == "cuda":
        kind = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
    here = World(rank, size, usable_device(kind))
    if size == 1:
        yield here
        return
    if here.device.type == "cuda":
        torch.cuda.set_device(here.device)  # nccl gathers and broadcasts objects there
    dist.init_process_group("nccl" if here.device.type == "cuda" else "gloo")
    try:
        yield here
    finally:
        dist.destroy_process_group()
