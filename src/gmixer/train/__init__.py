"""Training: pictures with labels, and a recipe → a model folder.

recipe.py            Recipe: everything that decides how; recipes/ are those that ship
run.py               train: the sentence
folder.py            the folder of a run: what lies where, and whose it is
start.py             the model that a run starts from
order.py             which picture comes when, with which random numbers
targets.py           labels and a teacher's answers → what to learn
augment.py           a picture, varied at random
feed.py              batches, made in worker processes
loop.py              Trainer: steps, validation, the checkpoint
optimize.py          optimizers, learning rates; rmsprop_tf.py and muon.py are two that torch lacks
loss.py              how far answers are from targets
ema.py               averaged weights
stopping.py          Ctrl-C and SIGTERM
stochastic_depth.py  branches skipped as the order says
teacher.py           a model that answers meanwhile
distributed.py       several processes, started by torchrun
checkpoint.py        the state on disk
probe.py             the other way: a linear head on embeddings
log.py               CSV, TensorBoard, and whoever watches
account.py           what there is to tell of a run that ended; card.py, curves.py and report.py tell it
"""

import importlib
from typing import TYPE_CHECKING, Any

from gmixer.train.recipe import Recipe, RunOptions, read_recipe, recipe_names

if TYPE_CHECKING:
    from gmixer.train.log import Listener
    from gmixer.train.run import Trained, train

__all__ = ["Listener", "Recipe", "RunOptions", "Trained", "read_recipe", "recipe_names", "train"]

_HOMES = {"Trained": "gmixer.train.run", "Listener": "gmixer.train.log", "train": "gmixer.train.run"}


def __getattr__(name: str) -> Any:
    """What needs torch comes when it is asked for: a mistake in a recipe is told before the seconds that takes."""
    if name not in _HOMES:
        raise AttributeError(f"module 'gmixer.train' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
