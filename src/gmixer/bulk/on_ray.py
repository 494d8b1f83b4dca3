"""The parts of a folder, made by the actors of a Ray cluster.

The driver walks the listing and hands each part that is to be made to an idle actor. The actor locks the part, makes it
as one process does, and writes it. The driver keeps no part: it is in Ray's store until it is made.

An actor that dies is replaced, and its part goes to another actor. If the driver dies, Ray ends its actors.
"""

from __future__ import annotations

import copy
import os
import signal
import socket
import threading
import time
import warnings
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import gmixer
from gmixer.bulk.locks import LEASE_S, PartTaken
from gmixer.bulk.output import MANIFEST, OutputFolder
from gmixer.bulk.part import Part, used_up
from gmixer.bulk.part_options import Ray
from gmixer.bulk.predict import tables_of
from gmixer.bulk.record import Record
from gmixer.bulk.stamp import Stamp
from gmixer.bulk.tally import Tally
from gmixer.data import Preprocess
from gmixer.errors import EngineError, GmixerError, InputError, require, require_torch
from gmixer.options import Native, Reading, Storage, Torch
from gmixer.predictor import Predictor
from gmixer.runtimes import Engine, Runtime
from gmixer.sources.address import is_local
from gmixer.sources.local import FileSlice, LocalFile
from gmixer.weights import Checkpoint

PATIENCE_S = 1.5 * LEASE_S  # a part that is taken may be that of a dead process, whose lease must end
PAUSE_S = 5.0  # before a part that was taken is tried again
GROW_S = 10.0  # how often the driver looks for new machines
LONELY_S = 60.0  # guessed: without an actor after this time, the user is told
FAILED_STARTS = 8  # guessed: one after the other
DEATHS = 3  # of actors with the same part; then the part is to blame


class Model(NamedTuple):
    """A Predictor, as it travels. tensors: of the network; an actor needs no file of weights."""

    checkpoint: Checkpoint
    tensors: list[tuple[str, Any]]
    runtime: Native | Torch
    reading: Reading
    isa: str | None  # of the resize

    @classmethod
    def of(cls, predictor: Predictor, *, threads: int) -> Model:
        """Raises InputError for a runtime that is the caller's own."""
        checkpoint, runtime = predictor.checkpoint, _options_of(predictor.runtime, threads=threads)
        tensors = checkpoint.native_tensors() if isinstance(runtime, Native) else checkpoint.tensors()
        # Each tensor is valid until the next is read.
        held = [(name, copy.deepcopy(values)) for name, values in tensors]
        return cls(checkpoint, held, runtime, predictor.preprocess.reading, predictor.preprocess.isa)

    def opened(self) -> Predictor:
        """Raises EngineError for an instruction set that this machine does not have."""
        model, options = self.checkpoint.model, self.runtime
        runtime: Runtime
        if isinstance(options, Native):
            precision = options.precision or "fp32"
            runtime = Engine(model, self.tensors, threads=options.threads, isa=options.isa, precision=precision)
        else:
            with require_torch("runtime='torch'"):
                from gmixer.runtimes.torch import TorchEngine
            runtime = TorchEngine(model, self.tensors, options)
        return Predictor(self.checkpoint, runtime, Preprocess(self.checkpoint.data, self.reading, isa=self.isa))


def _options_of(runtime: Runtime, *, threads: int) -> Native | Torch:
    """With the instruction set of this machine: on another one the vectors differ in their last bits."""
    if isinstance(runtime, Engine):
        return Native(precision=runtime.precision, threads=threads, isa=runtime.isa)
    with suppress(ImportError):
        from gmixer.runtimes.torch import TorchEngine

        if isinstance(runtime, TorchEngine):
            return Torch(device=runtime.device.type, precision=runtime.precision, compile=runtime.compiled)
    raise InputError(f"{runtime!r} cannot go to other machines; wanted the native or the torch runtime")


class Job(NamedTuple):
    """What every actor needs. folder: the driver's working folder, for relative paths."""

    place: str
    stamp: Stamp
    storage: Storage
    folder: str
    model: Model

    @classmethod
    def of(cls, predictor: Predictor, output: OutputFolder, storage: Storage, *, threads: int) -> Job:
        return cls(output.place, output.stamp, storage, os.getcwd(), Model.of(predictor, threads=threads))


