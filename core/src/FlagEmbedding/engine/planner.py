"""The plan of a run: which texts share a forward."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """Upper bounds of one forward: texts, and tokens with padding counted.

    On a CPU small batches are faster: beyond some thousand tokens the activations leave the cache.
    """

    texts: int
    tokens: int


CPU_TOKENS = 2048
ACCELERATOR_TOKENS = 16384


def plan(lengths: Sequence[int], budget: Budget) -> Iterator[list[int]]:
    """Yield batches of indices into ``lengths``, longest texts first; each index occurs once.

    Sorted by length, so that the texts of a batch need little padding. A text longer than the budget goes alone.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    batch: list[int] = []
    for index in order:
        longest = lengths[batch[0]] if batch else 0
        if batch and (len(batch) == budget.texts or (len(batch) + 1) * longest > budget.tokens):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
