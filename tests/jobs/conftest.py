"""A corpus, and what the local run makes of it."""

from __future__ import annotations

import random

import pytest


@pytest.fixture
def corpus(tmp_path, tiny):
    """Texts in a Parquet file and one of JSON lines; one of them is null."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    draw = random.Random(3)
    texts = [" ".join([*draw.choices(tiny.WORDS, k=draw.randint(2, 9)), str(number)]) for number in range(3000)]
    texts[1234] = None
    rows = {"doc": [f"d{number}" for number in range(3000)], "text": texts}
    (tmp_path / "corpus").mkdir()
    pq.write_table(pa.table(rows), tmp_path / "corpus/a.parquet", row_group_size=500)
    return tmp_path / "corpus"
