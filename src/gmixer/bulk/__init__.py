"""A large collection of images → stored embeddings: rows in Parquet, one for each image, with the stamp of the model.

record.py       Record: one input, before it is read
row_options.py  RowOptions: what a row holds, as the user chooses it
stamp.py        Stamp: what computed the vectors; only vectors of one stamp compare
schema.py       the Arrow schema of a row
stored.py       open_stored: a Parquet file or a folder of parts → StoredEmbeddings

Nothing is imported here: pyarrow takes 0.1 s.
"""
