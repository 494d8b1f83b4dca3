"""Stored embeddings → what people ask of them.

thumbnails.py      the image of a stored row, small, as a page holds it

Nothing is imported here: numpy, pyarrow and the packages of the extra `search` take time.
"""
