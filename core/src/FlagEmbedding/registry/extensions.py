"""What is registered besides models: pooling functions, engines, and the classes that they export."""

from __future__ import annotations

from typing import Any

from FlagEmbedding.claims import Claim, Claims, sole_claim
from FlagEmbedding.plugins.manager import plugin_manager
from FlagEmbedding.references import load_reference
from FlagEmbedding.registry.claim_table import ClaimTable
from FlagEmbedding.registry.classes import EMBEDDER_CLASSES, RERANKER_CLASSES
from FlagEmbedding.registry.hints import distribution_of_export


def _poolings() -> Claims[Any]:
    return plugin_manager().claims("flagembedding_pooling_functions", lambda tables: tables.poolings)


def _engines() -> Claims[Any]:
    return plugin_manager().claims("flagembedding_engines", lambda tables: tables.engines)


POOLINGS: ClaimTable[Any] = ClaimTable("pooling method", _poolings)
"""Pooling functions by name: ``"module:function"``, or the function itself where this process registered one."""

ENGINES: ClaimTable[str] = ClaimTable("engine", _engines)
"""Engines by name: ``"module:function"``."""


def exported_names() -> list[str]:
    """Return the names that model classes add to the package ``FlagEmbedding``."""
    return sorted(_exports())


def exported_class(name: str) -> Any:
    """Return the class that is exported as ``FlagEmbedding.<name>``.

    Raises:
        AttributeError: No such name is known.
        ImportError: The name is known, and its distribution is not installed or not active. Not an AttributeError,
            because ``from FlagEmbedding import NAME`` would drop the message.
    """
    claims = _exports().get(name)
    if claims:
        return load_reference(sole_claim("export", name, claims).value)
    distribution = distribution_of_export(name)
    if distribution is not None:
        raise ImportError(
            f"{name} comes with {distribution}, which is not installed or not active. "
            f"Run: pip install {distribution} (and see: flagembedding plugins)"
        )
    raise AttributeError(f"module 'FlagEmbedding' has no attribute {name!r}")


def _exports() -> Claims[Any]:
    exports: dict[str, list[Claim[Any]]] = {}
    for claim in [*EMBEDDER_CLASSES.claims(), *RERANKER_CLASSES.claims()]:
        for name in claim.value.exports:
            exports.setdefault(name, []).append(Claim(claim.value.reference, claim.owner))
    return exports
