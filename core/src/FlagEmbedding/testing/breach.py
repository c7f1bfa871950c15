"""How a breach of the contract is said: what the plugin does, what is wanted, and where to look."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType

# Read by pytest, here and in the modules of checks: a report shows the plugin's code, and not how the kit came there.
__tracebackhide__ = True

HOOKS = "FlagEmbedding.plugins.hookspecs, which has each hook with an example"
CONFIGS = "FlagEmbedding.config, which says what each attribute means"
EMBEDDER = "FlagEmbedding.abc.inference.embedder.AbsEmbedder"
RERANKER = "FlagEmbedding.abc.inference.reranker.AbsReranker"
KIT = "docs/plugins.md, 'Testing a plugin'"


def breach(does: str, wants: str, see: str) -> AssertionError:
    """Return the error for a breach.

    Args:
        does: What the plugin does, naming it.
        wants: What the contract wants instead.
        see: Where to look.
    """
    return AssertionError(f"{does}\n  The contract: {wants}\n  Look at: {see}")


def require(holds: object, does: str, wants: str, see: str) -> None:
    """Raise a :func:`breach` unless something holds."""
    if not holds:
        raise breach(does, wants, see)


@dataclass(frozen=True)
class Required:
    """A context in which nothing may be raised: what is becomes the cause of a :func:`breach`."""

    fails: str
    wants: str
    see: str

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            raise breach(f"{self.fails}: {type(error).__name__}: {error}", self.wants, self.see) from error
