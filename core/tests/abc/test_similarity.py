"""Comparing vectors: sentence-transformers' own functions are the reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sentence_transformers import SimilarityFunction

from FlagEmbedding.abc.inference.similarity import check_similarity, pairwise_similarities, similarities
from FlagEmbedding.errors import InputError, OptionError

NAMES = ["cosine", "dot", "euclidean", "manhattan"]
RANDOM = np.random.default_rng(5)
ONE = RANDOM.normal(size=(4, 6)).astype(np.float32) * 3
OTHER = RANDOM.normal(size=(31, 6)).astype(np.float32)

FORMS = {
    "numpy": np.asarray,
    "torch": torch.tensor,
    "list of arrays": list,
    "list of tensors": lambda rows: list(torch.tensor(rows)),
    "lists": lambda rows: rows.tolist(),
    "float16": lambda rows: rows.astype(np.float16),
    "bfloat16": lambda rows: torch.tensor(rows, dtype=torch.bfloat16),
    "float64": lambda rows: rows.astype(np.float64),
    "one vector": lambda rows: rows[0],
    "read only": lambda rows: np.broadcast_to(rows[0], (3, 6)),
}


def theirs(name, one, other, pairwise=False):
    find = SimilarityFunction.to_similarity_pairwise_fn if pairwise else SimilarityFunction.to_similarity_fn
    return find(name)(one, other)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_each_with_each(name, form):
    found, expected = similarities(name, form(ONE), form(OTHER)), theirs(name, form(ONE), form(OTHER))
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert torch.allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_each_with_its_own(name, form):
    one, other = form(ONE), form(OTHER[: len(ONE)])
    found, expected = pairwise_similarities(name, one, other), theirs(name, one, other, pairwise=True)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert torch.allclose(found, expected, rtol=0, atol=1e-6)


def test_values_by_hand():
    one, other = [[3.0, 4.0]], [[3.0, 0.0], [0.0, 0.0]]
    assert similarities("cosine", one, other).tolist() == [[pytest.approx(0.6), 0.0]]
    assert similarities("dot", one, other).tolist() == [[9.0, 0.0]]
    assert similarities("euclidean", one, other).tolist() == [[-4.0, -5.0]]
    assert similarities("manhattan", one, other).tolist() == [[-4.0, -7.0]]


def test_whole_numbers_do_not_overflow():
    assert similarities("dot", np.full((1, 9), 100, np.int8), np.full((1, 9), 100, np.int8)).tolist() == [[90000.0]]


def test_both_precisions_at_once():
    """sentence-transformers raises here."""
    found = similarities("cosine", ONE, OTHER.astype(np.float64))
    assert torch.allclose(found, theirs("cosine", ONE, OTHER).double(), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        (ONE, OTHER[:, :3], "vectors of 6 and of 3 numbers cannot be compared"),
        ("a", OTHER, "vectors are tables of numbers, not str"),
        (["a"], OTHER, "vectors are tables of numbers, not list"),
        (None, OTHER, "vectors are tables of numbers, not NoneType"),
        (ONE[None], OTHER, r"have one dimension, or two for several of them, and these have \[1, 4, 6\]"),
        (np.float32(3), OTHER, r"and these have \[\]"),
        ({"dense_vecs": ONE}, OTHER, r"not dict: of its outputs \(dense_vecs\) give the one that is compared"),
    ],
)
def test_what_cannot_be_compared(one, other, message):
    with pytest.raises(InputError, match=message):
        similarities("cosine", one, other)


def test_as_many_of_both():
    with pytest.raises(InputError, match=r"pairs need as many vectors of both, and these are \[4, 6\] and \[31, 6\]\."):
        pairwise_similarities("cosine", ONE, OTHER)


@pytest.mark.parametrize("name", [*NAMES, *SimilarityFunction])
def test_names(name):
    value = getattr(name, "value", name)
    if value in NAMES:
        assert check_similarity(name) == value
    else:
        with pytest.raises(OptionError):
            check_similarity(name)


def test_no_name_is_cosine():
    assert check_similarity(None) == "cosine"


def test_a_name_that_is_none():
    with pytest.raises(
        OptionError,
        match=r"^similarity_fn_name is one of 'cosine', 'dot', 'euclidean', 'manhattan', not 'cosin'\. "
        r"Did you mean 'cosine'\?$",
    ):
        check_similarity("cosin")
    with pytest.raises(OptionError, match="not 5"):
        check_similarity(5)
