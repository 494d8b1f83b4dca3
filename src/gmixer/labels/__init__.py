"""What classes are called, and what WordNet has above them.

imagenet.py   Label, imagenet_1k, labels_for: class index → synset, name, definition
hypernyms.py  the synsets above a class

The tables beside them are made by tools/make_imagenet_tables.py.
"""

from gmixer.labels.imagenet import Label, imagenet_1k, labels_for

__all__ = ["Label", "imagenet_1k", "labels_for"]
