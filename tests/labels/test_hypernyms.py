"""What is above the classes: the table's own properties, and WordNet itself where it is installed."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest

from gmixer.labels import hypernyms, imagenet_1k
from gmixer.labels.hypernyms import ancestors_of, depth_of, is_known, name_of
from gmixer.labels.imagenet import imagenet_21k_goog

WORDNET = Path("/usr/share/wordnet/data.noun")
ENTITY, DOG, CANINE, DOMESTIC_ANIMAL, ANIMAL = "n00001740", "n02084071", "n02083346", "n01317541", "n00015388"
ROWS = hypernyms._rows()
BELOW = {above for parents, _ in ROWS.values() for above in parents}  # those with something below them


def test_every_class_has_a_place_below_entity():
    for label in (*imagenet_1k(), *imagenet_21k_goog()):
        assert is_known(label.synset) and ENTITY in ancestors_of(label.synset)
    assert [synset for synset, (above, _) in ROWS.items() if not above] == [ENTITY]
    assert ancestors_of(ENTITY) == set() and depth_of(ENTITY) == 0


def test_the_table_is_closed_and_without_circles():
    assert list(ROWS) == sorted(ROWS)
    for synset, (above, _) in ROWS.items():
        assert len(set(above)) == len(above) and set(above) <= ROWS.keys()
        assert depth_of(synset) == max((depth_of(parent) + 1 for parent in above), default=0), "ends: no circle"


def test_it_holds_the_classes_what_is_above_them_and_no_more():
    classes = {label.synset for label in (*imagenet_1k(), *imagenet_21k_goog())}
    assert set(ROWS) == classes | BELOW
    assert {synset for synset, (_, name) in ROWS.items() if name} == BELOW


def test_dog_has_its_breeds_by_both_ways_up():
    dogs = [label.name for label in imagenet_1k() if DOG in ancestors_of(label.synset)]
    assert len(dogs) == 118  # measured; dingo and dhole are wild dogs, and not below dog
    assert dogs[0] == "Chihuahua" and dogs[-1] == "Mexican hairless"
    assert name_of(DOG) == "dog" and ROWS[DOG][0] == (CANINE, DOMESTIC_ANIMAL)
    assert ancestors_of(DOG) >= {CANINE, DOMESTIC_ANIMAL, ANIMAL, ENTITY}
    assert depth_of(DOG) - depth_of(ANIMAL) == 7, (
        "by canine, carnivore, …, which is the longer way: domestic animal is 2"
    )


def test_what_is_above_imagenet_1k():
    above = [ancestors_of(label.synset) for label in imagenet_1k()]
    assert len(set().union(*above)) == 860 and sum(map(len, above)) == 11547  # measured
    assert not {label.synset for label in imagenet_1k()} & set().union(*above), "no class is above another"


def test_not_known():
    assert not is_known("") and not is_known("n99999999")
    with pytest.raises(KeyError):
        ancestors_of("n99999999")


def test_file_names_its_source():
    text = resources.files("gmixer.labels").joinpath("hypernyms.tsv").read_text(encoding="utf-8")
    assert "WordNet 3.0" in " ".join(line for line in text.splitlines()[:3] if line.startswith("#"))


def test_equal_to_all_ways_up_in_wordnet(need):
    """Every way up is walked to its end, over WordNet's own file and by other code than the tool's."""
    need(WORDNET.exists(), "WordNet", debian="wordnet-base")
    nouns = dict(re.findall(r"^(\d{8}) (.*)$", WORDNET.read_text(encoding="ascii"), re.MULTILINE))

    def ways_up(offset: str) -> list[list[str]]:
        data = nouns[offset].split(" | ")[0]
        parents = re.findall(r" @i? (\d{8}) n 0000", data)
        return [[parent, *way] for parent in parents for way in ways_up(parent)] or [[]]

    for label in (*imagenet_1k(), *imagenet_21k_goog()[::7]):
        ways = ways_up(label.synset[1:])
        assert ancestors_of(label.synset) == {f"n{offset}" for way in ways for offset in way}
        assert depth_of(label.synset) == max(map(len, ways))
    for synset in BELOW:
        assert name_of(synset) == nouns[synset[1:]].split(" ")[3].replace("_", " ")
