"""Training: labelled images and a recipe → a model folder.

recipe.py            TrainRecipe, ProbeRecipe: everything that decides the result; sections.py: their tables
recipe_file.py       recipes as TOML; recipes/ holds the shipped ones
run.py               train: all steps of a run
run_dir.py           the folder of a run: its files, and the check that it belongs to this run
run_lock.py          alone_in: one run at a time in a folder
run_options.py       RunOptions: what does not change the weights
run_context.py       TrainData, RunContext: what the parts of a run share
initial_model.py     the model that a run starts from
order.py             the order of the images, and the seeds of their random numbers
targets.py           labels and a teacher's answers → target distributions
augment.py           random augmentation of an image
feed.py              batches, made in worker processes
loop.py              Trainer: steps, validation, checkpoints
state.py             TrainState: everything that a checkpoint holds; checkpoint.py: its file
step.py              one training step
validation.py        accuracy on the validation part
monitor.py           progress rows and messages; log.py: CSV, TensorBoard and the Listener
optimize.py          optimizers and learning rates; rmsprop_tf.py and muon.py: two that torch lacks
loss.py              losses
ema.py               averaged weights
stopping.py          Ctrl-C and SIGTERM
stochastic_depth.py  drop path with given random numbers
teacher.py           a model that answers during the run
distributed.py       several processes, started by torchrun
probe.py             a linear head on embeddings, instead of a training loop
stored_rows.py       StoredRows: the output of gmixer embed as data of a run; stored_model.py: the model of its stamp
neighbours.py        measure_neighbours: how well the nearest stored embeddings tell the class
head_phase.py        after a run, the head alone learns on embeddings; embeddings.py: computes them
run_summary.py       the facts of a finished run; card.py, curves.py and report.py present them
"""

import importlib
from typing import TYPE_CHECKING, Any

from gmixer.train.recipe import ProbeRecipe, Recipe, TrainRecipe
from gmixer.train.recipe_file import read_recipe, recipe_names
from gmixer.train.run_options import RunOptions

if TYPE_CHECKING:
    from gmixer.train.log import Listener
    from gmixer.train.neighbours import Neighbours, measure_neighbours
    from gmixer.train.run import Trained, train

__all__ = [
    "Listener",
    "Neighbours",
    "ProbeRecipe",
    "Recipe",
    "RunOptions",
    "TrainRecipe",
    "Trained",
    "measure_neighbours",
    "read_recipe",
    "recipe_names",
    "train",
]

_HOMES = {
    "Listener": "gmixer.train.log",
    "Neighbours": "gmixer.train.neighbours",
    "Trained": "gmixer.train.run",
    "measure_neighbours": "gmixer.train.neighbours",
    "train": "gmixer.train.run",
}


def __getattr__(name: str) -> Any:
    """Names that need torch or numpy are imported on first use: an error in a recipe is reported before torch loads."""
    if name not in _HOMES:
        raise AttributeError(f"module 'gmixer.train' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