class Maker:
    """What runs in an actor."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def begun(self) -> None:
        """Returns as soon as the actor has a place. What can fail is done in `make`, which can raise its error."""

    def make(self, part: Part, again: bool) -> Tally:
        """again: another actor may have finished it. Raises PartTaken."""
        output = self._output
        if again:
            output = self._reopened()
        with output.lock(part.number):
            if again and (tally := _finished(part, output)):
                return tally
            _check_shared(part.records)
            tally = Tally()
            parts = [used_up(part)]
            with closing(tables_of(parts, self._predictor, self._job.stamp, tally.add)) as tables:
                output.write(part, part.arranged(next(tables)))
        tally.part_made(part.kept)
        return tally

    @cached_property
    def _predictor(self) -> Predictor:
        return self._job.model.opened()

    @cached_property
    def _output(self) -> OutputFolder:
        """Raises InputError if this machine does not see the output, or has another gmixer."""
        job, here = self._job, gmixer.__version__
        if here != job.stamp.gmixer:
            raise InputError(
                f"{socket.gethostname()} has gmixer {here}; wanted {job.stamp.gmixer}, as the driver has: install it"
            )
        with suppress(OSError):  # a machine without that folder may do without it
            os.chdir(job.folder)
        if is_local(job.place) and not Path(job.place, MANIFEST).exists():
            raise _not_shared(job.place)
        return self._reopened()

    def _reopened(self) -> OutputFolder:
        return OutputFolder.open(self._job.place, self._job.stamp, self._job.storage)


def _finished(part: Part, output: OutputFolder) -> Tally | None:
    """The counts of a part that is there, whole and of the same entries."""
    record = output.finished(part.number)
    if record is None or record.fingerprint != part.fingerprint or output.damage(part.number):
        return None
    return Tally(parts=1, rows=record.rows, failed=Counter(record.failures))


def _check_shared(records: Iterable[Record]) -> None:
    """Raises InputError if this machine has none of the local files: each would be a row without a vector."""
    absent = None
    for record in records:
        if isinstance(record.content, LocalFile | FileSlice):
            path = record.content.path if isinstance(record.content, FileSlice) else record.content.key
            if record.size is None:  # the driver does not see it either
                continue
            if os.path.exists(path):
                return
            absent = absent or path
    if absent:
        raise _not_shared(absent)


def _not_shared(path: str) -> InputError:
    return InputError(
        f"{path} is not on {socket.gethostname()}, a machine of the cluster; wanted a folder that all machines share, "
        "or object storage"
    )


@dataclass(eq=False, slots=True)
class _Errand:
    """A part on its way. part: its place in Ray's store."""

    number: int
    part: Any
    again: bool = False
    deaths: int = 0
    taken_since: float | None = None
    not_before: float = 0.0


def made_on_ray(parts: Iterator[Part], job: Job, options: Ray) -> Generator[tuple[int, Tally], None, None]:
    """Number and counts of each part, when it is written, in no order.

    No more parts are in flight than there are actors. The first error of an actor ends the run: the parts in flight
    are dropped, and the finished ones stay. Close the generator to leave early.

    Raises what making a part here raises; EngineError if several actors have died with one part; MissingExtraError.
    """
    first = next(parts, None)
    if first is not None:  # otherwise no cluster is needed
        with _cluster(options) as ray, closing(_Crew(ray, job, options)) as crew:
            yield from crew.made(first, parts)


