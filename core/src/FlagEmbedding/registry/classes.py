"""Model classes by key, and which class loads a model that nobody registered: one table for each kind of model."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from FlagEmbedding.claims import Claim, Claims, sole_claim
from FlagEmbedding.config import ModelClass
from FlagEmbedding.errors import ModelClassError
from FlagEmbedding.plugins import builtin
from FlagEmbedding.plugins.manager import plugin_manager
from FlagEmbedding.references import is_reference
from FlagEmbedding.registry.claim_table import ClaimTable
from FlagEmbedding.registry.hints import distribution_of_class
from FlagEmbedding.spelling import did_you_mean


class ClassTable:
    """The classes of one kind of model (``"embedder"``, ``"reranker"``), as the core and the plugins claim them."""

    def __init__(self, kind: str, claims: Callable[[], Claims[ModelClass]]) -> None:
        self._kind = kind
        self._claimed = claims
        self._table = ClaimTable(f"{kind} class", claims)

    def register(self, key: str, model_class: ModelClass, *, replace: bool = False) -> None:
        """Register a class under ``key``, in this process.

        Raises:
            ConfigError: The key is no usable string.
            NameConflictError: The key is registered already, for something else, and ``replace`` is False.
        """
        self._table.register([key], model_class, replace=replace)

    def claims(self) -> list[Claim[ModelClass]]:
        """Return every claim, in the order of the plugins."""
        return [claim for claims in self._table.claims().values() for claim in claims]

    def reference(self, key: str | Enum) -> str | type:
        """Return the ``"module:Class"`` (or class) registered under ``key`` (``"encoder-only-base"``, an Enum member).

        A ``"module:Class"`` stands for itself.

        Raises:
            ModelClassError: Nobody registered the key; the message says which distribution would.
            NameConflictError: More than one plugin did.
        """
        name = str(key.value if isinstance(key, Enum) else key)
        if is_reference(name):
            return name
        claims = self._table.claims()
        if name not in claims:
            raise ModelClassError(self._unknown(name, sorted(claims)))
        return sole_claim(f"{self._kind} class", name, claims[name]).value.reference

    def of_model_type(self, model_type: str, architecture: str = "") -> ModelClass | None:
        """Return the class that claims a model type, or None.

        Args:
            model_type: As ``config.json`` spells it.
            architecture: How the model's architecture ends, where the class must be made for that one too.

        Raises:
            NameConflictError: More than one plugin claims it. The core's own claim gives way to a plugin's.
        """
        found = [
            claim
            for claim in self.claims()
            if model_type in claim.value.model_types and architecture in ("", claim.value.architecture)
        ]
        found = [claim for claim in found if claim.owner != builtin.OWNER] or found
        return sole_claim("model type", model_type, found).value if found else None

    def own(self, key: str) -> ModelClass:
        """Return the core's own class under ``key``."""
        return next(claim.value for claim in self._claimed()[key] if claim.owner == builtin.OWNER)

    def _unknown(self, name: str, known: list[str]) -> str:
        distribution = distribution_of_class(name)
        if distribution is not None:
            return f"the model class {name!r} comes with {distribution}. Run: pip install {distribution}"
        parts = [f"unknown {self._kind} class {name!r}.", did_you_mean(name, known), f"Known: {', '.join(known)}."]
        return " ".join(part for part in parts if part)


def _embedder_classes() -> Claims[ModelClass]:
    return plugin_manager().claims("flagembedding_embedder_classes", lambda tables: tables.embedder_classes)


def _reranker_classes() -> Claims[ModelClass]:
    return plugin_manager().claims("flagembedding_reranker_classes", lambda tables: tables.reranker_classes)


EMBEDDER_CLASSES = ClassTable("embedder", _embedder_classes)
RERANKER_CLASSES = ClassTable("reranker", _reranker_classes)
