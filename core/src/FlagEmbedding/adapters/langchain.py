"""LangChain: an embedding model, and a reranker that compresses what a retriever has found.

Needs ``pip install 'flagembedding-core[langchain]'``. See docs/adapters.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from FlagEmbedding import AbsEmbedder, AbsReranker
from FlagEmbedding.adapters._extras import extra
from FlagEmbedding.adapters._models import Name, document_vectors, load_embedder, load_reranker, query_vectors

with extra("langchain", "langchain-core"):
    from langchain_core.callbacks import Callbacks
    from langchain_core.documents import BaseDocumentCompressor, Document
    from langchain_core.embeddings import Embeddings
    from pydantic import ConfigDict, Field

__all__ = ["FlagEmbeddings", "FlagRerank"]


class FlagEmbeddings(Embeddings):
    """An embedder as LangChain's ``Embeddings``; ``aembed_query`` and ``aembed_documents`` run in threads.

    Args:
        model: A registered name, a hub id, a local folder, or an embedder.
        **options: Keyword arguments of ``FlagAutoModel.from_finetuned`` (``devices``, ``batch_size``, ``truncate_dim``,
            ``query_instruction_for_retrieval``, ...); none with an embedder.

    Attributes:
        model: The embedder.

    Raises:
        OptionError: An option is unknown, or given with an embedder.
        ValueError: The name leads to no embedder.
        RuntimeError: A device is not present, or a known model could not be fetched.
    """

    def __init__(self, model: Name | AbsEmbedder, **options: Any) -> None:
        self.model = load_embedder(model, options)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return a vector a text, computed by ``encode_corpus``: with the model's instruction for passages."""
        return document_vectors(self.model, texts)

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a query, computed by ``encode_queries``: with the model's instruction for queries."""
        return query_vectors(self.model, [text])[0]


class FlagRerank(BaseDocumentCompressor):
    """A reranker as LangChain's document compressor: the best documents of a retriever, best first.

    Args:
        model: A registered name, a hub id, a local folder, or a reranker.
        top_n: Keep so many documents at most; None keeps all.
        **options: Keyword arguments of ``FlagAutoReranker.from_finetuned`` (``devices``, ``normalize``,
            ``max_length``, ...); none with a reranker.

    Attributes:
        model: The reranker.

    Raises:
        OptionError: An option is unknown, or given with a reranker.
        ValueError: The name leads to no reranker, or ``top_n`` is no positive number.
        RuntimeError: A device is not present, or a known model could not be fetched.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    model: AbsReranker = Field(exclude=True)
    top_n: int | None = Field(default=None, gt=0)

    def __init__(self, model: Name | AbsReranker, *, top_n: int | None = None, **options: Any) -> None:
        super().__init__(model=load_reranker(model, options), top_n=top_n)

    def compress_documents(
        self,
        documents: Sequence[Document],
        query: str,
        callbacks: Callbacks | None = None,  # noqa: ARG002 - of the interface; there is nothing to call back
    ) -> Sequence[Document]:
        """Return copies of the best documents, best first, with the score in ``metadata["relevance_score"]``."""
        hits = self.model.rank(query, [document.page_content for document in documents], self.top_n)
        return [_scored(documents[hit["index"]], hit["score"]) for hit in hits]


def _scored(document: Document, score: float) -> Document:
    return document.model_copy(update={"metadata": {**document.metadata, "relevance_score": score}})
