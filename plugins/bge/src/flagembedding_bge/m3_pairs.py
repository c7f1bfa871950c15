"""Scores of (query, passage) pairs in all modes of an M3 model, each text encoded once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from FlagEmbedding.engine.pairs import Pair
from FlagEmbedding.errors import OptionError
from flagembedding_bge.m3_outputs import DENSE, LEXICAL, MULTI
from flagembedding_bge.m3_scores import colbert_score, lexical_matching_score

Encode: TypeAlias = Callable[[list[str]], Mapping[str, Any]]
"""Texts to their outputs of all three kinds."""

# A token has 4 KB of ColBERT vectors at 1024 dimensions, and rarely less than a character: at most half a gigabyte.
_CHUNK_CHARACTERS = 2**17


def mode_weights(weights: Iterable[float] | None) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the weights of dense, sparse and ColBERT scores, float64 ``[3]``; None means equal ones.

    Raises:
        OptionError: They are not three numbers, one is negative or no number, or all are 0.
    """
    if weights is None:
        return np.ones(3)
    try:
        values = [float(weight) for weight in weights]
    except (TypeError, ValueError) as error:
        raise OptionError(f"weights_for_different_modes are three numbers, not {weights!r}.") from error
    if len(values) != 3 or not all(0 <= value < math.inf for value in values) or not any(values):  # noqa: PLR2004
        raise OptionError(
            f"weights_for_different_modes are three numbers (dense, sparse, colbert), none below 0 and not all 0, "
            f"not {values}."
        )
    return np.array(values)


def score_pairs(pairs: Sequence[Pair], encode_queries: Encode, encode_passages: Encode, weights: Any) -> dict[str, Any]:
    """Return the scores of ``pairs`` by mode, a list of floats each, in order.

    The vectors of all different queries are held at once, those of the passages a chunk at a time.

    Args:
        pairs: Query and passage.
        encode_queries: Called once, with the different queries.
        encode_passages: Called with chunks of the different passages.
        weights: As :func:`mode_weights` returns them.
    """
    rows = {query: row for row, query in enumerate(dict.fromkeys(query for query, _ in pairs))}
    queries = encode_queries(list(rows))
    asked: dict[str, list[int]] = {}
    for index, (_, passage) in enumerate(pairs):
        asked.setdefault(passage, []).append(index)
    scores = np.empty((len(pairs), 3))
    for chunk in _chunks(asked):
        passages = encode_passages(chunk)
        for column, passage in enumerate(chunk):
            for index in asked[passage]:
                scores[index] = _scores(queries, rows[pairs[index][0]], passages, column)
    return _modes(scores, weights)


def _chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    size = 0
    for text in texts:
        if chunk and size + len(text) > _CHUNK_CHARACTERS:
            yield chunk
            chunk, size = [], 0
        chunk.append(text)
        size += len(text) + 2  # the special tokens
    if chunk:
        yield chunk


def _scores(queries: Mapping[str, Any], row: int, passages: Mapping[str, Any], column: int) -> tuple[Any, Any, Any]:
    return (
        np.dot(queries[DENSE][row], passages[DENSE][column]),
        lexical_matching_score(queries[LEXICAL][row], passages[LEXICAL][column]),
        colbert_score(queries[MULTI][row], passages[MULTI][column]),
    )


def _modes(scores: Any, weights: Any) -> dict[str, Any]:
    dense, sparse, colbert = scores.T
    return {
        "colbert": colbert.tolist(),
        "sparse": sparse.tolist(),
        "dense": dense.tolist(),
        "sparse+dense": _weighted_mean(scores[:, :2], weights[:2]).tolist(),
        "colbert+sparse+dense": _weighted_mean(scores, weights).tolist(),
    }


def _weighted_mean(scores: Any, weights: Any) -> Any:
    total = weights.sum()
    return scores @ weights / total if total else np.zeros(len(scores))  # of modes that do not count at all
