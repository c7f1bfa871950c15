"""What the plugins register besides models: model classes by key, and the classes they export."""

from __future__ import annotations

from enum import Enum
from typing import Any

from FlagEmbedding.claims import Claim, Claims, sole_claim
from FlagEmbedding.config import EmbedderModelClass, ModelClass
from FlagEmbedding.errors import ModelClassError
from FlagEmbedding.plugins.manager import plugin_manager
from FlagEmbedding.references import load_reference
from FlagEmbedding.registry.hints import distribution_of_class, distribution_of_export
from FlagEmbedding.spelling import did_you_mean


def pooling_claims() -> Claims[str]:
    """Return the pooling functions by name, as the plugins claim them."""
    return plugin_manager().claims("flagembedding_pooling_functions", lambda tables: tables.poolings)


def model_class_reference(key: str | Enum) -> str:
    """Return the ``"module:Class"`` registered under ``key`` (``"encoder-only-base"``, an Enum member, ...).

    Raises:
        ModelClassError: Nobody registered the key; the message says which distribution would.
        NameConflictError: More than one plugin did.
    """
    name = str(key.value if isinstance(key, Enum) else key)
    claims = _model_classes()
    if name not in claims:
        raise ModelClassError(_unknown_key(name, sorted(claims)))
    return sole_claim("model class", name, claims[name]).value.reference


def class_of_model_type(model_type: str) -> ModelClass:
    """Return the class for a model that nobody registered: the one that claims its type, else the plain encoder.

    Raises:
        NameConflictError: More than one plugin claims the type.
    """
    claims = [claim for every in _model_classes().values() for claim in every if model_type in claim.value.model_types]
    if claims:
        return sole_claim("model type", model_type, claims).value
    return _model_classes()[EmbedderModelClass.ENCODER_ONLY_BASE][0].value


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


def _model_classes() -> Claims[ModelClass]:
    return plugin_manager().claims("flagembedding_model_classes", lambda tables: tables.model_classes)


def _exports() -> Claims[str]:
    exports: dict[str, list[Claim[str]]] = {}
    for claims in _model_classes().values():
        for claim in claims:
            for name in claim.value.exports:
                exports.setdefault(name, []).append(Claim(claim.value.reference, claim.owner))
    return exports


def _unknown_key(name: str, known: list[str]) -> str:
    distribution = distribution_of_class(name)
    if distribution is not None:
        return f"the model class {name!r} comes with {distribution}. Run: pip install {distribution}"
    return f"unknown model class {name!r}. {did_you_mean(name, known)} Known: {', '.join(known)}.".replace("  ", " ")
