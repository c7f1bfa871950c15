"""The layout of a packed forward: many texts, one behind the other, and where each of them lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain, groupby
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from FlagEmbedding.engine.packed.prefix import Prefix

Wanted: TypeAlias = Literal["all", "first", "last"]
"""The tokens of each text that somebody reads."""


@dataclass(frozen=True)
class Group:
    """Neighbours of equal length: ``texts`` of them, ``length`` tokens each, the first at token ``start``."""

    start: int
    texts: int
    length: int

    @property
    def stop(self) -> int:
        """The token behind the last one."""
        return self.start + self.texts * self.length

    def of(self, tokens: Tensor) -> Tensor:
        """Return the group's part of ``[tokens, ...]`` as ``[texts, length, ...]``, without a copy."""
        return torch.unflatten(tokens[self.start : self.stop], 0, (self.texts, self.length))


class Layout:
    """The texts of one forward, sorted by length, so that equal lengths are neighbours.

    A layout belongs to one call and travels with it, so that threads which share a model share nothing else.

    Args:
        lengths: The tokens of each text, at least one, in the caller's order.
        device: Where the model computes.
        step: The forward has a multiple of so many tokens: a filler, which is a text that nobody reads, makes it up.
            oneDNN prepares its kernels anew for each number of rows, which takes longer than some rows too many.
        prefix: What every text goes on from; ``lengths`` count what comes behind it.

    Attributes:
        order: The caller's position of each packed text; longest first, as the planner sends them.
        real_groups: The groups of the caller's texts.
        groups: These, and the filler's where there is one.
        kept: Where the attention puts each layer's keys and values, if somebody is to go on from them.
    """

    kept: dict[int, tuple[Tensor, Tensor]] | None = None

    def __init__(
        self, lengths: Sequence[int], device: torch.device, step: int = 1, prefix: Prefix | None = None
    ) -> None:
        self.order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
        self.lengths = [lengths[index] for index in self.order]
        self.device = device
        self.prefix = prefix
        self.before = 0 if prefix is None else len(prefix)
        self.real_groups = list(_groups(self.lengths))
        self.filler = -self.tokens % step
        self.groups = [*self.real_groups, *([Group(self.tokens, 1, self.filler)] if self.filler else [])]

    @property
    def longest(self) -> int:
        """The tokens of the longest text, without the prefix."""
        return max(self.lengths[0], self.filler)

    @property
    def tokens(self) -> int:
        """The tokens of the caller's texts."""
        return self.real_groups[-1].stop

    @cached_property
    def offsets(self) -> Tensor:
        """int32 ``[texts + 1]``: where each text begins, and the end; the form that varlen kernels take."""
        lengths = [0, *self.lengths, *([self.filler] if self.filler else [])]
        return torch.tensor(list(accumulate(lengths)), dtype=torch.int32, device=self.device)

    @cached_property
    def key_offsets(self) -> Tensor:
        """int32 ``[texts + 1]``: as ``offsets``, of the keys, where each text has the prefix before it."""
        return self.offsets + self.before * torch.arange(len(self.offsets), dtype=torch.int32, device=self.device)

    @cached_property
    def first(self) -> Tensor:
        """int64 ``[texts]``: the first token of each packed text."""
        starts = [group.start + index * group.length for group in self.real_groups for index in range(group.texts)]
        return torch.tensor(starts, device=self.device)

    @cached_property
    def last(self) -> Tensor:
        """int64 ``[texts]``: the last token of each packed text."""
        return self.first + torch.tensor(self.lengths, device=self.device) - 1

    def rows(self, wanted: Wanted) -> Tensor | None:
        """Return int64 ``[texts]``: the wanted tokens; None where all are."""
        return None if wanted == "all" else self.first if wanted == "first" else self.last

    def pack(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Return int64 ``[tokens]``: ``rows``, in the caller's order, one behind the other; zeros in the filler."""
        ordered = chain.from_iterable(rows[index] for index in self.order)
        return torch.tensor([*ordered, *[0] * self.filler], device=self.device)

    def positions(self, start: int = 0) -> Tensor:
        """Return int64 ``[tokens]``: each token's position in its text, counted from ``start``."""
        start += self.before
        numbers = torch.arange(start, start + self.longest, device=self.device)
        parts = [numbers[: group.length].repeat(group.texts) for group in self.groups]
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def restore(self, packed: Tensor) -> Tensor:
        """Return the rows ``[texts, ...]`` in the caller's order."""
        if self.order == list(range(len(self.order))):
            return packed
        restored = torch.empty_like(packed)
        restored[self.order] = packed
        return restored


def _groups(lengths: Sequence[int]) -> Iterator[Group]:
    start = 0
    for length, run in groupby(lengths):
        group = Group(start, len(list(run)), length)
        yield group
        start = group.stop
