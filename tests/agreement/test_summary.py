"""summary.py: the figures of many images."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest

from gmixer.agreement import Answers, Compared, summarise
from gmixer.agreement.summary import CLEAR_MARGIN, Changed
from gmixer.errors import ImageError, InputError
from gmixer.evaluate import Share
from gmixer.results import Class

N = 200


def answers(given: int, expected: int, margin: float, shared: float = 1, kl: float = 0, change: float = 0) -> Answers:
    of_given, of_expected = (Class(index, "", f"class {index}", 0.5) for index in (given, expected))
    return Answers(of_given, of_expected, margin, shared, kl, change)


def drawn() -> list[Compared]:
    rng = np.random.default_rng(0)
    return [
        Compared(
            1 - rng.uniform(0, 0.1),
            answers(
                int(rng.integers(0, 3)),
                0,
                rng.uniform(0, 0.2),
                shared=rng.integers(0, 6) / 5,
                kl=rng.exponential(),
                change=rng.uniform(-1, 0.5),
            ),
            None,
        )
        for _ in range(N)
    ]


def named(results: list[Compared]) -> Iterator[tuple[str, Compared | ImageError]]:
    yield from ((f"{i}.jpg", one) for i, one in enumerate(results))


def test_figures_equal_numpys() -> None:
    results = drawn()
    found = summarise(named(results))
    of = [one.answers for one in results if one.answers]
    assert found.n == N and found.answers is not None
    same = [a.given.index == 0 for a in of]
    assert found.answers.same == Share(sum(same), N)
    clear = [a.margin >= CLEAR_MARGIN for a in of]
    assert found.answers.clear == Share(sum(s for s, c in zip(same, clear, strict=True) if c), sum(clear))
    assert found.answers.clear.n not in (0, N)
    assert found.answers.shared == pytest.approx(np.mean([a.shared for a in of]))
    assert found.answers.mean_divergence == pytest.approx(np.mean([a.divergence for a in of]))
    assert found.answers.high_divergence == pytest.approx(np.percentile([a.divergence for a in of], 99))
    assert found.answers.mean_change == pytest.approx(np.mean([abs(a.change) for a in of]))
    assert found.answers.largest_change == pytest.approx(max(abs(a.change) for a in of))
    cosines = [one.cosine for one in results]
    assert found.cosines == {p: pytest.approx(np.percentile(cosines, p)) for p in (1, 5, 50)}


def test_changed_answers_are_listed_the_clearest_first() -> None:
    results = drawn()
    found = summarise(named(results))
    expected = [
        Changed(f"{i}.jpg", one.answers) for i, one in enumerate(results) if one.answers and one.answers.given.index
    ]
    assert found.answers is not None and len(found.answers.changed) > 10
    assert sorted(found.answers.changed) == sorted(expected)
    margins = [changed.answers.margin for changed in found.answers.changed]
    assert margins == sorted(margins, reverse=True)


def test_a_lead_of_exactly_the_limit_is_clear() -> None:
    found = summarise(named([Compared(1, answers(0, 0, CLEAR_MARGIN), None), Compared(1, answers(0, 0, 0.049), None)]))
    assert found.answers is not None and found.answers.clear == Share(1, 1)


def test_unreadable_images_and_notes_are_kept_and_count_apart() -> None:
    error = ImageError("empty", "is empty", "b.jpg")
    noted = drawn()[0]._replace(note="its alpha is ignored")
    found = summarise([("a.jpg", noted), ("b.jpg", error), ("c.jpg", drawn()[1])])
    assert found.n == 2 and found.unreadable == [error] and found.notes == {"a.jpg": "its alpha is ignored"}
    said = found.to_dict()
    assert said["unreadable"] == [{"path": "b.jpg", "kind": "empty", "message": "is empty"}]
    assert said["image_notes"] == [{"path": "a.jpg", "note": "its alpha is ignored"}]


def test_without_a_readable_image_there_is_no_agreement() -> None:
    error = ImageError("empty", "is empty", "b.jpg")
    with pytest.raises(InputError, match=r"no image can be read \(b.jpg: is empty; .* and 2 more\)"):
        summarise([("b.jpg", error)] * 5)
    with pytest.raises(InputError, match="no image can be read; wanted at least one image"):
        summarise([])


@pytest.mark.parametrize("margin", [0.01, 0.3])
def test_the_dictionary_is_json_without_nan(margin: float) -> None:
    found = summarise(named([Compared(0.5, answers(1, 0, margin), None)]))
    said = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert said["n"] == 1 and said["cosine"] == {"p1": 0.5, "p5": 0.5, "p50": 0.5}
    of_answers = said["answers"]
    assert of_answers["same"] == 0 and of_answers["clear_n"] == (margin > CLEAR_MARGIN)
    assert of_answers["clear_same"] == (0 if margin > CLEAR_MARGIN else None)
    (changed,) = of_answers["changed"]
    assert (changed["path"], changed["margin"]) == ("0.jpg", margin)
    assert changed["answer"]["label"] == "class 1" and changed["against"]["label"] == "class 0"


def test_a_model_without_classes_has_no_answers() -> None:
    found = summarise(named([Compared(0.9, None, None), Compared(1.0, None, None)]))
    assert found.answers is None and found.n == 2 and found.to_dict()["answers"] is None
