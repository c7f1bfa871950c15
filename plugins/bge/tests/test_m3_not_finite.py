"""What is no number is an error in each of the three outputs, not a weight that is missing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from FlagEmbedding.errors import NotFiniteError
from flagembedding_bge.m3 import M3Embedder

TEXTS = ["the river", "stone", "the stone of the garden", "river stone river"]
KINDS = {"return_dense": "dense_vecs", "return_sparse": "lexical_weights", "return_colbert_vecs": "colbert_vecs"}


@pytest.fixture(params=[torch.nan, torch.inf])
def spoilt(request, m3, m3_folder):
    """A model in which the vector of one token of "stone" holds something that is no number."""
    weights = load_file(m3_folder / "model.safetensors")
    name = next(name for name in weights if name.endswith("word_embeddings.weight"))
    weights[name][m3.tokenizer("stone", add_special_tokens=False)["input_ids"][-1]] = request.param
    save_file(weights, m3_folder / "model.safetensors", {"format": "pt"})
    return M3Embedder(str(m3_folder), devices="cpu")


@pytest.mark.parametrize("option", KINDS)
def test_each_output(spoilt, option):
    asked = {name: name == option for name in KINDS}
    with pytest.raises(NotFiniteError, match=rf"3 of 4 {KINDS[option]} of .* hold NaN or infinity \(1, 2, 3\)"):
        spoilt.encode(TEXTS, **asked)
    found = spoilt.encode(TEXTS[:1], **asked)[KINDS[option]]
    assert len(found) == 1


def test_scores(spoilt):
    with pytest.raises(NotFiniteError):
        spoilt.compute_score([("the river", "stone")])


@pytest.mark.parametrize("weights", [[np.nan, 1.0], [1.0, np.nan], [0.0, np.nan], [2.0, 1.0], [1.0, 2.0]])
def test_a_token_that_occurs_twice(weights):
    from flagembedding_bge.m3_outputs import LexicalHead  # noqa: PLC0415

    head = LexicalHead(lambda states: states, frozenset())
    found = head._strongest(torch.tensor([7, 7]), torch.tensor(weights))
    expected = np.nan if np.isnan(weights).any() else 2.0
    np.testing.assert_equal(float(found["7"]), expected)
