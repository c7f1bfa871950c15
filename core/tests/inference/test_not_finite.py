"""What is no number is no vector and no score: it is an error that names the model, not a zero."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from FlagEmbedding import FlagModel, FlagReranker
from FlagEmbedding.engine.outputs import check_finite
from FlagEmbedding.errors import NotFiniteError

TEXTS = ["the river", "stone", "the stone of the garden"]


def spoil(folder, word, value):
    """Let one token's vector hold something that is no number."""
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if name.endswith("word_embeddings.weight"))
    rows = FlagModel(str(folder), devices="cpu").tokenizer.convert_tokens_to_ids([word])
    weights[name][rows] = value
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("normalize", [True, False])
def test_vectors_that_are_no_numbers_are_an_error(folder, value, normalize):
    spoil(folder, "stone", value)
    model = FlagModel(str(folder), normalize_embeddings=normalize, devices="cpu")
    message = (
        rf"^2 of 3 vectors of {re.escape(repr(str(folder)))} hold NaN or infinity \(1, 2\), computed in torch\.float32"
    )
    with pytest.raises(NotFiniteError, match=message):
        model.encode(TEXTS)
    with pytest.raises(NotFiniteError):
        model.encode("stone", convert_to_numpy=False)
    assert np.isfinite(model.encode(["the river", "garden"])).all()


@pytest.mark.parametrize("normalize", [True, False])
def test_scores_that_are_no_numbers_are_an_error(tiny, tmp_path, normalize):
    folder = tiny.build_classifier(tmp_path / "model", "bert")
    weights = load_file(folder / "model.safetensors")
    weights["classifier.weight"][0, 0] = torch.nan
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    reranker = FlagReranker(str(folder), normalize=normalize, devices="cpu")
    with pytest.raises(NotFiniteError, match=rf"1 of 1 scores of {re.escape(repr(str(folder)))} hold NaN") as caught:
        reranker.compute_score(("river", "stone"))
    assert isinstance(caught.value, RuntimeError)


def test_the_message_names_five_rows():
    with pytest.raises(NotFiniteError, match=r"7 of 8 vectors of 'm' hold NaN or infinity \(1, 2, 3, 4, 5, \.\.\.\), "):
        check_finite(torch.tensor([[1.0], *[[torch.nan]] * 7]), "vectors", "m", torch.float16)
    check_finite(torch.zeros(0, 3), "vectors", "m", torch.float32)
