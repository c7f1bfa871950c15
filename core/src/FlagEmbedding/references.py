"""References: ``"module:attribute"`` strings that stand for an object until it is needed.

The catalogue holds references, so that listing models imports no model code.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from typing import Any

from FlagEmbedding.claims import Claims, sole_claim
from FlagEmbedding.errors import FlagEmbeddingError, ModelClassError, OptionError
from FlagEmbedding.spelling import did_you_mean

_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def is_reference(text: str) -> bool:
    """Say whether ``text`` has the form ``"package.module:Attribute"``."""
    return _REFERENCE.fullmatch(text) is not None


def reference_of(target: Any) -> str:
    """Return ``"module:attribute"`` of a class or function, or the reference that ``target`` is."""
    return target if isinstance(target, str) else f"{target.__module__}:{target.__qualname__}"


def load_reference(reference: Any) -> Any:
    """Import ``"module:attribute"`` and return the object; what is no string is the object itself.

    Raises:
        ModelClassError: The module or the attribute does not exist. An ``ImportError`` for anything else that the
            module needs is passed on as the cause.
    """
    if not isinstance(reference, str):
        return reference
    module_name, _, attribute = reference.partition(":")
    try:
        target: Any = importlib.import_module(module_name)
    except ImportError as error:
        raise ModelClassError(_why_not_imported(reference, module_name, error)) from error
    for part in attribute.split("."):
        try:
            found = hasattr(target, part)
        except ImportError as error:  # a lazy module that knows the name and cannot import it
            raise ModelClassError(f"{reference!r} could not be imported: {error}") from error
        if not found:
            raise ModelClassError(f"{reference!r} names no object: module {module_name!r} has no {attribute!r}.")
        target = getattr(target, part)
    return target


def _why_not_imported(reference: str, module_name: str, error: ImportError) -> str:
    package = module_name.partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and error.name == package:
        return f"{reference!r} could not be imported: package {package!r} is not installed."
    if isinstance(error, ModuleNotFoundError) and error.name and f"{module_name}.".startswith(f"{error.name}."):
        return (
            f"{reference!r} is not there yet: the installed version of package {package!r} has no module "
            f"{error.name!r}. Install a version that ships it, or name another class with model_class=."
        )
    return f"{reference!r} could not be imported: {error}"


class ReferenceTable:
    """Names to references, for one kind of extension (pooling functions, say), as the catalogue has them.

    The ground floor cannot see the catalogue: the facade hands the table a function that returns its claims.

    Args:
        kind: What the names stand for, for messages.
        error: What an unknown name is.
    """

    def __init__(self, kind: str, error: type[FlagEmbeddingError] = ModelClassError) -> None:
        self._kind = kind
        self._error = error
        self._source: Callable[[], Claims[Any]] = dict
        self._distribution: Callable[[str], str | None] = lambda _: None

    def fill_from(
        self, source: Callable[[], Claims[Any]], distribution: Callable[[str], str | None] | None = None
    ) -> None:
        """Let ``source()`` say what is claimed; it is asked at every look-up, so that later registrations count.

        ``distribution(name)`` says what would bring a name that nobody claims, if that is known.
        """
        self._source = source
        self._distribution = distribution or self._distribution

    def names(self) -> list[str]:
        """Return the known names, sorted."""
        return sorted(self._source())

    def reference(self, name: str) -> str:
        """Return the ``"module:attribute"`` behind ``name`` (or ``name`` itself if it is such a reference).

        Raises:
            ModelClassError: Nobody registered the name (or the error that this table was made with).
            NameConflictError: More than one plugin did.
        """
        return reference_of(self._target(name))

    def load(self, name: str) -> Any:
        """Return the object behind ``name``, importing it where it is not what was registered; errors likewise."""
        return load_reference(self._target(name))

    def _target(self, name: str) -> Any:
        if is_reference(name):
            return name
        claims = self._source().get(name)
        if not claims:
            raise self._error(self._unknown(name))
        return sole_claim(self._kind, name, claims).value

    def _unknown(self, name: str) -> str:
        distribution = self._distribution(name)
        install = (
            f"It comes with {distribution}, which is not installed or not active. Run: pip install {distribution} "
            "(and see: flagembedding plugins)."
        )
        parts = [
            f"unknown {self._kind} {name!r}.",
            install if distribution else did_you_mean(name, self.names()),
            f"Known: {', '.join(self.names()) or 'none'}.",
            "A plugin can register others, and 'module:name' stands for any importable one.",
        ]
        return " ".join(part for part in parts if part)


POOLING_FUNCTIONS = ReferenceTable("pooling method")
"""Pooling functions by name; see :data:`FlagEmbedding.engine.pooling.PoolingFunction` for what one does."""

ENGINES = ReferenceTable("engine", OptionError)
"""Other engines than the core's own, by name; see :data:`FlagEmbedding.engine.running.EngineFunction`."""
