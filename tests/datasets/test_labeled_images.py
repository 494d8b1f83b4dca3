"""labeled_images.py: some of a set's images are a set of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gmixer.datasets import Subset, open_images
from labelled import image


def test_a_subset_counts_anew_and_keeps_all_that_belongs_to_an_image(tmp_path: Path) -> None:
    columns = {
        "image": [image(n) for n in range(6)],
        "label": [5, 4, 3, 2, 1, 0],
        "teacher_index": [[n] for n in range(6)],
        "teacher_probability": [[n / 8] for n in range(6)],
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    whole = open_images(tmp_path / "a.parquet")
    some = Subset(Subset(whole, np.array([5, 3, 1])), np.array([2, 0]))
    assert len(some) == 2
    assert some.labels.tolist() == [4, 0]
    assert [some.read(i) for i in range(2)] == [image(1), image(5)]
    assert [some.name(i) for i in range(2)] == [whole.name(1), whole.name(5)]
    assert some.soft is not None
    assert some.soft.index.tolist() == [[1], [5]] and some.soft.probability.tolist() == [[0.125], [0.625]]
    assert (some.source, some.classes, some.notes) == (whole.source, None, whole.notes)
