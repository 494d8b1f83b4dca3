"""Step 4: logits and features → small frozen results that print well and travel as dictionaries."""

from gmixer.results.embedding import Embedding
from gmixer.results.prediction import Ancestor, Class, Prediction, softmax, top_k
from gmixer.results.result import Result

__all__ = ["Ancestor", "Class", "Embedding", "Prediction", "Result", "softmax", "top_k"]
