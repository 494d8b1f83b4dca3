"""Features, logits and tokens of each instruction set have the recorded bits, at any number of threads and images."""

from __future__ import annotations

import numpy as np
import pytest

import gmixer
from net_probes import (
    BATCHES,
    ISAS,
    SMALL_MODELS,
    logits_of,
    must_run,
    network,
    network_inputs,
    of_network,
    resized_by,
)
from record import recorded

NAMES = ("embedded", *SMALL_MODELS)
RECORD = recorded("networks")


def runs_here(isa: str) -> bool:
    try:
        network("gelu", isa=isa, threads=1)
    except gmixer.EngineError:
        assert isa not in must_run(), f"this processor has {isa}, and gmixer does not run it"
        return False
    return True


@pytest.mark.parametrize("isa", sorted(must_run()))
@pytest.mark.parametrize("name", NAMES)
def test_the_network_has_the_recorded_bits(name: str, isa: str) -> None:
    assert runs_here(isa)
    for threads in (1, 2):
        for batch in BATCHES:
            if (name, isa, threads, batch) == ("embedded", "scalar", 1, 16):
                continue  # seconds, and two threads share this work below
            got = of_network(name, isa=isa, threads=threads, batch=batch)
            if isa in RECORD:
                assert got == RECORD[isa][name][str(batch)], (threads, batch)
    np.testing.assert_allclose(logits_of(name, isa=isa), RECORD["logits"][name], rtol=0, atol=1e-3)


def test_the_environment_chooses_the_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for isa in sorted(must_run()):
        monkeypatch.setenv("GMIXER_ISA", isa)
        engine = network("swiglu", isa=None, threads=1)
        assert engine.isa == isa
        assert of_network("swiglu", isa=None, threads=1, batch=3) == RECORD[isa]["swiglu"]["3"]


def test_every_recorded_instruction_set_differs() -> None:
    """Else the tests above could run one for another."""
    tokens = [RECORD[isa]["swiglu"]["16"]["tokens"] for isa in ISAS if isa in RECORD]
    assert len(tokens) >= 3
    assert len(set(tokens)) > 1


def test_the_best_instruction_set_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GMIXER_ISA", raising=False)
    best = next(isa for isa in ISAS if runs_here(isa))
    engine = network("gelu", isa=None, threads=1)
    assert engine.isa == best
    assert len(engine.forward(network_inputs("gelu")).logits) == max(BATCHES)


def test_the_resize_has_the_same_bits_on_every_instruction_set() -> None:
    tensors = {isa: resized_by(isa) for isa in sorted(must_run())}
    assert len(tensors["scalar"]) == 5
    for isa, lines in tensors.items():
        assert lines == RECORD["resized"], isa
