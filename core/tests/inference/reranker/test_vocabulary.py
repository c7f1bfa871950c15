"""A few rows of the vocabulary, against the arithmetic written out."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch

from FlagEmbedding.inference.reranker.vocabulary import VocabularyRows

STATES = torch.tensor([[1.0, 2.0], [3.0, -1.0]])
WEIGHT = torch.tensor([[1.0, 0.0], [0.5, 0.25], [0.0, 1.0], [2.0, 2.0]])
BIAS = torch.tensor([10.0, 20.0, 30.0, 40.0])


def model(dtype=torch.float32, bias=None, **config):
    head = torch.nn.Linear(2, 4, bias=bias is not None, dtype=dtype)
    with torch.no_grad():
        head.weight.copy_(WEIGHT)
        if bias is not None:
            head.bias.copy_(bias)
    text_config = SimpleNamespace(**config)
    return SimpleNamespace(
        get_output_embeddings=lambda: head, config=SimpleNamespace(get_text_config=lambda: text_config)
    )


def rows(tokens, **options):
    return VocabularyRows(model(**options), tokens, alone=True)(STATES).tolist()


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [([1], [[1.0], [1.25]]), ([3, 0], [[6.0, 1.0], [4.0, 3.0]]), ((2, 2), [[2.0, 2.0], [-1.0, -1.0]]), ([], [[], []])],
)
def test_rows_in_the_order_asked_for(tokens, expected):
    assert rows(tokens) == expected


def test_nothing_is_copied_of_a_head_that_stays():
    unread = SimpleNamespace()  # has no weights to copy
    whole = model()
    found = VocabularyRows(SimpleNamespace(get_output_embeddings=lambda: unread, config=whole.config), [1], alone=False)
    unread.weight, unread.bias = WEIGHT, None
    assert found(STATES).tolist() == [[1.0], [1.25]]
    unread.weight = 2 * WEIGHT
    assert found(STATES).tolist() == [[2.0], [2.5]]


def test_a_bias():
    assert rows([3, 0], bias=BIAS) == [[46.0, 11.0], [44.0, 13.0]]


def test_a_scale_that_divides():
    assert rows([3, 0], logits_scaling=4.0) == [[1.5, 0.25], [1.0, 0.75]]


def test_a_scale_that_multiplies():
    assert rows([3, 0], logit_scale=0.25) == [[1.5, 0.25], [1.0, 0.75]]


def test_a_cap():
    expected = [[2 * math.tanh(value / 2) for value in row] for row in ([6.0, 1.0], [4.0, 3.0])]
    torch.testing.assert_close(torch.tensor(rows([3, 0], final_logit_softcapping=2.0)), torch.tensor(expected))


def test_none_of_them_where_the_configuration_says_so():
    assert rows([3], logits_scaling=None, logit_scale=None, final_logit_softcapping=None) == [[6.0], [4.0]]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_float32_comes_out_of_half_precision(dtype):
    found = VocabularyRows(model(dtype), [3], alone=False)(STATES)
    assert (found.dtype, found.tolist()) == (torch.float32, [[6.0], [4.0]])


@pytest.mark.parametrize(("alone", "expected"), [(True, [[6.0], [4.0]]), (False, [[12.0], [8.0]])])
def test_what_becomes_of_the_model_counts_unless_the_rows_stand_alone(alone, expected):
    whole = model()
    vocabulary = VocabularyRows(whole, [3], alone=alone)
    with torch.no_grad():
        whole.get_output_embeddings().weight.mul_(2)
    assert vocabulary(STATES).tolist() == expected
