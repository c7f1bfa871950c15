from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import transformers
from torch.nn.attention import varlen

from FlagEmbedding.engine.packed import attention, interface
from FlagEmbedding.engine.packed.attention import NotPackableError
from FlagEmbedding.engine.packed.interface import packed_attention
from FlagEmbedding.engine.packed.layout import Layout
from FlagEmbedding.engine.packed.windows import CAUSAL, FULL, Window

MODULE = SimpleNamespace(is_causal=False)


@pytest.fixture
def states():
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(1, heads, 9, 4, generator=generator) for heads in (4, 2, 2)]


def layout(*lengths):
    return Layout(lengths, torch.device("cpu"))


def by_hand(query, key, value, lengths, window=FULL, scaling=0.5, softcap=None):
    """Attend in float64, one text, one head, one token after the other; ``[tokens, heads, width]``."""
    query, key, value = (tensor[0].double() for tensor in (query, key, value))
    result = torch.zeros(9, 4, 4, dtype=torch.float64)
    start = 0
    for length in lengths:
        for head in range(4):
            for row in range(start, start + length):
                first, last = max(start, row - window.left), min(start + length, row + window.right + 1)
                scores = key[head // 2, first:last] @ query[head, row] * scaling
                scores = scores if softcap is None else softcap * torch.tanh(scores / softcap)
                result[row, head] = scores.softmax(0) @ value[head // 2, first:last]
        start += length
    return result


@pytest.mark.parametrize("softcap", [None, 0.3])
@pytest.mark.parametrize("window", [FULL, CAUSAL, Window(1, 0), Window(2, 1), Window(0, 0)])
@pytest.mark.parametrize("lengths", [(9,), (4, 3, 2), (3, 3, 3), (5, 1, 1, 1, 1)])
def test_each_text_sees_itself_alone(states, lengths, window, softcap):
    tokens = [tensor[0].transpose(0, 1) for tensor in states]
    found = attention.attend(*tokens, layout(*lengths), window, scaling=0.7, softcap=softcap)
    wanted = by_hand(*states, lengths, window, 0.7, softcap)
    torch.testing.assert_close(found.double(), wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("is_causal", "window"), [(True, CAUSAL), (False, FULL)])
def test_a_model_without_a_mask_says_itself_whether_it_is_causal(states, is_causal, window):
    module = SimpleNamespace(is_causal=is_causal)
    found, weights = packed_attention(module, *states, None, packed_layout=layout(5, 4))
    assert (found.shape, weights) == ((1, 9, 4, 4), None)
    torch.testing.assert_close(found[0].double(), by_hand(*states, (5, 4), window), rtol=0, atol=1e-6)


@pytest.mark.parametrize("at_end", [False, True])
def test_one_query_a_text(at_end):
    generator = torch.Generator().manual_seed(4)
    query, key, value = (torch.randn(9, 4, 4, generator=generator) for _ in range(3))
    bias = torch.randn(1, 4, 5, 5, generator=generator)
    given = layout(5, 2, 2)
    whole = attention.attend(query, key, value, given, bias=bias)
    rows = given.last if at_end else given.first
    found = attention.attend_rows(query[rows], key, value, given, bias, at_end=at_end)
    torch.testing.assert_close(found, whole[rows], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("mask", "options", "message"),
    [
        (None, {}, "not handed the layout"),
        (torch.ones(1, 1, 9, 9), {"packed_layout": layout(9)}, "makes its own mask"),
        (None, {"packed_layout": layout(9), "sliding_window": 4}, "has a sliding window and makes no mask"),
        (None, {"packed_layout": layout(9), "s_aux": torch.ones(4)}, "uses s_aux"),
        (None, {"packed_layout": layout(9), "position_bias": torch.ones(1)}, "uses position_bias"),
    ],
)
def test_what_it_does_not_do_it_refuses(states, mask, options, message):
    with pytest.raises(NotPackableError, match=message):
        packed_attention(MODULE, *states, mask, **options)


def test_registering_twice_is_registering_once():
    interface.register()
    interface.register()
    assert transformers.AttentionInterface()[interface.NAME] is packed_attention


def test_the_cpu_takes_no_varlen_kernel(states):
    assert not attention._fits_varlen(states[0].bfloat16(), None)


def test_the_varlen_kernel_gets_packed_texts_and_the_window(states, monkeypatch):
    calls = []
    monkeypatch.setattr(varlen, "varlen_attn", lambda *args, **options: calls.append((args, options)) or args[0])
    tokens = [tensor[0].transpose(0, 1) for tensor in states]
    for window, sides in ((FULL, (-1, -1)), (CAUSAL, (-1, 0)), (Window(3, 0), (3, 0)), (Window(2, 2), (2, 2))):
        attention._varlen(*tokens, layout(5, 4), window, 0.5)
        args, options = calls.pop()
        assert [tuple(tensor.shape) for tensor in args[:3]] == [(9, 4, 4), (9, 2, 4), (9, 2, 4)]
        assert [args[3].tolist(), args[4].tolist(), *args[5:]] == [[0, 5, 9], [0, 5, 9], 5, 5]
        assert options == {"scale": 0.5, "window_size": sides, "enable_gqa": True}
