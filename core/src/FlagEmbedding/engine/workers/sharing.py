"""Work shared out: which inputs go together to a worker, and the results back in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

# Parts for each worker: enough that nobody waits long for the last one, few enough that each still fills batches.
_PARTS = 4
_MOST = 16384  # inputs of a part: what a message, and the result that comes back, may well hold


def shares(inputs: Sequence[Any], workers: int) -> list[list[int]]:
    """Return the positions of ``inputs`` in parts of about equal work, the longest inputs in the first.

    Args:
        inputs: Texts, or tuples of them.
        workers: How many will share them.
    """
    sizes = [_characters(item) for item in inputs]
    fair = sum(sizes) / (workers * _PARTS)
    parts: list[list[int]] = []
    room = 0.0
    for position in sorted(range(len(inputs)), key=lambda index: -sizes[index]):
        if not parts or room <= 0 or len(parts[-1]) == _MOST:
            parts.append([])
            room = fair
        parts[-1].append(position)
        room -= sizes[position]
    return parts


def _characters(item: Any) -> int:
    # One more, so that many empty texts are work too.
    return 1 + (len(item) if isinstance(item, str) else sum(map(len, item)))


def joined(results: Sequence[Any], parts: Sequence[Sequence[int]]) -> Any:
    """Return the results of ``parts`` as one, each row where its input was.

    Args:
        results: Of each part: an array, a tensor or a list with a row for each input, a mapping of such, or None.
        parts: As :func:`shares` gave them.
    """
    first, count = results[0], sum(map(len, parts))
    if first is None:
        return None
    if isinstance(first, Mapping):
        return {name: joined([result[name] for result in results], parts) for name in first}
    if isinstance(first, np.ndarray):
        return _scattered(np.empty((count, *first.shape[1:]), first.dtype), results, parts)
    if isinstance(first, torch.Tensor):
        return _scattered(first.new_empty((count, *first.shape[1:])), results, parts)
    rows: list[Any] = [None] * count
    for result, part in zip(results, parts, strict=True):
        for position, row in zip(part, result, strict=True):
            rows[position] = row
    return rows


def _scattered(rows: Any, results: Sequence[Any], parts: Sequence[Sequence[int]]) -> Any:
    for result, part in zip(results, parts, strict=True):
        rows[part] = result
    return rows
