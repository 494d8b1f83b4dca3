"""The three steps of every prediction: prepare images, run tensors, answer from an output.

prepare.py  Preparer: an image → its tensor and note, or its ImageError; many images ahead of time, in threads
run.py      run: a list of tensors → Output
answer.py   Answerer: one image's features and logits, and an Ask → Result

Predictor, evaluate and the probe of train all use these steps. Predictor.stream pulls images from an iterable. A caller
that collects batches itself, such as a server, calls a Preparer, run and an Answerer for each batch.
"""

from gmixer.prediction.answer import Answerer
from gmixer.prediction.prepare import Prepared, Preparer, decoding_threads
from gmixer.prediction.run import run, stack

__all__ = ["Answerer", "Prepared", "Preparer", "decoding_threads", "run", "stack"]
