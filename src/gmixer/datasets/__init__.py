"""Labelled images in any format, without torch: what training and evaluation read.

opening.py         open_images, open_split, open_held_out: the only entry points; the format is told by the content
patterns.py        shards/train-{000..010}.tar and *.tar → the names of files
labeled_images.py  LabeledImages, Subset, SoftLabels, UNKNOWN: what they return
folder.py          image folders
split_folders.py   which folders of an image folder are its splits
metadata.py        images beside metadata.csv, metadata.jsonl or metadata.parquet
csv_table.py       CSV: path, label
parquet.py         Parquet: the bytes of images or their paths, and labels
columns.py         the names and contents of columns, for all tables
shards.py          WebDataset tars
huggingface.py     Hugging Face `datasets`: a name on the Hub, a folder saved to disk
image_files.py     images that are files of their own
dataset_base.py    the base class of every format
splits.py          train and val, if the data says so
holdout.py         train and val, if it does not
run_data.py        RunData, run_of: the data that a model learned from, and its checksum
label_values.py    what a label means: nothing, a number or a name, in every format
class_index.py     labels → class indices; all splits agree, ImageNet's synsets are recognized
balance.py         how many images each class has
"""

from gmixer.datasets.balance import Balance, balance, described
from gmixer.datasets.class_index import counts_by_place, imagenet_indices, same_classes
from gmixer.datasets.labeled_images import UNKNOWN, LabeledImages, SoftLabels, Subset
from gmixer.datasets.opening import Split, as_split, open_held_out, open_images, open_split
from gmixer.datasets.run_data import RunData, run_of
from gmixer.datasets.splits import abbreviate

__all__ = [
    "UNKNOWN",
    "Balance",
    "LabeledImages",
    "RunData",
    "SoftLabels",
    "Split",
    "Subset",
    "abbreviate",
    "as_split",
    "balance",
    "counts_by_place",
    "described",
    "imagenet_indices",
    "open_held_out",
    "open_images",
    "open_split",
    "run_of",
    "same_classes",
]
