"""LlamaIndex: an embedding model, and a reranker that sorts retrieved nodes.

Needs ``pip install 'flagembedding-core[llama-index]'``. See docs/adapters.md.
"""

from __future__ import annotations

import asyncio
from typing import Any

from FlagEmbedding import AbsEmbedder, AbsReranker
from FlagEmbedding.adapters._extras import extra
from FlagEmbedding.adapters._models import (
    Name,
    document_vectors,
    is_name,
    load_embedder,
    load_reranker,
    name_of,
    query_vectors,
    settings,
)
from FlagEmbedding.errors import InputError

with extra("llama-index", "llama-index-core"):
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.bridge.pydantic import BaseModel, Field, PrivateAttr
    from llama_index.core.callbacks import CBEventType, EventPayload
    from llama_index.core.postprocessor.types import BaseNodePostprocessor
    from llama_index.core.schema import BaseComponent, MetadataMode, NodeWithScore, QueryBundle

__all__ = ["FlagRerank", "FlagTextEmbedding"]


class _WithModel(BaseComponent):
    """A component that keeps the name and the options of its model, so that ``from_dict`` can load it again."""

    model_name: str = Field(description="A registered name, a hub id or a local folder.")
    model_options: dict[str, Any] = Field(default_factory=dict, description="What the model was loaded with.")
    _model: Any = PrivateAttr()

    def __init__(self, model_name: Any, *, model_options: dict[str, Any] | None = None, **kwargs: Any) -> None:
        fields = {name: kwargs.pop(name) for name in type(self).model_fields if name in kwargs}
        options = {**(model_options or {}), **kwargs}
        model = self._load(model_name, options)
        if not is_name(model_name):
            options = settings(model)
        super().__init__(model_name=name_of(model_name), model_options=options, **fields)
        self._model = model

    @staticmethod
    def _load(model: Any, options: dict[str, Any]) -> Any:
        raise NotImplementedError

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex writes and reports this component."""
        return cls.__name__

    def __setstate__(self, state: dict[str, Any]) -> None:
        # LlamaIndex's own calls __init__ with the fields, which would load a model that was given ready from its name.
        BaseModel.__setstate__(self, state)


class FlagTextEmbedding(_WithModel, BaseEmbedding):
    """An embedder as LlamaIndex's ``BaseEmbedding``. The asynchronous methods run in threads.

    Args:
        model_name: A registered name, a hub id, a local folder, or an embedder.
        embed_batch_size: LlamaIndex hands over so many texts at a time. How many of them run in one forward is the
            option ``batch_size``.
        model_options: As ``**options``; how ``to_dict`` writes them.
        **options: Other fields of ``BaseEmbedding`` (``callback_manager``, ``num_workers``, ...), and keyword arguments
            of ``FlagAutoModel.from_finetuned`` (``devices``, ``batch_size``, ``truncate_dim``,
            ``query_instruction_for_retrieval``, ...); none of the latter with an embedder.

    Raises:
        OptionError: An option is unknown, or given with an embedder.
        ValueError: The name leads to no embedder.
        RuntimeError: A device is not present, or a known model could not be fetched.
    """

    embed_batch_size: int = Field(default=1024, gt=0, le=2048, description="Texts that are handed over at a time.")

    @staticmethod
    def _load(model: Name | AbsEmbedder, options: dict[str, Any]) -> AbsEmbedder:
        return load_embedder(model, options)

    def _get_query_embedding(self, query: str) -> list[float]:
        return query_vectors(self._model, [query])[0]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return await asyncio.to_thread(self._get_query_embedding, query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return document_vectors(self._model, [text])[0]

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return await asyncio.to_thread(self._get_text_embedding, text)

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return document_vectors(self._model, texts)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)


class FlagRerank(_WithModel, BaseNodePostprocessor):
    """A reranker as LlamaIndex's node postprocessor: the best nodes of a retriever, best first.

    Args:
        model_name: A registered name, a hub id, a local folder, or a reranker.
        top_n: Keep so many nodes at most; None keeps all.
        model_options: As ``**options``; how ``to_dict`` writes them.
        **options: ``callback_manager``, and keyword arguments of ``FlagAutoReranker.from_finetuned`` (``devices``,
            ``normalize``, ``max_length``, ...); none of the latter with a reranker.

    Raises:
        OptionError: An option is unknown, or given with a reranker.
        ValueError: The name leads to no reranker, or ``top_n`` is no positive number.
        RuntimeError: A device is not present, or a known model could not be fetched.
    """

    top_n: int | None = Field(default=None, gt=0, description="Nodes that are kept; None keeps all.")

    @staticmethod
    def _load(model: Name | AbsReranker, options: dict[str, Any]) -> AbsReranker:
        return load_reranker(model, options)

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if query_bundle is None:
            raise InputError("a reranker needs the query: give query_str or query_bundle.")
        query = query_bundle.query_str
        said = {
            EventPayload.NODES: nodes,
            EventPayload.MODEL_NAME: self.model_name,
            EventPayload.QUERY_STR: query,
            EventPayload.TOP_K: self.top_n,
        }
        with self.callback_manager.event(CBEventType.RERANKING, payload=said) as event:
            texts = [node.node.get_content(metadata_mode=MetadataMode.EMBED) for node in nodes]
            hits = self._model.rank(query, texts, self.top_n)
            best = [NodeWithScore(node=nodes[hit["index"]].node, score=hit["score"]) for hit in hits]
            event.on_end(payload={EventPayload.NODES: best})
        return best
