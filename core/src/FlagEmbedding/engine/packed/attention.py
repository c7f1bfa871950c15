"""Attention over packed texts: each sees itself and nothing else, and nothing is computed for padding."""

from __future__ import annotations

import functools
import inspect
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from FlagEmbedding.engine.packed.layout import Group, Layout
from FlagEmbedding.engine.packed.windows import FULL, Window

Before: TypeAlias = tuple[Tensor, Tensor]
"""Keys and values ``[tokens, key heads, width]`` that come before those of every text."""

_AMPERE = (8, 0)  # the first generation that the kernel is written for
_VARLEN_WIDTH = 256  # of a head, at most: the kernel's own limit


class NotPackableError(RuntimeError):
    """The model does something that the packed attention does not do."""


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layout: Layout,
    window: Window = FULL,
    *,
    scaling: float | None = None,
    softcap: float | None = None,
    bias: Tensor | None = None,
    before: Before | None = None,
) -> Tensor:
    """Return ``[tokens, heads, width]`` of a query, a key and a value of that shape; keys may have fewer heads.

    ``bias`` is added to the scores, ``[1, heads, longest, longest]``; it goes with no window and no softcap. ``before``
    are the keys and values of what every text goes on from, as the layout has it.
    """
    if bias is None and _fits_varlen(query, softcap):
        return _varlen(query, key, value, layout, window, scaling, before)
    rule = _Rule(window, scaling, softcap, bias)
    parts = [_attend_group(query, key, value, group, rule, before) for group in layout.groups]
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def attend_rows(
    query: Tensor, key: Tensor, value: Tensor, layout: Layout, bias: Tensor | None = None, *, at_end: bool = False
) -> Tensor:
    """Attend with one token of each text, its first or its last, to the whole text.

    Args:
        query: ``[texts, heads, width]``.
        key: ``[tokens, heads, width]``.
        value: As ``key``.
        layout: Where the texts lie.
        bias: As in :func:`attend`.
        at_end: Whether the queries are the last tokens, which counts for the bias.

    Returns:
        ``[texts, heads, width]``.
    """
    parts, done = [], 0
    for group in layout.real_groups:
        keys, values = (group.of(tensor).transpose(1, 2) for tensor in (key, value))
        row = group.length - 1 if at_end else 0
        mask = None if bias is None else bias[:, :, row : row + 1, : group.length]
        queries = query[done : done + group.texts].unsqueeze(2)
        parts.append(_sdpa(queries, keys, values, None, mask).squeeze(2))
        done += group.texts
    return torch.cat(parts) if len(parts) > 1 else parts[0]


class _Rule(NamedTuple):
    """What holds for every text of one attention."""

    window: Window
    scaling: float | None
    softcap: float | None
    bias: Tensor | None


def _attend_group(
    query: Tensor, key: Tensor, value: Tensor, group: Group, rule: _Rule, before: Before | None
) -> Tensor:
    """Return ``[the group's tokens, heads, width]``."""
    query = group.of(query).transpose(1, 2)
    key, value = (tensor.transpose(1, 2) for tensor in _behind(before, key, value, group))
    whole, causal = rule.window.covers(group.length), rule.window.is_causal(group.length)
    if rule.softcap is None and before is None and (whole or causal):
        bias = None if rule.bias is None else rule.bias[:, :, : group.length, : group.length]
        mixed = _sdpa(query, key, value, rule.scaling, bias, is_causal=not whole)
    else:
        mixed = _attend_blocks(query, key, value, rule)
    return mixed.transpose(1, 2).flatten(0, 1)


def _behind(before: Before | None, key: Tensor, value: Tensor, group: Group) -> tuple[Tensor, Tensor]:
    """Return a group's keys and values ``[texts, length, heads, width]``, behind what comes before."""
    keys, values = group.of(key), group.of(value)
    if before is None:
        return keys, values
    again = [tensor.expand(group.texts, *tensor.shape) for tensor in before]
    return torch.cat([again[0], keys], dim=1), torch.cat([again[1], values], dim=1)


