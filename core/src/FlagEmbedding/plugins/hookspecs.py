"""The hooks: everything that a plugin can contribute.

A plugin is a module (or any object) that an installed distribution names under the entry-point group
``flagembedding``::

    [project.entry-points.flagembedding]
    acme = "flagembedding_acme.hooks"

and that implements some of these hooks::

    from FlagEmbedding.plugins import EmbedderConfig, PoolingMethod, hookimpl

    @hookimpl
    def flagembedding_embedder_configs():
        return {
            "acme-embed": EmbedderConfig(
                "FlagEmbedding.inference.embedder.encoder_only.base:BaseEmbedder",
                PoolingMethod.MEAN,
                hub_id="acme/acme-embed",
            )
        }

The hooks that return tables are called once, while the plugin is loaded; a fault in one makes the plugin fail and is
kept with it. They are asked of every plugin in every process that lists models: they must not import torch.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import pluggy

from FlagEmbedding.config import EmbedderConfig, ModelClass, RerankerConfig

PROJECT = "flagembedding"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def flagembedding_embedder_configs() -> Mapping[str, EmbedderConfig]:  # type: ignore[empty-body]
    """Register embedding models.

    Two plugins that claim one name are both kept, and asking for the name is an error that names them.

    Returns:
        Name (the last part of the hub id) to :class:`~FlagEmbedding.EmbedderConfig`.

    Example::

        @hookimpl
        def flagembedding_embedder_configs():
            return {"acme-embed": EmbedderConfig("acme.model:AcmeEmbedder", "cls", hub_id="acme/acme-embed")}
    """


@hookspec
def flagembedding_reranker_configs() -> Mapping[str, RerankerConfig]:  # type: ignore[empty-body]
    """Register rerankers, which may have the names of embedding models: they are looked up apart.

    Returns:
        Name (the last part of the hub id) to :class:`~FlagEmbedding.RerankerConfig`.

    Example::

        @hookimpl
        def flagembedding_reranker_configs():
            return {
                "acme-rerank": RerankerConfig(
                    "FlagEmbedding.inference.reranker.encoder_only.base:BaseReranker", hub_id="acme/acme-rerank"
                )
            }
    """


@hookspec
def flagembedding_embedder_classes() -> Mapping[str, ModelClass]:  # type: ignore[empty-body]
    """Register classes of embedders, for ``FlagAutoModel`` and for models that nobody registered.

    Returns:
        Key (as given to ``model_class=``) to :class:`~FlagEmbedding.plugins.ModelClass`.

    Example::

        @hookimpl
        def flagembedding_embedder_classes():
            return {"encoder-only-acme": ModelClass("acme.model:AcmeEmbedder", exports=("AcmeModel",))}
    """


@hookspec
def flagembedding_reranker_classes() -> Mapping[str, ModelClass]:  # type: ignore[empty-body]
    """Register classes of rerankers, for ``FlagAutoReranker`` and for models that nobody registered.

    Returns:
        Key (as given to ``model_class=``) to :class:`~FlagEmbedding.plugins.ModelClass`.

    Example::

        @hookimpl
        def flagembedding_reranker_classes():
            return {"decoder-only-acme": ModelClass("acme.model:AcmeReranker", model_types=("acme",))}
    """


@hookspec
def flagembedding_pooling_functions() -> Mapping[str, str]:  # type: ignore[empty-body]
    """Register pooling functions.

    Such a function takes the token vectors, float32 ``[texts, tokens, width]``, and the mask, bool ``[texts, tokens]``
    (True where there is a token), and returns float32 ``[texts, width]``.

    Returns:
        Name (as given to ``pooling_method=``) to ``"module:function"``.

    Example::

        @hookimpl
        def flagembedding_pooling_functions():
            return {"acme-max": "acme.pooling:max_over_tokens"}
    """


@hookspec
def flagembedding_engines() -> Mapping[str, str]:  # type: ignore[empty-body]
    """Register engines, which run the backbone of embedders in place of torch.

    Such a function takes a :class:`~FlagEmbedding.engine.running.Backbone`, what is known of a model before any weight
    is read, and returns an :class:`~FlagEmbedding.engine.running.OtherEngine`, which runs it.

    Returns:
        Name (as given to ``engine=``) to ``"module:function"``.

    Example::

        @hookimpl
        def flagembedding_engines():
            return {"acme": "acme.engine:acme_engine"}
    """


@hookspec
def flagembedding_locate_model(model_name: str) -> str | os.PathLike[str] | None:
    """Find the files of a model: packaged weights, a mirror, another hub.

    Asked when a model is loaded by a name that is no local folder, plugin by plugin in order of name. The first answer
    counts.

    Args:
        model_name: The official hub id where one is known, else the name as the caller gave it.

    Returns:
        The local folder that holds the model, or None to leave it to others (and, last, to the hub).

    Raises:
        Exception: Whatever it raises ends the load, as the cause of a :class:`~FlagEmbedding.errors.PluginError`:
            weights from elsewhere would be a guess.

    Example::

        @hookimpl
        def flagembedding_locate_model(model_name):
            folder = Path("/srv/models") / model_name
            return folder if folder.is_dir() else None
    """
