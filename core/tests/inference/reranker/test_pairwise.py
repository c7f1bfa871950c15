"""What a class of rerankers gets from its base: several lists of scores, and options read from its signature."""

from __future__ import annotations

import math

import pytest
import torch

from FlagEmbedding import FlagReranker
from FlagEmbedding.errors import OptionError
from FlagEmbedding.inference.reranker.pairwise import Scoring

PAIRS = [("river", "stone"), ("light of the", "seven garden window"), ("one", "of the more all")]


class Layered(FlagReranker):
    """Gives the score of each of some layers, which here are multiples of the real one."""

    def _scoring(self, query_max_length, *, layers=(1,), **options):
        scoring = super()._scoring(query_max_length, **options)
        factors = torch.tensor(layers, dtype=torch.float32)
        return Scoring(scoring.tokenize, scoring.forward, lambda logits: logits * factors, len(layers))


@pytest.fixture
def layered(cross_encoder):
    return Layered(str(cross_encoder("bert")), devices="cpu")


def near(found, expected):
    return max(abs(one - other) for one, other in zip(found, expected, strict=True)) <= 1e-5


def test_one_list_for_each_layer(layered, reranker):
    expected = reranker("bert").compute_score(PAIRS)
    found = layered.compute_score(PAIRS, layers=(2, -1, 3))
    assert [len(scores) for scores in found] == [3, 3, 3]
    for factor, scores in zip((2, -1, 3), found, strict=True):
        assert near(scores, [factor * score for score in expected])


def test_a_list_of_one_layer_is_a_list_too(layered, reranker):
    (found,) = layered.compute_score(PAIRS)
    assert near(found, reranker("bert").compute_score(PAIRS))


def test_each_layer_is_normalised(layered):
    plain, normalised = (layered.compute_score(PAIRS, layers=(1, 2), normalize=choice) for choice in (False, True))
    for scores, sigmoids in zip(plain, normalised, strict=True):
        assert sigmoids == pytest.approx([1 / (1 + math.exp(-score)) for score in scores], abs=1e-12)


@pytest.mark.parametrize("layers", [(1,), (1, 2, 3)])
def test_no_pairs_have_empty_lists(layered, layers):
    assert layered.compute_score([], layers=layers) == [[] for _ in layers]


def test_repeated_pairs_have_the_scores_of_each_layer(layered):
    found = layered.compute_score([PAIRS[0], PAIRS[1], PAIRS[0]], layers=(1, 2))
    assert [scores[0] == scores[2] for scores in found] == [True, True]
    assert near(found[1], [2 * score for score in found[0]])


def test_several_layers_give_no_order(layered):
    with pytest.raises(OptionError, match="several layers were asked for"):
        layered.rank("river", ["stone", "light"], layers=(1, 2))


def test_the_options_of_the_class_are_those_of_its_signature(layered):
    with pytest.raises(OptionError, match=r"unknown option 'layer'\. Did you mean 'layers'"):
        layered.compute_score(PAIRS, layer=(1,))
    with pytest.raises(OptionError, match="unknown option 'query_max_lengths'"):
        layered.compute_score(PAIRS, query_max_lengths=3)
