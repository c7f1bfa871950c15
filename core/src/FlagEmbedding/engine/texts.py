"""What may be encoded: one text, or a sequence of texts. Anything else is refused by position and type."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from FlagEmbedding.errors import InputError


def as_texts(texts: Any, what: str = "sentences", start: int = 0) -> tuple[list[str], bool]:
    """Return ``(list of texts, whether it was a single one)``.

    Accepts ``str`` (numpy's too), lists, tuples, one-dimensional arrays, series and generators of them. Messages call
    the first of them ``what[start]``.

    Raises:
        InputError: Not a text and no sequence of texts; a text that is no valid Unicode.
    """
    if isinstance(texts, str):
        return [_checked(texts, what, None)], True
    return [_checked(text, what, index) for index, text in enumerate(each(texts, what), start)], False


def each(texts: Any, what: str) -> Iterator[Any]:
    """Return an iterator over what should be texts.

    Raises:
        InputError: It is nothing to iterate over, or has no order.
    """
    if not isinstance(texts, (bytes, Mapping, AbstractSet)):
        try:
            return iter(texts)
        except TypeError:  # arrays without a dimension have the method too
            pass
    raise InputError(f"{what} must be a string or a list of strings, not {named(texts)}.")


def _checked(text: Any, what: str, index: int | None) -> str:
    where = what if index is None else f"{what}[{index}]"
    if not isinstance(text, str):
        raise InputError(f"{where} must be a string, not {named(text)}.")
    if not text.isascii():
        _check_unicode(text, where)
    return text


def _check_unicode(text: str, where: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"{where} holds a lone surrogate (U+{ord(text[error.start]):04X} at character {error.start}), which is no "
            f"valid Unicode. Repair it where the text was read, or with "
            f"text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace')."
        ) from error


def named(value: object) -> str:
    """Return a value in words, for messages."""
    if value is None:
        return "None"
    return f"{type(value).__name__} ({reprlib.repr(value)})"
