"""Embedding models and rerankers by name, from plugins.

``FlagAutoModel.from_finetuned(name)`` loads any model that an installed plugin registers. Importing this package, or
listing every model, imports neither torch nor transformers: each name below is imported when it is first used.
"""

from __future__ import annotations

import logging as _logging
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from FlagEmbedding._lazy import lazy_exports as _lazy_exports
from FlagEmbedding.references import ENGINES as _ENGINES
from FlagEmbedding.references import POOLING_FUNCTIONS as _POOLING_FUNCTIONS

if _TYPE_CHECKING:
    from FlagEmbedding.abc.inference import AbsEmbedder, AbsReranker
    from FlagEmbedding.config import (
        EmbedderConfig,
        EmbedderModelClass,
        PoolingMethod,
        RerankerConfig,
        RerankerModelClass,
    )
    from FlagEmbedding.inference import (
        FlagAutoModel,
        FlagAutoReranker,
        FlagLLMModel,
        FlagLLMReranker,
        FlagModel,
        FlagReranker,
    )
    from FlagEmbedding.registry.registration import (
        register_embedder,
        register_engine,
        register_locator,
        register_model_class,
        register_pooling,
        register_reranker,
    )
    from FlagEmbedding.registry.temporary import temporary_registration

__all__ = [
    "AbsEmbedder",
    "AbsReranker",
    "EmbedderConfig",
    "EmbedderModelClass",
    "FlagAutoModel",
    "FlagAutoReranker",
    "FlagLLMModel",
    "FlagLLMReranker",
    "FlagModel",
    "FlagReranker",
    "PoolingMethod",
    "RerankerConfig",
    "RerankerModelClass",
    "register_embedder",
    "register_engine",
    "register_locator",
    "register_model_class",
    "register_pooling",
    "register_reranker",
    "temporary_registration",
]

__version__ = "0.1.0"

_logging.getLogger(__name__).addHandler(_logging.NullHandler())

_own_names = _lazy_exports(
    __name__,
    {
        "AbsEmbedder": "FlagEmbedding.abc.inference",
        "AbsReranker": "FlagEmbedding.abc.inference",
        "EmbedderConfig": "FlagEmbedding.config",
        "EmbedderModelClass": "FlagEmbedding.config",
        "FlagAutoModel": "FlagEmbedding.inference.auto_embedder",
        "FlagAutoReranker": "FlagEmbedding.inference.auto_reranker",
        "FlagLLMModel": "FlagEmbedding.inference.embedder.decoder_only.base",
        "FlagLLMReranker": "FlagEmbedding.inference.reranker.decoder_only.base",
        "FlagModel": "FlagEmbedding.inference.embedder.encoder_only.base",
        "FlagReranker": "FlagEmbedding.inference.reranker.encoder_only.base",
        "PoolingMethod": "FlagEmbedding.config",
        "RerankerConfig": "FlagEmbedding.config",
        "RerankerModelClass": "FlagEmbedding.config",
        "register_embedder": "FlagEmbedding.registry.registration",
        "register_engine": "FlagEmbedding.registry.registration",
        "register_locator": "FlagEmbedding.registry.registration",
        "register_model_class": "FlagEmbedding.registry.registration",
        "register_pooling": "FlagEmbedding.registry.registration",
        "register_reranker": "FlagEmbedding.registry.registration",
        "temporary_registration": "FlagEmbedding.registry.temporary",
    },
)


def __getattr__(name: str) -> _Any:
    """Return a name of the core, or a class that a plugin exports under ``name``."""
    if name in __all__:
        return _own_names(name)
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from FlagEmbedding.registry.extensions import exported_class  # noqa: PLC0415 - the lazy boundary

    return exported_class(name)


def __dir__() -> list[str]:
    from FlagEmbedding.registry.extensions import exported_names  # noqa: PLC0415 - the lazy boundary

    return sorted({*globals(), *__all__, *exported_names()})


def _pooling_claims() -> _Any:
    from FlagEmbedding.registry.extensions import POOLINGS  # noqa: PLC0415 - the lazy boundary

    return POOLINGS.claims()


def _engine_claims() -> _Any:
    from FlagEmbedding.registry.extensions import ENGINES  # noqa: PLC0415 - the lazy boundary

    return ENGINES.claims()


def _distribution_of_engine(name: str) -> str | None:
    from FlagEmbedding.registry.hints import distribution_of_engine  # noqa: PLC0415 - the lazy boundary

    return distribution_of_engine(name)


# The ground floor cannot import the catalogue, so the facade lets it ask for what the plugins register.
_POOLING_FUNCTIONS.fill_from(_pooling_claims)
_ENGINES.fill_from(_engine_claims, _distribution_of_engine)