def _attend_blocks(query: Tensor, key: Tensor, value: Tensor, rule: _Rule) -> Tensor:
    """Attend as the window says, a block of queries at a time; all tensors ``[texts, heads, length, width]``.

    Where there are more keys than queries, the queries are the last of them.
    """
    parts, first = [], key.shape[2] - query.shape[2]
    for rows, columns in rule.window.blocks(first, key.shape[2]):
        mask = rule.window.mask(rows, columns, query.device)
        queries = query[:, :, rows.start - first : rows.stop - first]
        keys, values = key[:, :, columns], value[:, :, columns]
        if rule.softcap is None:
            parts.append(_sdpa(queries, keys, values, rule.scaling, mask))
        else:
            parts.append(_capped(queries, keys, values, rule.scaling, mask, rule.softcap))
    return torch.cat(parts, dim=2)


def _sdpa(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scaling: float | None,
    mask: Tensor | None = None,
    *,
    is_causal: bool = False,
) -> Tensor:
    grouped = query.shape[1] != key.shape[1]
    return scaled_dot_product_attention(query, key, value, mask, 0.0, is_causal, scale=scaling, enable_gqa=grouped)


def _capped(
    query: Tensor, key: Tensor, value: Tensor, scaling: float | None, mask: Tensor | None, softcap: float
) -> Tensor:
    """Attend with capped scores, which no fused kernel of torch does; softmax in float32, as Gemma 2 has it."""
    shared = query.shape[1] // key.shape[1]
    key, value = (tensor.repeat_interleave(shared, dim=1) if shared > 1 else tensor for tensor in (key, value))
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = (query @ key.transpose(2, 3)).mul_(scale / softcap).tanh_().mul_(softcap)
    if mask is not None:
        scores.masked_fill_(~mask, float("-inf"))
    return scores.softmax(dim=-1, dtype=torch.float32).to(query.dtype) @ value


def _fits_varlen(query: Tensor, softcap: float | None) -> bool:
    half = query.dtype in (torch.float16, torch.bfloat16)
    fits = query.is_cuda and half and softcap is None and query.shape[-1] <= _VARLEN_WIDTH
    return fits and _has_varlen(query.device)


@functools.cache
def _has_varlen(device: torch.device) -> bool:
    """Say whether torch has the kernel, with windows and grouped heads, and whether it runs on this card."""
    try:
        from torch.nn.attention.varlen import varlen_attn  # noqa: PLC0415 -- see below
    except ImportError:  # torch before 2.10
        return False
    known = inspect.signature(varlen_attn).parameters
    return {"window_size", "enable_gqa"} <= known.keys() and torch.cuda.get_device_capability(device) >= _AMPERE


def _varlen(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layout: Layout,
    window: Window,
    scaling: float | None,
    before: Before | None = None,
) -> Tensor:
    """All texts in one kernel, whatever their lengths; -1 stands for a side without a limit.

    Where a text has more keys than queries, the kernel takes the queries for the last of them, too.
    """
    # Here, because it brings torch's compiler with it: a second that nobody without a GPU should wait.
    from torch.nn.attention import varlen  # noqa: PLC0415

    longest = layout.before + layout.longest
    sides = tuple(-1 if size >= longest - 1 and size > 0 else size for size in (window.left, window.right))
    if before is not None:
        pairs = [_behind(before, key, value, group) for group in layout.groups]
        key, value = (torch.cat([tensor.flatten(0, 1) for tensor in each]) for each in zip(*pairs, strict=True))
    query, key, value = (tensor.contiguous() for tensor in (query, key, value))
    mixed = varlen.varlen_attn(
        query,
        key,
        value,
        layout.offsets,
        layout.key_offsets,
        layout.longest,
        longest,
        scale=scaling,
        window_size=(sides[0], sides[1]),
        enable_gqa=query.shape[1] != key.shape[1],
    )
    assert isinstance(mixed, Tensor)
    return mixed
