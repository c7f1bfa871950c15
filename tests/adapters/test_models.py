"""What the adapters share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from FlagEmbedding import FlagAutoModel
from FlagEmbedding.adapters._models import dense, settings
from FlagEmbedding.errors import OptionError


def test_the_dense_ones_of_several_kinds_of_vectors() -> None:
    rows = np.ones((2, 3), np.float32)
    assert dense(rows) is rows
    assert dense({"dense_vecs": rows, "lexical_weights": None}) is rows
    with pytest.raises(OptionError, match="gives no dense vectors: load it with return_dense=True"):
        dense({"dense_vecs": None, "lexical_weights": [{}, {}]})


def test_settings_load_an_equal_model(embedder_folder: Any, query: str) -> None:
    options = {"normalize_embeddings": False, "passage_max_length": 7, "truncate_dim": 5, "batch_size": 3}
    first = FlagAutoModel.from_finetuned(embedder_folder, devices="cpu", **options)
    said = settings(first)
    assert options.items() <= said.items()
    assert not {"devices", "device", "model_name_or_path", "kwargs"} & set(said)
    second = FlagAutoModel.from_finetuned(embedder_folder, devices="cpu", **said)
    assert settings(second) == said
    np.testing.assert_array_equal(first.encode_corpus([query]), second.encode_corpus([query]))
