"""What a model is asked, and its answers compared: vectors, scores, or whatever a class of its own returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from FlagEmbedding.testing.breach import breach
from FlagEmbedding.testing.entries import Entry

__tracebackhide__ = True  # see breach

TEXTS = (
    "river",
    "seven stones",
    "the light of Paris",
    "a small engine in zürich?",
    "which window is it, and not in the garden?",
    "the question of the letter was: can a machine search paper for 東京?",
)
"""Shortest first: a model that sorts by length and does not put back what it sorted is seen by another order alone."""

PAIRS = tuple((TEXTS[1], text) for text in TEXTS)

TOLERANCE = 1e-5
"""How far two vectors of one text may lie apart, in any component, in float32."""

SCORE_TOLERANCE = 1e-4
"""How far two scores of one pair may lie apart: scores are not of length 1, and sum over all of a model's width."""


def ways(entry: Entry) -> tuple[str, ...]:
    """Return the methods that a model is asked by."""
    return ("encode_queries", "encode_corpus") if entry.is_embedder else ("compute_score",)


def inputs(entry: Entry) -> list[Any]:
    """Return some texts, or pairs, all different, shortest first."""
    return list(TEXTS if entry.is_embedder else PAIRS)


def many_inputs(entry: Entry, count: int) -> list[Any]:
    """Return so many texts, or pairs, all different."""
    texts = [f"{TEXTS[number % len(TEXTS)]} {number}" for number in range(count)]
    return texts if entry.is_embedder else [(TEXTS[1], text) for text in texts]


def tolerance(entry: Entry) -> float:
    """Return how far two answers may lie apart."""
    return TOLERANCE if entry.is_embedder else SCORE_TOLERANCE


def ask(model: Any, way: str, items: Sequence[Any], **options: Any) -> list[Any]:
    """Return a model's answers, one for each text or pair."""
    found = rows(getattr(model, way)(list(items), **options))
    if len(found) != len(items):
        raise breach(
            f"{type(model).__name__}.{way}() gives {len(found)} results for {len(items)} inputs.",
            "one a text or pair, in their order",
            "what encode_single_device() or compute_score_single_gpu() returns",
        )
    return found


def rows(result: Any) -> list[Any]:
    """Return a result row by row; of a mapping, such as M3's, a row has a value of each kind that was computed."""
    if not isinstance(result, Mapping):
        return list(result)
    columns = {name: rows(values) for name, values in result.items() if values is not None}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def apart(one: Any, other: Any) -> float:
    """Return the greatest difference between two answers; infinity where they are not of the same shape."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        if one.keys() != other.keys():
            return float("inf")
        return max((apart(one[name], other[name]) for name in one), default=0.0)
    first, second = numbers(one), numbers(other)
    if first.shape != second.shape:
        return float("inf")
    distance = float(np.abs(first - second).max(initial=0.0))
    return float("inf") if np.isnan(distance) else distance


def numbers(answer: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return all numbers of an answer."""
    if isinstance(answer, Mapping):
        return np.concatenate([np.ravel(numbers(value)) for value in answer.values()] or [np.empty(0)])
    return np.asarray(answer, dtype=np.float64)
