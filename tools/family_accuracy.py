"""Measure models on labelled images, by families of ImageNet's classes, and print the table of the model card.

    python tools/family_accuracy.py --model gmixer_8_64 runs/photos-finetune/model --data photos tiny-imagenet

Every class belongs to one family: the first one below that has a synset of it among the class's parent categories in
WordNet. The intervals are Wilson's 95 %. For a model that knows only some classes, the images must be of those.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

import gmixer
from gmixer.evaluate.metrics import Share
from gmixer.evaluate.validate import Validated, validate
from gmixer.labels import Label
from gmixer.labels.hypernyms import ancestors_of, is_known

FAMILIES: dict[str, set[str]] = {
    "dogs": {"n02084071"},
    "birds": {"n01503061"},
    "other animals": {"n00015388"},
    "vehicles": {"n04524313", "n04019101"},  # vehicle, public transport
    "musical instruments": {"n03800933"},
    "clothing": {  # clothing, both synsets footwear, headdress, garment, attire, body armour, cloak
        "n03051540", "n03380867", "n03381126", "n03502509", "n03419014", "n02728440", "n02862048", "n03045698"
    },
    "food": {"n00021265", "n07555863", "n07557434"},  # both synsets food, dish
    "plants and fungi": {"n00017222", "n12992868", "n13134947"},  # plant, fungus, fruit
    "people and sports": {"n00007846", "n04285146", "n03414162"},  # person, sports equipment, game equipment
    "buildings and places": {  # structure, geological formation, area, way
        "n04341686", "n09287968", "n08497294", "n04564698"
    },
    "household objects": {  # furnishing, appliance, tableware, kitchen utensil, bedclothes, utensil, ware, toiletry,
        # container, fabric
        "n03405265", "n03528263", "n04381994", "n03621049", "n02820210", "n04516672", "n04550840", "n04447443",
        "n03094503", "n03309808"
    },
    "tools and devices": {"n03575240"},  # instrumentality
}  # fmt: skip
OTHER = "other things"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", nargs="+", required=True, help="names, folders or .safetensors files")
    parser.add_argument("--data", nargs="+", required=True, help="labelled images, as for gmixer validate")
    arguments = parser.parse_args()
    predictors = [gmixer.load(model, orientation="ignore") for model in arguments.model]
    for data in arguments.data:
        print(table([validate(predictor, data) for predictor in predictors]))


def family_of(label: Label) -> str:
    """Raises SystemExit for a class that is not ImageNet's."""
    if not is_known(label.synset):
        raise SystemExit(f"{label.name!r} is not one of ImageNet's classes; only those have a family")
    synsets = ancestors_of(label.synset) | {label.synset}
    return next((family for family, wanted in FAMILIES.items() if synsets & wanted), OTHER)


def table(measured: Sequence[Validated]) -> str:
    """A Markdown table of models that were measured on the same images: a row for each family, and one for all."""
    first = measured[0]
    family_K = [family_of(label) for label in first.labels]
    names = [model.model for model in measured]
    head = ["", "classes", "images", *(f"{name}: {what}" for name in names for what in ("top-1", "top-5"))]
    lines = [row(head), row(["---"] * len(head))]
    classes = Counter(family_K[label] for label in np.unique(first.outcomes.label))
    for family in [family for family in (*FAMILIES, OTHER) if classes[family]]:
        shares = [share(model, k, {family}, family_K) for model in measured for k in (1, 5)]
        lines.append(row([family, f"{classes[family]}", f"{shares[0].n:,}", *map(in_words, shares)]))
    shares = [share(model, k, set(family_K), family_K) for model in measured for k in (1, 5)]
    lines.append(row(["all", f"{classes.total()}", f"{shares[0].n:,}", *map(in_words, shares)]))
    errors = (f"{model.model} {model.calibration_error:.2%}" for model in measured)
    return "\n".join([f"{first.source}; calibration error: {', '.join(errors)}", "", *lines, ""])


def share(model: Validated, k: int, families: set[str], family_K: Sequence[str]) -> Share:
    """How many images of the families have their class among the k most probable."""
    of_them_N = np.array([family_K[label] in families for label in model.outcomes.label])
    return Share(int((model.outcomes.rank[of_them_N] < k).sum()), int(of_them_N.sum()))


def in_words(share: Share) -> str:
    low, high = share.interval
    return f"{100 * share.value:.1f} % ({100 * low:.1f} … {100 * high:.1f})"


def row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
