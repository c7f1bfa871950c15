from __future__ import annotations

import pytest
import torch
from transformers import masking_utils

from FlagEmbedding.engine.packed.patterns import Pattern
from FlagEmbedding.engine.packed.windows import CAUSAL, FULL, UNLIMITED, Window


@pytest.mark.parametrize(
    ("visible", "window"),
    [
        (masking_utils.causal_mask_function, CAUSAL),
        (masking_utils.bidirectional_mask_function, FULL),
        (masking_utils.sliding_window_causal_mask_function(4), Window(3, 0)),  # the token itself is one of the 4
        (masking_utils.sliding_window_bidirectional_mask_function(4), Window(4, 4)),
        (masking_utils.sliding_window_causal_mask_function(40), CAUSAL),
        (masking_utils.sliding_window_bidirectional_mask_function(40), FULL),
        (masking_utils.and_masks(masking_utils.causal_mask_function), CAUSAL),
    ],
)
def test_a_window_is_read_off_the_models_own_mask(visible, window):
    pattern = Pattern(visible)
    assert pattern.window(20) == window
    assert pattern.window(20) is pattern.window(20)
    places = torch.arange(20)
    grid = visible(torch.tensor(0), torch.tensor(0), places.unsqueeze(1), places).expand(20, 20)
    mask = pattern.window(20).mask(slice(0, 20), slice(0, 20), torch.device("cpu"))
    assert torch.equal(grid, torch.ones_like(grid) if mask is None else mask)


def test_one_token_sees_itself():
    window = Pattern(masking_utils.sliding_window_causal_mask_function(4)).window(1)
    assert window.covers(1)


def test_which_texts_a_window_reaches_over():
    assert Window(3, 3).covers(4)
    assert not Window(3, 3).covers(5)
    assert not Window(3, 2).covers(4)
    assert Window(3, 0).is_causal(4)
    assert not Window(3, 0).is_causal(5)
    assert not Window(3, 1).is_causal(4)
    assert Window(UNLIMITED, 0).is_causal(100000)


@pytest.mark.parametrize("window", [Window(3, 0), Window(2, 5), CAUSAL, FULL])
@pytest.mark.parametrize(("first", "length"), [(0, 1), (0, 6), (0, 7), (0, 8), (0, 29), (5, 29), (9, 10)])
def test_blocks_cover_what_is_seen_and_touch_little_else(window, first, length, monkeypatch):
    monkeypatch.setattr("FlagEmbedding.engine.packed.windows._BLOCK", 7)
    seen = torch.zeros(length, length, dtype=torch.bool)
    for queries, keys in window.blocks(first, length):
        mask = window.mask(queries, keys, seen.device)
        seen[queries, keys] = True if mask is None else mask
        assert keys.stop - keys.start <= 7 + min(window.left, length) + min(window.right, length)
    distance = torch.arange(length).unsqueeze(1) - torch.arange(length)
    expected = (distance <= window.left) & (-distance <= window.right)
    assert torch.equal(seen[first:], expected[first:])
    assert not seen[:first].any()
