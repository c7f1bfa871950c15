"""The check at load sees what is wrong in any precision, at any width."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
import transformers

from FlagEmbedding.engine.forward import PaddedForward
from FlagEmbedding.engine.packed import probe
from FlagEmbedding.engine.packed.attention import NotPackableError
from FlagEmbedding.engine.packed.loading import pack
from FlagEmbedding.engine.pooling import cls
from FlagEmbedding.engine.running import pooled


def test_nan_is_no_small_distance():
    fine = torch.ones(2, 4)
    assert math.isnan(probe.distance([fine, fine * torch.nan, fine], [fine, fine, fine]))
    assert probe.distance([fine, fine], [fine, fine]) == 0


@pytest.mark.parametrize("width", [32, 4096])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_vectors_of_cosine_098_are_others_whatever_their_width(width, dtype):
    one, noise = torch.nn.functional.normalize(torch.randn(2, 7, width), dim=-1)
    other = one + 0.2 * noise
    assert torch.cosine_similarity(one, other).min() > 0.97
    assert probe.distance([one], [other]) > probe.TOLERANCE[dtype]
    assert probe.distance([one], [one.to(dtype).float()]) < probe.TOLERANCE[dtype] / 2


@pytest.mark.parametrize("config", [{}, {"vocab_size": None}])
def test_a_configuration_that_does_not_say_enough(config):
    text = SimpleNamespace(**config)
    text.get_text_config = lambda: text
    with pytest.raises(NotPackableError, match="has no vocab_size"):
        probe.rows(SimpleNamespace(config=text))


LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0] * 4,
    "long_factor": [4.0] * 4,
    "original_max_position_embeddings": 16,
    "factor": 4.0,
}


@pytest.fixture
def longrope():
    torch.manual_seed(1)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = transformers.MistralConfig(
        **sizes, vocab_size=64, num_hidden_layers=2, max_position_embeddings=64, rope_parameters=LONGROPE
    )
    return transformers.AutoModel.from_config(config).eval()


def test_positions_that_change_with_the_longest_text(longrope, texts, alone):
    rows = texts(5, 40, 9, 20)
    wanted = alone(longrope, rows)
    with torch.no_grad():
        together = longrope(input_ids=torch.tensor([rows[0] + [0] * 35, rows[1]])).last_hidden_state[0, :5]
    assert (together - wanted[0]).abs().max() > 1e-3  # what a batch would make of the short text
    with pytest.raises(NotPackableError, match="change with the longest text"):
        pack(longrope)
    hidden = PaddedForward(longrope, 0, "cpu")(rows)
    assert [tuple(hidden.states.shape), hidden.mask.sum(dim=1).tolist()] == [(4, 40, 32), [5, 40, 9, 20]]
    for states, mask, ids, row, expected in zip(hidden.states, hidden.mask, hidden.ids, rows, wanted, strict=True):
        torch.testing.assert_close(states[mask], expected, rtol=0, atol=1e-6)
        assert ids[mask].tolist() == row


class Unhashable:
    __hash__ = None

    def __call__(self, states, mask):
        return cls(states, mask)


def test_a_pooling_need_not_be_hashable(load, texts):
    rows = texts(4, 7)
    hidden = PaddedForward(load("bert"), 0, "cpu")(rows)
    torch.testing.assert_close(pooled(Unhashable(), hidden), pooled(cls, hidden))
