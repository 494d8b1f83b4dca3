"""Sums over the hierarchy against sums written out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gmixer.errors import InputError
from gmixer.labels import hypernyms, imagenet_1k, labels_for
from gmixer.labels.hypernyms import ancestors_of, depth_of, name_of
from gmixer.results import top_k
from gmixer.results.rollup import RollUp

LABELS = imagenet_1k()
ROLLUP = RollUp(LABELS)
ABOVE_K = [ancestors_of(label.synset) for label in LABELS]
DOG, ANIMAL = "n02084071", "n00015388"
BREEDS = [label.index for label, above in zip(LABELS, ABOVE_K, strict=True) if DOG in above]
TINY = 1e-300  # every ancestor has some probability: at this one all are listed


def drawn(seed: int, classes: int = 1000) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.full(classes, 0.02))


def over(*classes: int, total: float = 1.0) -> np.ndarray:
    """That probability in equal parts on these, what is left on all others."""
    probability_K = np.full(1000, (1 - total) / max(1, 1000 - len(classes)))
    probability_K[list(classes)] = total / len(classes)
    return probability_K


@pytest.mark.parametrize("seed", range(5))
def test_equal_to_sums_written_out(seed):
    probability_K = drawn(seed)
    want = {
        ancestor: math.fsum(p for p, above in zip(probability_K, ABOVE_K, strict=True) if ancestor in above)
        for ancestor in set().union(*ABOVE_K)
    }
    got = ROLLUP.above(probability_K, at=0.1)
    assert {ancestor.synset: ancestor.probability for ancestor in got} == pytest.approx(
        {ancestor: total for ancestor, total in want.items() if total >= 0.1}, rel=1e-12
    )
    assert all(ancestor.label == name_of(ancestor.synset) for ancestor in got)


@pytest.mark.parametrize("seed", range(5))
def test_order_is_depth_then_probability_then_name(seed):
    got = ROLLUP.above(drawn(seed), at=0.01)
    keys = [(-depth_of(a.synset), -a.probability, a.label) for a in got]
    assert len(got) > 20 and keys == sorted(keys)
    assert (got[-1].label, got[-1].probability) == ("entity", 1.0)


def test_order_of_the_equally_deep_and_probable_is_by_name():
    """All the probability on one class: everything above it has 1. 300 classes have two such of one depth or more."""
    for k in range(1000):
        got = ROLLUP.above(over(k), at=0.5)
        keys = [(-depth_of(a.synset), a.label) for a in got]
        assert keys == sorted(keys) and {a.probability for a in got} == {1.0}


@pytest.mark.parametrize("seed", range(20))
def test_none_exceeds_what_is_above_it_to_the_last_bit(seed):
    """Half of the classes without probability: where they add nothing, order alone could make a difference."""
    rng = np.random.default_rng(seed)
    probability_K = rng.dirichlet(np.ones(1000)) * (rng.random(1000) < 0.5)
    total = {a.synset: a.probability for a in ROLLUP.above(probability_K / probability_K.sum(), at=TINY)}
    assert len(total) > 500 and max(total.values()) == 1
    assert all(total[below] <= total[above] for below in total for above in hypernyms._rows()[below][0])


def test_a_mutt_is_a_dog_though_no_breed_wins():
    got = ROLLUP.above(over(*BREEDS, total=0.93), at=0.9)
    assert (got[0].synset, got[0].label) == (DOG, "dog") and got[0].probability == pytest.approx(0.93)
    assert [a.label for a in got[1:4]] == ["canine", "carnivore", "placental"]
    assert ROLLUP.above(over(*BREEDS, total=0.93), at=0.95)[0].label != "dog"


def test_a_class_counts_once_although_two_ways_lead_up():
    """A breed is an animal as a canine and as a domestic animal, a goldfish in one way only."""
    got = {a.synset: a.probability for a in ROLLUP.above(over(BREEDS[0], 1), at=0.1)}
    assert got[DOG] == 0.5 and got[ANIMAL] == 1


def test_a_class_with_nothing_below_it_is_not_listed():
    tabby = LABELS[281]
    got = ROLLUP.above(over(281), at=0.5)
    assert {a.synset for a in got} == ancestors_of(tabby.synset) and {a.probability for a in got} == {1.0}


def test_reached_means_at_least():
    half = over(BREEDS[0], 1)
    assert "dog" in [a.label for a in ROLLUP.above(half, at=0.5)]
    assert "dog" not in [a.label for a in ROLLUP.above(half, at=np.nextafter(0.5, 1))]
    assert {a.label for a in ROLLUP.above(half, at=1)} >= {"animal", "entity"}


@pytest.mark.parametrize("classes", [11221, 21843])
def test_imagenet_21k_where_classes_stand_above_others(classes):
    labels = labels_for(classes)
    rollup = RollUp(labels)
    index = {label.synset: label.index for label in labels}
    probability_K = np.zeros(classes)
    probability_K[[index[DOG], index["n02085936"]]] = 0.25, 0.75  # the dog as such, and a breed of it
    got = rollup.above(probability_K, at=0.5)
    assert [(a.label, a.probability) for a in got[:2]] == [("toy dog", 0.75), ("dog", 1.0)]
    for ancestor in rollup.above(drawn(1, classes), at=0.3):
        below = [label.index for label in labels if ancestor.synset in {label.synset, *ancestors_of(label.synset)}]
        assert ancestor.probability == pytest.approx(drawn(1, classes)[below].sum(), rel=1e-12)


def test_the_sum_is_the_same_in_any_batch():
    logits_BK = np.random.default_rng(3).normal(0, 3, (7, 1000)).astype(np.float32)

    def roll_up(probability_K: np.ndarray) -> tuple:
        return ROLLUP.above(probability_K, at=0.05)

    together = [p.rollup for p in top_k(logits_BK, 5, LABELS, "mine", roll_up)]
    alone = [top_k(logits_K[None], 5, LABELS, "mine", roll_up)[0].rollup for logits_K in logits_BK]
    assert together == alone and all(together)


@pytest.mark.parametrize("labels", [labels_for(2, ["cat", "dog"]), labels_for(7), LABELS[:5] + labels_for(1, ["mine"])])
def test_only_imagenets_classes_roll_up(labels):
    with pytest.raises(
        InputError, match=r"class \d, '.*', is not one of ImageNet's: only ImageNet's classes have a place"
    ):
        RollUp(labels)
