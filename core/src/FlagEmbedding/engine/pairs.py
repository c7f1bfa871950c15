"""What may be scored: a pair of a query and a passage, or a sequence of pairs. The rest is refused by position."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, TypeAlias

from FlagEmbedding.engine.texts import as_texts, named
from FlagEmbedding.errors import InputError

Pair: TypeAlias = tuple[str, str]


def as_pairs(sentence_pairs: Any) -> tuple[list[Pair], bool]:
    """Return ``(list of pairs, whether it was a single one)``.

    Two strings are one pair; a sequence of tuples, lists or rows of an array is a sequence of pairs.

    Raises:
        InputError: Something is no pair of two strings.
    """
    problem = InputError(f"sentence_pairs must be a pair or a list of pairs, not {named(sentence_pairs)}.")
    # A data frame goes through its column names, two of which would look like a pair.
    if isinstance(sentence_pairs, (str, bytes, Mapping, AbstractSet)) or hasattr(sentence_pairs, "columns"):
        raise problem
    try:
        iterator = iter(sentence_pairs)
    except TypeError as error:
        raise problem from error
    items = list(iterator)
    if items and isinstance(items[0], str):
        return [_as_pair(items, "sentence_pairs")], True
    return [_as_pair(item, f"sentence_pairs[{index}]") for index, item in enumerate(items)], False


def _as_pair(item: Any, where: str) -> Pair:
    if isinstance(item, (str, bytes, Mapping)) or not hasattr(item, "__iter__"):
        raise InputError(f"{where} must be a query and a passage, not {named(item)}.")
    texts, _ = as_texts(item, where)
    if len(texts) != 2:  # noqa: PLR2004 - a pair
        raise InputError(f"{where} must be a query and a passage, not {len(texts)} texts.")
    return texts[0], texts[1]
