"""Options: the checks that every model class shares."""

from __future__ import annotations

from numbers import Integral
from typing import TypeVar

from FlagEmbedding.errors import OptionError

Count = TypeVar("Count", int, int | None)


def check_count(value: Count, name: str) -> Count:
    """Return ``value`` if it is a positive number, or None where that is allowed.

    Raises:
        OptionError: It is anything else.
    """
    if value is None:
        return value
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:  # numpy's integers count too
        raise OptionError(f"{name} must be a positive number, not {value!r}.")
    return int(value)
