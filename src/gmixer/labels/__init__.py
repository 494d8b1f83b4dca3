"""The names of classes, and their parent categories in WordNet.

imagenet.py   Label, imagenet_1k, labels_for: class index → synset, name, definition
hypernyms.py  the parent categories of a class

tools/make_imagenet_tables.py makes the tables in this folder.
"""

from gmixer.labels.imagenet import Label, imagenet_1k, labels_for

__all__ = ["Label", "imagenet_1k", "labels_for"]
