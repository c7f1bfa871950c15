"""What the plugins register besides models: pooling functions, engines, and the classes that they export."""

from __future__ import annotations

from typing import Any

from FlagEmbedding.claims import Claim, Claims, sole_claim
from FlagEmbedding.plugins.manager import plugin_manager
from FlagEmbedding.references import load_reference
from FlagEmbedding.registry.classes import EMBEDDER_CLASSES, RERANKER_CLASSES
from FlagEmbedding.registry.hints import distribution_of_export


def pooling_claims() -> Claims[str]:
    """Return the pooling functions by name, as the plugins claim them."""
    return plugin_manager().claims("flagembedding_pooling_functions", lambda tables: tables.poolings)


def engine_claims() -> Claims[str]:
    """Return the engines by name, as the plugins claim them."""
    return plugin_manager().claims("flagembedding_engines", lambda tables: tables.engines)


def exported_names() -> list[str]:
    """Return the names that plugins add to the package ``FlagEmbedding``."""
    return sorted(_exports())


def exported_class(name: str) -> Any:
    """Return the class that a plugin exports as ``FlagEmbedding.<name>``.

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


def _exports() -> Claims[str]:
    exports: dict[str, list[Claim[str]]] = {}
    for claim in [*EMBEDDER_CLASSES.claims(), *RERANKER_CLASSES.claims()]:
        for name in claim.value.exports:
            exports.setdefault(name, []).append(Claim(claim.value.reference, claim.owner))
    return exports