@dataclass
class _Crew:
    """The actors, and what each of them does. Only an actor that has a place in the cluster gets a part."""

    ray: Any
    job: Job
    options: Ray
    calls: dict[Any, tuple[Any, _Errand | None]] = field(default_factory=dict)  # None: the actor waits for its place
    idle: list[Any] = field(default_factory=list)
    waiting: list[_Errand] = field(default_factory=list)  # to be made again

    def __post_init__(self) -> None:
        self._job = self.ray.put(self.job)
        self._begun_s = self._grown_s = -GROW_S + time.monotonic()
        self._has_been_alone, self._failed_starts = True, 0

    def made(self, first: Part, parts: Iterator[Part]) -> Iterator[tuple[int, Tally]]:
        fresh = self._errands(first, parts)
        while True:
            self._grow()
            while self.idle and (errand := self._due() or next(fresh, None)):
                self._send(self.idle.pop(), errand)
            if not self.waiting and not any(errand for _, errand in self.calls.values()) and self.idle:
                return
            ready, _ = self.ray.wait(list(self.calls), num_returns=1, timeout=PAUSE_S) if self.calls else ([], [])
            if not self.calls:
                time.sleep(PAUSE_S)
            for call in ready:
                actor, errand = self.calls.pop(call)
                tally = self._answer(call, actor, errand)
                if errand and tally:
                    yield errand.number, tally
            self._look_around()

    def _errands(self, first: Part, rest: Iterator[Part]) -> Iterator[_Errand]:
        yield _Errand(first.number, self.ray.put(first))
        del first
        for part in rest:
            yield _Errand(part.number, self.ray.put(part))

    def _due(self) -> _Errand | None:
        now = time.monotonic()
        for errand in self.waiting:
            if errand.not_before <= now:
                self.waiting.remove(errand)
                return errand
        return None

    def _send(self, actor: Any, errand: _Errand) -> None:
        self.calls[actor.make.remote(errand.part, errand.again)] = actor, errand

    def _answer(self, call: Any, actor: Any, errand: _Errand | None) -> Tally | None:
        errors = self.ray.exceptions
        try:
            tally: Tally | None = self.ray.get(call)
        except errors.RayTaskError as error:
            if not errand or not isinstance(error.cause, PartTaken):
                _raise_cause(error)
            self.idle.append(actor)
            self._try_later(errand, error.cause)
            return None
        except errors.RayError as error:  # the actor is dead, or its machine
            self._end(actor)
            if errand:
                self._try_again(errand, error)
            else:
                self._count_failed_start(error)
            self._begin(1)
            return None
        self.idle.append(actor)
        self._has_been_alone, self._failed_starts = False, 0
        return tally

    def _try_later(self, errand: _Errand, error: PartTaken) -> None:
        now = time.monotonic()
        if errand.taken_since is None:
            errand.taken_since = now
        elif now - errand.taken_since > PATIENCE_S:
            raise error
        errand.again, errand.not_before = True, now + PAUSE_S
        self.waiting.append(errand)

    def _try_again(self, errand: _Errand, error: Exception) -> None:
        errand.deaths += 1
        if errand.deaths == DEATHS:
            raise EngineError(
                f"part {errand.number} of {self.job.place} has ended {DEATHS} actors of Ray; wanted one that makes it: "
                "if a file crashes the decoder, --isolate (isolate=True) makes it a row with its error; if memory is "
                "short, take fewer actors"
            ) from error
        errand.again = True
        self.waiting.append(errand)

    def _count_failed_start(self, error: Exception) -> None:
        self._failed_starts += 1
        if self._failed_starts == FAILED_STARTS:
            last = str(error).strip().splitlines()[-1]
            raise EngineError(
                f"{FAILED_STARTS} actors of Ray ended before they did anything; wanted machines with the same packages "
                f"as the driver: install gmixer there ({last})"
            ) from error

    def _grow(self) -> None:
        now = time.monotonic()
        if now - self._grown_s >= GROW_S:
            self._grown_s = now
            wanted = self.options.actors or max(1, self._room())
            self._begin(wanted - len(self.idle) - len(self.calls))

    def _room(self) -> int:
        """How many actors all machines hold that are there."""
        needs = self._needs()
        machines = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        return sum(min(int(machine.get(name, 0) // need) for name, need in needs.items()) for machine in machines)

    def _needs(self) -> dict[str, int]:
        """Of an actor."""
        runtime = self.job.model.runtime
        on_gpu = isinstance(runtime, Torch) and runtime.device != "cpu"
        return {"CPU": self.options.threads} | ({"GPU": 1} if on_gpu else {})

    def _begin(self, count: int) -> None:
        needs = self._needs()
        kind = self.ray.remote(Maker).options(num_cpus=needs["CPU"], num_gpus=needs.get("GPU", 0), max_restarts=0)
        for _ in range(count):
            actor = kind.remote(self._job)
            self.calls[actor.begun.remote()] = actor, None

    def _look_around(self) -> None:
        if self._has_been_alone and time.monotonic() - self._begun_s > LONELY_S:
            self._has_been_alone = False  # once is enough
            needs = ", ".join(f"{count} {name}" for name, count in self._needs().items())
            warnings.warn(f"no machine of the Ray cluster has had {needs} to spare so far; still waiting", stacklevel=2)

    def _end(self, actor: Any) -> None:
        with suppress(Exception):  # it is dead
            self.ray.kill(actor)

    def close(self) -> None:
        for actor in [*self.idle, *(actor for actor, _ in self.calls.values())]:
            self._end(actor)


def _raise_cause(error: Any) -> NoReturn:
    """What the actor raised."""
    if isinstance(error.cause, GmixerError | OSError):
        raise error.cause from error
    raise error


@contextmanager
def _cluster(options: Ray) -> Iterator[Any]:
    """The package ray, connected. A connection of the caller is used as it is.

    Raises MissingExtraError; InputError for an address where no cluster is.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # otherwise Ray warns of its own future
    with require("--on ray", "ray", ["ray"]):
        import ray
    if ray.is_initialized():
        yield ray
        return
    quiet: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with warnings.catch_warnings(action="ignore"):
            if options.address is None:
                ray.init(include_dashboard=False, **quiet)
            else:
                ray.init(options.address, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(
            f"no Ray cluster answers at {options.address or 'this machine'}: wanted the address of a running one, or "
            f"none for this machine alone ({str(error).splitlines()[0] if str(error) else type(error).__name__})"
        ) from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray sets its own
    try:
        yield ray
    finally:
        ray.shutdown()
