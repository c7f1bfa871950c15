"""Windows: which tokens of its text a token sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from transformers.masking_utils import bidirectional_mask_function, causal_mask_function

VisibleFunction: TypeAlias = Callable[[Any, Any, Any, Any], Tensor]
"""transformers' form of a mask: ``(batch, head, query, key) -> bool``, all of them indices."""

UNLIMITED = 2**31 - 1

# Queries that are computed at a time where a window has an edge inside the text: scores of [heads, 512, 512 + window]
# stay small, and keys which nobody in the block sees are not touched at all.
_BLOCK = 512


@dataclass(frozen=True)
class Window:
    """A token sees ``left`` tokens before it and ``right`` behind it."""

    left: int
    right: int

    def covers(self, length: int) -> bool:
        """Whether every token of such a text sees every other."""
        return self.left >= length - 1 and self.right >= length - 1

    def is_causal(self, length: int) -> bool:
        """Whether every token of such a text sees itself, all before it, and nothing else."""
        return self.left >= length - 1 and self.right == 0

    def blocks(self, length: int) -> Iterator[tuple[slice, slice]]:
        """Yield slices of queries, and of the keys that some of them see."""
        for start in range(0, length, _BLOCK):
            stop = min(start + _BLOCK, length)
            yield slice(start, stop), slice(max(0, start - self.left), min(length, stop + self.right))

    def mask(self, queries: slice, keys: slice, device: torch.device) -> Tensor | None:
        """Return bool ``[queries, keys]``, True where a query sees a key; None where all do."""
        if queries.stop - 1 - keys.start <= self.left and keys.stop - 1 - queries.start <= self.right:
            return None
        rows = torch.arange(queries.start, queries.stop, device=device).unsqueeze(1)
        distance = rows - torch.arange(keys.start, keys.stop, device=device)
        return (distance <= self.left) & (distance >= -self.right)


FULL = Window(UNLIMITED, UNLIMITED)
CAUSAL = Window(UNLIMITED, 0)

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
