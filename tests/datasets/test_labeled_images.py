"""pictures.py: some of a set's pictures are a set of pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gmixer.datasets import Subset, open_images
from labelled import picture


def test_a_subset_counts_anew_and_keeps_all_that_belongs_to_a_picture(tmp_path: Path) -> None:
    columns = {
        "image": [picture(n) for n in range(6)],
        "label": [5, 4, 3, 2, 1, 0],
        "teacher_index": [[n] for n in range(6)],
        "teacher_probability": [[n / 8] for n in range(6)],
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    whole = open_images(tmp_path / "a.parquet")
    abbreviate = Subset(Subset(whole, np.array([5, 3, 1])), np.array([2, 0]))
    assert len(abbreviate) == 2
    assert abbreviate.labels.tolist() == [4, 0]
    assert [abbreviate.read(i) for i in range(2)] == [picture(1), picture(5)]
    assert [abbreviate.name(i) for i in range(2)] == [whole.name(1), whole.name(5)]
    assert abbreviate.soft is not None
    assert abbreviate.soft.index.tolist() == [[1], [5]] and abbreviate.soft.probability.tolist() == [[0.125], [0.625]]
    assert (abbreviate.source, abbreviate.classes, abbreviate.notes) == (whole.source, None, whole.notes)
