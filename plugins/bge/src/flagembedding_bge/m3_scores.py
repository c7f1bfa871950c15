"""Scores between M3 outputs: lexical overlap and MaxSim (M3-Embedding, arXiv 2402.03216, section 3.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, SupportsFloat, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor

from FlagEmbedding.errors import InputError

LexicalWeights: TypeAlias = Mapping[str, SupportsFloat]
"""Token id, as a string, to its weight."""

Scores: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
Weight = TypeVar("Weight", bound=SupportsFloat)


def lexical_matching_score(first: Any, second: Any) -> float | Scores:
    """Return the sum, over the tokens of both texts, of the product of their weights.

    Args:
        first: The weights of a text, or a list of them.
        second: Likewise; a dict with a dict, a list with a list.

    Returns:
        A float for two dicts, float64 ``[len(first), len(second)]`` for two lists.

    Raises:
        InputError: They are neither two dicts nor two lists of dicts.
    """
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return _overlap(first, second)
    if _are_dicts(first) and _are_dicts(second):
        return _overlaps(first, second)
    raise InputError(
        f"lexical weights are compared as two dicts or two lists of dicts (the 'lexical_weights' of an encode with "
        f"return_sparse=True), not {type(first).__name__} with {type(second).__name__}."
    )


def _overlap(first: LexicalWeights, second: LexicalWeights) -> float:
    return float(sum(float(weight) * float(second[token]) for token, weight in first.items() if token in second))


def _overlaps(rows: Sequence[LexicalWeights], columns: Sequence[LexicalWeights]) -> Scores:
    """Score all against all through the columns' postings, so that a token costs one step a row, not one a pair."""
    postings: dict[str, tuple[list[int], list[float]]] = {}
    for column, weights in enumerate(columns):
        for token, weight in weights.items():
            where, values = postings.setdefault(token, ([], []))
            where.append(column)
            values.append(float(weight))
    scores = np.zeros((len(rows), len(columns)))
    for row, weights in enumerate(rows):
        for token in weights.keys() & postings.keys():
            where, values = postings[token]
            scores[row, where] += float(weights[token]) * np.array(values)
    return scores


def _are_dicts(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(item, Mapping) for item in value)


def colbert_score(q_reps: Any, p_reps: Any) -> Tensor:
    """Return MaxSim: the mean, over the query's tokens, of the best product with a token of the passage.

    Args:
        q_reps: ``[tokens, width]`` of the query, numpy or torch.
        p_reps: ``[tokens, width]`` of the passage.

    Returns:
        A float32 scalar.

    Raises:
        InputError: They are no such matrices, or not of one width.
    """
    query, passage = _matrix(q_reps, "q_reps"), _matrix(p_reps, "p_reps")
    if query.shape[1] != passage.shape[1]:
        raise InputError(f"q_reps are {query.shape[1]} wide and p_reps {passage.shape[1]}: two different models?")
    return (query @ passage.T).amax(dim=1).mean()


def colbert_scores(query_vecs: Any, passage_vecs: Iterable[Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the :func:`colbert_score` of one query with each passage, float32 ``[passages]``.

    A product a passage: copying them together for one large product took 2 to 6 times as long (200 to 1000 tokens of
    1024 dimensions, torch 2.13 on a CPU), because a passage's vectors outweigh its scores.
    """
    query = _matrix(query_vecs, "query_vecs")
    scores = [colbert_score(query, passage) for passage in passage_vecs]
    return torch.stack(scores).numpy() if scores else np.empty(0, np.float32)


def _matrix(value: Any, name: str) -> Tensor:
    try:
        matrix = value.detach() if isinstance(value, Tensor) else torch.from_numpy(_writable(value))
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be float [tokens, width], not {type(value).__name__}: {error}.") from error
    if matrix.ndim != 2 or not len(matrix):  # noqa: PLR2004 - a matrix
        raise InputError(f"{name} must be [tokens, width] with at least one token, not {list(matrix.shape)}.")
    return matrix.to("cpu", torch.float32)


def _writable(value: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return a C-ordered float32 array, a copy only if need be; torch warns of read-only ones (``mmap_mode="r"``)."""
    return np.require(value, np.float32, ["C", "W"])


def tokens_of(lexical_weights: Mapping[str, Weight], tokenizer: Any) -> dict[str, Weight]:
    """Return the weights keyed by the tokens' text; of tokens that read alike, the larger weight.

    Raises:
        InputError: A key is no token id.
    """
    named: dict[str, Weight] = {}
    for token, weight in lexical_weights.items():
        text = tokenizer.decode([_token_id(token)])
        if text not in named or float(weight) > float(named[text]):
            named[text] = weight
    return named


def sparse_array(lexical_weights: LexicalWeights) -> dict[str, np.ndarray[Any, Any]]:
    """Return ``{"indices": int64, "values": float32}``, both ``[tokens]``, by rising index.

    Raises:
        InputError: A key is no token id.
    """
    pairs = sorted((_token_id(token), float(weight)) for token, weight in lexical_weights.items())
    return {
        "indices": np.array([token for token, _ in pairs], np.int64),
        "values": np.array([weight for _, weight in pairs], np.float32),
    }


def each(lexical_weights: Any) -> tuple[list[Mapping[str, Any]], bool]:
    """Return ``(list of dicts, whether it was a single one)``.

    Raises:
        InputError: It is neither a dict nor a list of dicts.
    """
    if isinstance(lexical_weights, Mapping):
        return [lexical_weights], True
    if _are_dicts(lexical_weights):
        return list(lexical_weights), False
    raise InputError(
        f"lexical weights are a dict or a list of dicts (the 'lexical_weights' of an encode with return_sparse=True), "
        f"not {type(lexical_weights).__name__}."
    )


def _token_id(token: object) -> int:
    try:
        return int(str(token))
    except ValueError as error:
        raise InputError(f"{token!r} is no token id: lexical weights are keyed as encode returns them.") from error
