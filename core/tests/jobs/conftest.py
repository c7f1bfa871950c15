"""A corpus of numbered texts, and what its job is to give."""

from __future__ import annotations

import random

import pytest


def texts_of(words, count, seed=0):
    """Return short texts, each with its number in it, so that no two are equal."""
    draw = random.Random(seed)
    return [" ".join([*draw.choices(words, k=draw.randint(2, 9)), str(number)]) for number in range(count)]


@pytest.fixture
def texts(tiny):
    return texts_of(tiny.WORDS, 1000)


@pytest.fixture
def corpus(tmp_path, texts):
    """A Parquet file of 1000 texts, with ids and a further column, in row groups of 128."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "corpus.parquet"
    rows = {"doc": [f"d{number}" for number in range(1000)], "text": texts, "year": list(range(1000, 2000))}
    pq.write_table(pa.table(rows), path, row_group_size=128)
    return path


@pytest.fixture
def model(checkpoint):
    """The folder of the tiny BERT."""
    return str(checkpoint("bert"))


@pytest.fixture
def embed(model, tmp_path):
    """``embed(inputs, **options)`` runs a job into ``tmp_path / "out"``, in shards of 128 rows and blocks of 50."""
    from FlagEmbedding.jobs import embed_corpus  # noqa: PLC0415 - needs pyarrow, which may not be there

    def run(inputs, output="out", **options):
        settings = {"shard_size": 128, "block_size": 50, "devices": "cpu", "show_progress": False}
        return embed_corpus(inputs, str(tmp_path / output), model, **{**settings, **options})

    return run
