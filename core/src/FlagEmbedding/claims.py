"""Claims: a name, what a plugin says it stands for, and which plugin says so.

Two plugins may claim one name. That is no fault until the name is asked for; then it is an error that names both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from FlagEmbedding.errors import NameConflictError

T = TypeVar("T")

THIS_PROCESS = "this process"
"""The owner of what no distribution brings, or the beginning of its name."""


@dataclass(frozen=True)
class Claim(Generic[T]):
    """One value for a name, and its owner in words (``"flagembedding-bge 0.1.0"``)."""

    value: T
    owner: str


Claims: TypeAlias = Mapping[str, Sequence[Claim[T]]]


def is_claimable(name: object) -> bool:
    """Say whether ``name`` can be claimed: a string without outer blanks."""
    return isinstance(name, str) and name != "" and name == name.strip()


def sole_claim(kind: str, name: str, claims: Sequence[Claim[T]]) -> Claim[T]:
    """Return the only one of ``claims``.

    Raises:
        NameConflictError: There are several; the message names every owner.
    """
    if len(claims) > 1:
        owners = " and ".join(claim.owner for claim in claims)
        raise NameConflictError(
            f"the {kind} {name!r} is claimed by {owners}. Uninstall one of them, or switch it off with "
            f"FLAGEMBEDDING_DISABLE_PLUGINS=<distribution>."
        )
    return claims[0]
