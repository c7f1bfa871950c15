from __future__ import annotations

import pytest
import torch

from FlagEmbedding.engine.pooling import (
    Concatenated,
    cls,
    last_token,
    maximum,
    mean,
    mean_sqrt_len,
    pooling_function,
    vectors_behind_one_another,
    weighted_mean,
)

# Two texts of 3 and 1 tokens in a rectangle of 4; 99 stands where the padding is.
RIGHT = torch.tensor(
    [
        [[1.0, 10.0], [2.0, 20.0], [6.0, 30.0], [99.0, 99.0]],
        [[-4.0, 8.0], [99.0, 99.0], [99.0, 99.0], [99.0, 99.0]],
    ]
)
RIGHT_MASK = torch.tensor([[True, True, True, False], [True, False, False, False]])
LEFT = torch.tensor(
    [
        [[99.0, 99.0], [1.0, 10.0], [2.0, 20.0], [6.0, 30.0]],
        [[99.0, 99.0], [99.0, 99.0], [99.0, 99.0], [-4.0, 8.0]],
    ]
)
LEFT_MASK = torch.tensor([[False, True, True, True], [False, False, False, True]])


@pytest.mark.parametrize(("states", "mask"), [(RIGHT, RIGHT_MASK), (LEFT, LEFT_MASK)], ids=["right", "left"])
@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        (cls, [[1.0, 10.0], [-4.0, 8.0]]),
        (mean, [[3.0, 20.0], [-4.0, 8.0]]),
        (last_token, [[6.0, 30.0], [-4.0, 8.0]]),
        (maximum, [[6.0, 30.0], [-4.0, 8.0]]),
        (weighted_mean, [[(1 + 4 + 18) / 6, (10 + 40 + 90) / 6], [-4.0, 8.0]]),
        (mean_sqrt_len, [[9.0 / 3**0.5, 60.0 / 3**0.5], [-4.0, 8.0]]),
        (Concatenated((last_token, mean)), [[6.0, 30.0, 3.0, 20.0], [-4.0, 8.0, -4.0, 8.0]]),
    ],
)
def test_padding_does_not_count_on_either_side(pool, states, mask, expected):
    assert torch.allclose(pool(states, mask), torch.tensor(expected))


@pytest.mark.parametrize(
    ("pool", "expected"), [(cls, [[1.0, 10.0]]), (mean, [[27.0, 39.75]]), (last_token, [[99.0, 99.0]])]
)
def test_without_padding_every_token_counts(pool, expected):
    assert pool(RIGHT[:1], torch.ones(1, 4, dtype=torch.bool)).tolist() == expected


@pytest.mark.parametrize("pool", [cls, mean, last_token, maximum, mean_sqrt_len, weighted_mean])
def test_the_mask_is_not_changed_and_the_result_is_float32(pool):
    mask = RIGHT_MASK.clone()
    assert pool(RIGHT, mask).dtype == torch.float32
    assert mask.tolist() == RIGHT_MASK.tolist()


@pytest.mark.parametrize(
    ("given", "found", "vectors"),
    [
        ("mean", mean, 1),
        ("max", maximum, 1),
        ("mean+max", Concatenated((mean, maximum)), 2),
        ("cls + FlagEmbedding.engine.pooling:mean", Concatenated((cls, mean)), 2),
        (weighted_mean, weighted_mean, 1),
    ],
)
def test_by_name(given, found, vectors):
    assert pooling_function(given) == found
    assert vectors_behind_one_another(pooling_function(given)) == vectors
