"""What may be encoded: one text, or a sequence of texts. Anything else is refused by position and type."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from FlagEmbedding.errors import InputError


def as_texts(texts: Any, what: str = "sentences") -> tuple[list[str], bool]:
    """Return ``(list of texts, whether it was a single one)``.

    Accepts ``str`` (numpy's too), lists, tuples, one-dimensional arrays, series and generators of them.

    Raises:
        InputError: Not a text and no sequence of texts; a text that is no valid Unicode.
    """
    if isinstance(texts, str):
        return [_checked(texts, what, None)], True
    if isinstance(texts, (bytes, Mapping, AbstractSet)) or not _is_iterable(texts):
        raise InputError(f"{what} must be a string or a list of strings, not {named(texts)}.")
    return [_checked(text, what, index) for index, text in enumerate(texts)], False


def _is_iterable(texts: Any) -> bool:
    try:
        iter(texts)
    except TypeError:  # arrays without a dimension have the method too
        return False
    return True


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
