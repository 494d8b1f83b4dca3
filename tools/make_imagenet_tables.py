"""Write the tables in src/gmixer/labels: the words for ImageNet's classes, and their parent categories in WordNet.

    python tools/make_imagenet_tables.py [FOLDER]

imagenet_1k.tsv   the classes of ILSVRC 2012
imagenet_21k.tsv  the classes of ImageNet-21k in Google's and MIIL's weights
hypernyms.tsv     every class of both, and all its parent categories

The order of the synsets comes from data/_info of the installed timm, or from --timm. All words come from WordNet 3.0. A
synset id is "n" and the offset in bytes of its line in WordNet's data.noun (Debian's package wordnet-base). For the
format of the line see `man 5WN wndb`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

SOURCE = """\
# Made by tools/make_imagenet_tables.py from WordNet 3.0, Copyright 2006 by Princeton University (see NOTICE).
"""
IMAGENET_1K = """\
# ImageNet-1k (ILSVRC 2012): synset, lemmas, definition; a line's place is the class index, ids ascend.
"""
IMAGENET_21K = """\
# ImageNet-21k: synset, "m" where MIIL's weights have it, lemmas, definition. A line's place is the class index of
# Google's weights, its place among those with "m" that of MIIL's; ids ascend.
"""
HYPERNYMS = """\
# ImageNet-1k's and 21k's classes and all synsets above them: synset, the synsets right above it (hypernyms and instance
# hypernyms), and, where something is below it here, its first lemma; ids ascend.
"""
DATA = Path(__file__).parents[1] / "src" / "gmixer" / "labels"


@dataclass(frozen=True)
class Noun:
    lemmas: tuple[str, ...]
    definition: str
    hypernyms: tuple[str, ...]  # ids


class WordNet:
    def __init__(self, folder: Path) -> None:
        self._nouns = (folder / "data.noun").read_bytes()

    def __getitem__(self, synset: str) -> Noun:
        start = int(synset[1:])
        line = self._nouns[start : self._nouns.index(b"\n", start)].decode("ascii")
        if not line.startswith(synset[1:]):
            raise SystemExit(f"{synset}: WordNet has no noun at this offset; wanted WordNet 3.0")
        data, gloss = line.split(" | ", 1)
        # Offset, file, type, number of words (hex), word and sense id of each word; number of pointers, then symbol,
        # offset, type and positions of each pointer.
        fields = data.split(" ")
        pointers = 4 + 2 * int(fields[3], 16)
        lemmas = (word.replace("_", " ") for word in fields[4:pointers:2])
        above = (
            f"n{offset}"
            for symbol, offset in zip(fields[pointers + 1 :: 4], fields[pointers + 2 :: 4], strict=True)
            if symbol in ("@", "@i")
        )
        definition = re.split('[;:] "', gloss, maxsplit=1)[0]  # examples of use follow
        return Noun(tuple(lemmas), definition.strip(" ;"), tuple(above))


def read_ids(path: Path, count: int) -> list[str]:
    ids = path.read_text(encoding="utf-8").split()
    if len(ids) != count or ids != sorted(set(ids)):
        raise SystemExit(f"{path}: {len(ids):,} ids; wanted {count:,} different ones, ascending")
    return ids


def write(path: Path, header: str, rows: Iterable[tuple[str, ...]]) -> None:
    lines = ("\t".join(row) + "\n" for row in rows)
    path.write_text(header + SOURCE + "".join(lines), encoding="utf-8")


def main() -> None:
    timm = find_spec("timm")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=DATA, help="the folder to write to")
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"), help="folder with data.noun")
    parser.add_argument(
        "--timm",
        type=Path,
        required=timm is None,
        default=timm and timm.origin and Path(timm.origin).parent / "data" / "_info",
        help="folder with timm's imagenet*_synsets.txt",
    )
    args = parser.parse_args()

    nouns = WordNet(args.wordnet)
    small = read_ids(args.timm / "imagenet_synsets.txt", 1000)
    google = read_ids(args.timm / "imagenet21k_goog_synsets.txt", 21843)
    miil = set(read_ids(args.timm / "imagenet21k_miil_synsets.txt", 11221))
    if not miil < set(google):
        raise SystemExit("some of MIIL's classes are not among Google's; one table cannot hold both")

    above: dict[str, tuple[str, ...]] = {}
    waiting = [*small, *google]
    while waiting:
        synset = waiting.pop()
        if synset not in above:
            above[synset] = nouns[synset].hypernyms
            waiting += above[synset]
    has_below = {parent for parents in above.values() for parent in parents}

    def words(synset: str) -> tuple[str, str]:
        return ", ".join(nouns[synset].lemmas), nouns[synset].definition

    write(args.folder / "imagenet_1k.tsv", IMAGENET_1K, ((synset, *words(synset)) for synset in small))
    write(
        args.folder / "imagenet_21k.tsv",
        IMAGENET_21K,
        ((synset, "m" if synset in miil else "", *words(synset)) for synset in google),
    )
    write(
        args.folder / "hypernyms.tsv",
        HYPERNYMS,
        (
            (synset, " ".join(parents), nouns[synset].lemmas[0] if synset in has_below else "")
            for synset, parents in sorted(above.items())
        ),
    )


if __name__ == "__main__":
    main()
