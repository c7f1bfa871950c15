"""Patterns: the window that a transformers model's own mask function describes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor
from transformers.masking_utils import bidirectional_mask_function, causal_mask_function

from FlagEmbedding.engine.packed.windows import CAUSAL, FULL, UNLIMITED, Window

VisibleFunction: TypeAlias = Callable[[Any, Any, Any, Any], Tensor]
"""transformers' form of a mask: ``(batch, head, query, key) -> bool``, all of them indices."""

_KNOWN: Mapping[Any, Window] = {bidirectional_mask_function: FULL, causal_mask_function: CAUSAL}


class Pattern:
    """What a layer's mask would be: the model's own mask function, read as a window.

    The mask interface of transformers hands it to the model in place of a tensor, and the model hands it on to the
    attention. So the window comes from the model's code, whatever its configuration calls it.
    """

    def __init__(self, visible: VisibleFunction) -> None:
        self._visible = visible
        self._windows: dict[int, Window] = {}

    def window(self, length: int) -> Window:
        """Return the window in a text of ``length`` tokens, unlimited where its edge lies outside."""
        if length not in self._windows:
            self._windows[length] = _window(self._visible, length)
        return self._windows[length]


def _window(visible: VisibleFunction, length: int) -> Window:
    if visible in _KNOWN:
        return _KNOWN[visible]
    left = _seen(visible, length - 1, length) - 1
    right = _seen(visible, 0, length) - 1
    # A text of one token sees nothing on either side, whatever the window.
    return Window(*(UNLIMITED if size == length - 1 and length > 1 else size for size in (left, right)))


def _seen(visible: VisibleFunction, query: int, length: int) -> int:
    """Return how many tokens of a text of ``length`` tokens its token ``query`` sees, itself included."""
    zero, row, keys = torch.tensor(0), torch.tensor(query), torch.arange(length)
    return int(visible(zero, zero, row, keys).expand(length).sum())
