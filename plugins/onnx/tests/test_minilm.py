"""Real weights, where they are installed."""

from __future__ import annotations

import numpy as np
import pytest

from FlagEmbedding import FlagAutoModel

weights = pytest.importorskip("flagembedding_minilm.weights")

TEXTS = [
    "where is the garden of seven stones?",
    "a river",
    "Embedding models give texts vectors, so that texts of the same meaning are near each other. " * 12,
    "Ein kurzer Satz, ein paar Zeichen: äöü ß 日本語",
]


def test_real_weights_give_the_same_vectors():
    if weights.packaged_folder() is None:
        pytest.skip("the weights are not installed")
    model, wanted = (
        FlagAutoModel.from_finetuned("all-MiniLM-L6-v2", devices="cpu", engine=engine) for engine in ("onnx", None)
    )
    assert np.abs(model.encode(TEXTS) - wanted.encode(TEXTS)).max() <= 1e-6
    for text in TEXTS:
        assert np.abs(model.encode(text) - wanted.encode(text)).max() <= 1e-6
