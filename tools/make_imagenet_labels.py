"""Write src/gmixer/data/imagenet_1k.tsv: the names and definitions of ImageNet-1k's classes, from WordNet 3.0.

    python tools/make_imagenet_labels.py SYNSETS > imagenet_1k.tsv

SYNSETS holds one synset id a line, or first in the line: timm's data/_info/imagenet_synsets.txt, or the file that this
script wrote. A synset id is "n" and the place of its line, in bytes, in WordNet's data.noun: Debian's package
wordnet-base. The format of that line: `man 5WN wndb`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HEADER = """\
# ImageNet-1k (ILSVRC 2012): synset, lemmas, definition; a line's place is the class index, ids ascend.
# Made by tools/make_imagenet_labels.py from WordNet 3.0, Copyright 2006 by Princeton University (see NOTICE).
"""


def read_synset_ids(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]


def lemmas_and_definition(nouns: bytes, synset: str) -> tuple[str, str]:
    start = int(synset[1:])
    line = nouns[start : nouns.index(b"\n", start)].decode("ascii")
    if not line.startswith(synset[1:]):
        raise SystemExit(f"{synset}: WordNet has no noun there; is this version 3.0?")
    data, gloss = line.split(" | ", 1)
    fields = data.split(" ")
    words = int(fields[3], 16)  # offset, file, type, number of words (hex), then word and sense id, word and …
    lemmas = [fields[4 + 2 * i].replace("_", " ") for i in range(words)]
    definition = gloss.split('; "', 1)[0]  # what follows are examples of use
    return ", ".join(lemmas), definition.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("synsets", type=Path)
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"), help="folder with data.noun")
    args = parser.parse_args()

    nouns = (args.wordnet / "data.noun").read_bytes()
    ids = read_synset_ids(args.synsets)
    if len(ids) != 1000 or ids != sorted(set(ids)):
        raise SystemExit(f"{args.synsets}: {len(ids)} ids; wanted 1,000 different ones, ascending")
    sys.stdout.write(HEADER)
    for synset in ids:
        print(synset, *lemmas_and_definition(nouns, synset), sep="\t")


if __name__ == "__main__":
    main()
