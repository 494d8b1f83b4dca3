"""Logits and features → small frozen results that print well and convert to dictionaries.

probability.py  softmax, best_first
prediction.py   Prediction: the most probable classes by name
rollup.py       RollUp: the probabilities of WordNet's parent categories
embedding.py    Embedding: the features
result.py       Result: both, from one forward pass
"""

from gmixer.results.embedding import Embedding
from gmixer.results.prediction import Ancestor, Class, Prediction, top_k
from gmixer.results.probability import best_first, softmax
from gmixer.results.result import Result

__all__ = ["Ancestor", "Class", "Embedding", "Prediction", "Result", "best_first", "softmax", "top_k"]
