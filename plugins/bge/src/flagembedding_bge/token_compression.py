"""Token compression: from some layer on, each few tokens of a passage go on as one, their mean."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """The states of a batch of pairs; each row is a query, a passage, a prompt, and padding on the right.

    Attributes:
        states: ``[rows, tokens, width]``.
        lengths: int64 ``[rows]``: tokens that are no padding.
        queries: int64 ``[rows]``: how many of them, at the start, are the query's (what stands around it counts too).
        prompts: int64 ``[rows]``: how many, at the end, are the prompt's. The passage is what lies between.
    """

    states: Tensor
    lengths: Tensor
    queries: Tensor
    prompts: Tensor


def compress(rows: Rows, ratio: int) -> Rows:
    """Return ``rows`` with each ``ratio`` tokens of a passage, the last of it maybe fewer, replaced by their mean.

    Queries and prompts stay as they are. What becomes of a row does not depend on the others. A passage without tokens
    stays one. The mean is taken in float32.
    """
    start, size = _segments(rows, ratio)
    last = rows.states.shape[1] - 1
    total = torch.zeros((*start.shape, rows.states.shape[2]), dtype=torch.float32, device=start.device)
    for step in range(ratio):
        taken = torch.take_along_dim(rows.states, (start + step).clamp(max=last).unsqueeze(2), dim=1)
        total += torch.where((step < size).unsqueeze(2), taken, 0)
    mean = (total / size.clamp(min=1).unsqueeze(2)).to(rows.states.dtype)
    return Rows(mean, (size > 0).sum(dim=1), rows.queries, rows.prompts)


def _segments(rows: Rows, ratio: int) -> tuple[Tensor, Tensor]:
    """Return ``(start, size)`` of the tokens that become one, int64 ``[rows, tokens afterwards]``; 0 is padding."""
    queries = rows.queries.unsqueeze(1)
    passages = rows.lengths.unsqueeze(1) - queries - rows.prompts.unsqueeze(1)
    means = (passages + ratio - 1) // ratio
    lengths = rows.lengths.unsqueeze(1) - passages + means
    place = torch.arange(int(lengths.max()), device=rows.states.device).unsqueeze(0)
    token = (place - queries) * ratio  # of the passage, if the place is in it
    in_passage = (place >= queries) & (place < queries + means)
    after = place + torch.where(place < queries, 0, passages - means)
    start = torch.where(in_passage, queries + token, after)
    size = torch.where(in_passage, (passages - token).clamp(max=ratio), 1)
    return start, torch.where(place < lengths, size, 0)
