"""Names of one kind: what the plugins claim, and on top of it what this process says."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from FlagEmbedding.claims import Claim, Claims, is_claimable
from FlagEmbedding.errors import ConfigError, NameConflictError
from FlagEmbedding.registry.origin import here
from FlagEmbedding.registry.temporary import undo_at_the_end

T = TypeVar("T")

_changing = threading.RLock()


@dataclass(frozen=True)
class _Own(Generic[T]):
    """What this process says; replaced as a whole, so that a reader never sees half of a change."""

    claims: Mapping[str, Claim[T]] = field(default_factory=dict)
    deleted: frozenset[str] = frozenset()


class ClaimTable(Generic[T]):
    """The names of one kind (``"embedder"``, ``"pooling method"``), each with its claims.

    A name that this process registers has one claim, its own. A name that it deletes has none. All others are as
    ``claimed()`` says, which is asked every time, so that plugins registered later count.
    """

    def __init__(self, kind: str, claimed: Callable[[], Claims[T]]) -> None:
        self.kind = kind
        self._claimed = claimed
        self._own: _Own[T] = _Own()

    def claims(self) -> Claims[T]:
        """Return every claim: of the plugins, in their order, then of this process."""
        own, claimed = self._own, self._claimed()
        if not own.claims and not own.deleted:
            return claimed
        kept = {name: claims for name, claims in claimed.items() if name not in own.deleted}
        return {**kept, **{name: [claim] for name, claim in own.claims.items()}}

    def register(self, names: Iterable[str], value: T, *, replace: bool) -> None:
        """Let each of ``names`` stand for ``value``; all of them or, where there is an error, none.

        Raises:
            ConfigError: A name is no usable string.
            NameConflictError: Somebody registered it already, to stand for something else, and ``replace`` is False.
        """
        claim, names = Claim(value, here()), list(names)
        for name in names:
            self._check_name(name)
        with _changing:
            if not replace:
                for name in names:
                    self._check_free(name, claim)
            for name in names:
                self._put(name, claim)

    def delete(self, name: str) -> None:
        """Forget ``name``, in this process.

        Raises:
            KeyError: There is no such name.
        """
        with _changing:
            if name not in self.claims():
                raise KeyError(name)
            own = {key: claim for key, claim in self._own.claims.items() if key != name}
            self._change(name, _Own(own, self._own.deleted | {name}))

    def _put(self, name: str, claim: Claim[T]) -> None:
        self._change(name, _Own({**self._own.claims, name: claim}, self._own.deleted))

    def _change(self, name: str, own: _Own[T]) -> None:
        undo_at_the_end(functools.partial(self._restore, name, self._own))
        self._own = own

    def _restore(self, name: str, before: _Own[T]) -> None:
        """Let ``name`` stand for what it stood for before, in the place that it had; other names stay as they are."""
        with _changing:
            own = {key: claim for key, claim in self._own.claims.items() if key != name}
            if name in before.claims:
                own[name] = before.claims[name]
            order = [*(key for key in before.claims if key in own), *(key for key in own if key not in before.claims)]
            others = self._own.deleted - {name}
            self._own = _Own({key: own[key] for key in order}, others | (before.deleted & {name}))

    def _check_name(self, name: object) -> None:
        if not is_claimable(name):
            raise ConfigError(f"{self.kind} names are strings without outer blanks, not {name!r}.")

    def _check_free(self, name: str, claim: Claim[T]) -> None:
        own = self._own.claims.get(name)
        if own is not None and own.value == claim.value:  # said again: by a cell of a notebook, say
            return
        claims = self.claims().get(name)
        if claims:
            owners = " and ".join(held.owner for held in claims)
            raise NameConflictError(
                f"the {self.kind} {name!r} is registered by {owners}, and {claim.owner} registers it again. Say "
                f"replace=True to put the new one in its place, or take another name."
            )
