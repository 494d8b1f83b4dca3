"""Labelled pictures, whatever they lie in, without torch: what training and measuring read.

opening.py    open_pictures, open_split, open_held_out: the one way in; what a source is, by its content
pictures.py   Pictures, Subset, SoftLabels, UNKNOWN: what comes out
folder.py     image folders
csv_table.py  CSV: path, label
parquet.py    Parquet: images' bytes or paths, and labels
columns.py    what columns are called and hold, of all tables
shards.py     WebDataset's tars
hub.py        Hugging Face `datasets`: a name of the Hub, a folder saved to disk
files.py      pictures that are files of their own
stored.py     what each of these gives
parts.py      train and val, where the data says so
split.py      train and val, where it does not
numbering.py  names → class indices; the parts agree, ImageNet's synsets are known
balance.py    how many pictures each class has
"""

from gmixer.datasets.balance import Balance, balance, described
from gmixer.datasets.class_index import counts_by_place, imagenet_indices, same_classes
from gmixer.datasets.labeled_images import UNKNOWN, LabeledImages, SoftLabels, Subset
from gmixer.datasets.opening import Split, open_held_out, open_pictures, open_split
from gmixer.datasets.splits import abbreviate

__all__ = [
    "UNKNOWN",
    "Balance",
    "LabeledImages",
    "SoftLabels",
    "Split",
    "Subset",
    "abbreviate",
    "balance",
    "counts_by_place",
    "described",
    "imagenet_indices",
    "open_held_out",
    "open_pictures",
    "open_split",
    "same_classes",
]
