"""Pooling: from the vectors of a text's tokens to one vector of the text."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

PoolingFunction: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""``(states, mask) -> vectors``: float32 ``[texts, tokens, width]``, bool ``[texts, tokens]`` (True where there is a
token; at least one in each row) -> float32 ``[texts, width]``."""


def cls(states: Tensor, mask: Tensor) -> Tensor:
    """Return the first token's vector, wherever the padding is."""
    return _at(states, mask.int().argmax(dim=1))


def mean(states: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over the tokens, padding left out."""
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(dim=1) / weights.sum(dim=1)


def last_token(states: Tensor, mask: Tensor) -> Tensor:
    """Return the last token's vector, wherever the padding is."""
    positions = torch.arange(mask.shape[1], device=mask.device)
    return _at(states, (positions * mask.int()).argmax(dim=1))


def _at(states: Tensor, positions: Tensor) -> Tensor:
    return states[torch.arange(len(states), device=states.device), positions]
