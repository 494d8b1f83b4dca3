"""Step 4: logits and features → small frozen results that print well and travel as dictionaries."""

from gmixer.results.embedding import Embedding
from gmixer.results.prediction import Class, Prediction, softmax, top_k
from gmixer.results.result import Result

__all__ = ["Class", "Embedding", "Prediction", "Result", "softmax", "top_k"]
