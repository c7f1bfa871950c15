"""Pooling: from the vectors of a text's tokens to one vector of the text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from FlagEmbedding.errors import ModelClassError
from FlagEmbedding.references import POOLING_FUNCTIONS

PoolingFunction: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""``(states, mask) -> vectors``: float32 ``[texts, tokens, width]``, bool ``[texts, tokens]`` (True where there is a
token; at least one in each row) -> float32 ``[texts, width]``."""


def cls(states: Tensor, mask: Tensor) -> Tensor:
    """Return the first token's vector, wherever the padding is."""
    return _at(states, mask.int().argmax(dim=1))


def mean(states: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over the tokens, padding left out."""
    return _weighted(states, mask)


def last_token(states: Tensor, mask: Tensor) -> Tensor:
    """Return the last token's vector, wherever the padding is."""
    positions = torch.arange(mask.shape[1], device=mask.device)
    return _at(states, (positions * mask.int()).argmax(dim=1))


def maximum(states: Tensor, mask: Tensor) -> Tensor:
    """Return the greatest value over the tokens in each dimension, padding left out (``"max"``)."""
    return states.masked_fill(~mask.unsqueeze(-1), -torch.inf).amax(dim=1)


def mean_sqrt_len(states: Tensor, mask: Tensor) -> Tensor:
    """Return the sum over the tokens, divided by the square root of their number."""
    return mean(states, mask) * mask.sum(dim=1, keepdim=True).sqrt()


def weighted_mean(states: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over the tokens, the first one counted once, the second one twice, and so on."""
    return _weighted(states, mask.cumsum(dim=1) * mask)


@dataclass(frozen=True)
class Concatenated:
    """Several poolings, their vectors behind one another: float32 ``[texts, width * poolings]``."""

    functions: tuple[PoolingFunction, ...]

    def __call__(self, states: Tensor, mask: Tensor) -> Tensor:
        """Pool in each way."""
        return torch.cat([pool(states, mask) for pool in self.functions], dim=1)


def pooling_function(pooling: str | PoolingFunction) -> PoolingFunction:
    """Return the function that is meant: a registered name, several joined by ``+``, ``"module:function"``, or itself.

    Raises:
        ModelClassError: Nobody registered the name, or it stands for no function.
    """
    if isinstance(pooling, str) and "+" in pooling:
        return Concatenated(tuple(pooling_function(name.strip()) for name in pooling.split("+")))
    found = POOLING_FUNCTIONS.load(pooling) if isinstance(pooling, str) else pooling
    if not callable(found):
        raise ModelClassError(
            f"pooling_method={pooling!r} is no pooling: give a name, 'module:function' or a function."
        )
    function: PoolingFunction = found
    return function


def vectors_behind_one_another(pool: PoolingFunction) -> int:
    """Return how many times as wide as a token's vector the vectors of ``pool`` are."""
    return sum(map(vectors_behind_one_another, pool.functions)) if isinstance(pool, Concatenated) else 1


def _weighted(states: Tensor, weights: Tensor) -> Tensor:
    shares = weights.unsqueeze(-1).to(states.dtype)
    return (states * shares).sum(dim=1) / shares.sum(dim=1)


def _at(states: Tensor, positions: Tensor) -> Tensor:
    return states[torch.arange(len(states), device=states.device), positions]
