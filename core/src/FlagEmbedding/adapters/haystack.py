"""Haystack: components that embed a query, embed documents, and rank documents.

Needs ``pip install 'flagembedding-core[haystack]'``. See docs/adapters.md.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, Self

from FlagEmbedding.adapters._extras import extra
from FlagEmbedding.adapters._models import (
    Name,
    document_vectors,
    is_name,
    load_embedder,
    load_reranker,
    name_of,
    query_vectors,
)
from FlagEmbedding.errors import InputError, OptionError

with extra("haystack", "haystack-ai"):
    from haystack import Document, component, default_from_dict, default_to_dict
    from haystack.utils import ComponentDevice

if TYPE_CHECKING:
    from collections.abc import Callable

    from FlagEmbedding import AbsEmbedder, AbsReranker

__all__ = ["FlagDocumentEmbedder", "FlagRanker", "FlagTextEmbedder"]


class _Lazy:
    """What the components share: a model that is loaded by ``warm_up``, and written by its name and options."""

    _own: ClassVar[tuple[str, ...]] = ()

    def _set(self, load: Callable[[Any, dict[str, Any]], Any], model: Any, options: dict[str, Any]) -> None:
        # No __init__: Haystack makes each component's class anew, after which super() does not find its way.
        self._load = load
        self.model = name_of(model) if is_name(model) else model
        self.options = options
        self._loaded: Any = None if is_name(model) else load(model, options)

    def warm_up(self) -> None:
        """Load the model, if it is not loaded. ``run`` does so too.

        Raises:
            OptionError: An option is unknown.
            ValueError: The name leads to no model of this kind.
            RuntimeError: A device is not present, or a known model could not be fetched.
        """
        if self._loaded is None:
            self._loaded = self._load(self.model, {name: _plain(value) for name, value in self.options.items()})

    def close(self) -> None:
        """Let the model go, with its workers. A model that was given ready is its owner's."""
        if is_name(self.model) and self._loaded is not None:
            self._loaded.close()
            self._loaded = None

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return the component that :meth:`to_dict` has written; its model is not loaded yet."""
        made: Self = default_from_dict(cls, data)
        return made

    def to_dict(self) -> dict[str, Any]:
        """Return the component as data: the name of its model, and what it was made with.

        Raises:
            OptionError: The model was given ready.
        """
        if not is_name(self.model):
            raise OptionError(
                f"a {type(self).__name__} of a model that was given ready cannot be written: give the name or the "
                "folder of the model, and its options."
            )
        own = {name: getattr(self, name) for name in self._own}
        written: dict[str, Any] = default_to_dict(self, model=self.model, **own, **self.options)
        return written


@component
class FlagTextEmbedder(_Lazy):
    """Embeds a query, with the model's instruction for queries.

    Args:
        model: A registered name, a hub id, a local folder, or an embedder.
        **options: Keyword arguments of ``FlagAutoModel.from_finetuned`` (``devices``, ``batch_size``, ``truncate_dim``,
            ``query_instruction_for_retrieval``, ...), a ``ComponentDevice`` for ``device`` too; none with an embedder.
            They are looked at when the model is loaded.
    """

    def __init__(self, model: Name | AbsEmbedder, **options: Any) -> None:
        self._set(load_embedder, model, options)

    @component.output_types(embedding=list[float])
    def run(self, text: str) -> dict[str, Any]:
        """Return ``{"embedding": list of float}`` of a query.

        Raises:
            InputError: ``text`` is no string.
        """
        if not isinstance(text, str):
            raise InputError(f"text must be a string, not {type(text).__name__}. Documents: FlagDocumentEmbedder.")
        self.warm_up()
        return {"embedding": query_vectors(self._loaded, [text])[0]}


@component
class FlagDocumentEmbedder(_Lazy):
    """Embeds documents, with the model's instruction for passages.

    Args:
        model: A registered name, a hub id, a local folder, or an embedder.
        meta_fields_to_embed: Put these fields of a document's ``meta`` before its content.
        embedding_separator: Between them.
        **options: As for :class:`FlagTextEmbedder`.
    """

    _own = ("meta_fields_to_embed", "embedding_separator")

    def __init__(
        self,
        model: Name | AbsEmbedder,
        *,
        meta_fields_to_embed: list[str] | None = None,
        embedding_separator: str = "\n",
        **options: Any,
    ) -> None:
        self._set(load_embedder, model, options)
        self.meta_fields_to_embed = meta_fields_to_embed or []
        self.embedding_separator = embedding_separator

    @component.output_types(documents=list[Document])
    def run(self, documents: list[Document]) -> dict[str, Any]:
        """Return ``{"documents": copies with their embedding}``, in order.

        Raises:
            InputError: ``documents`` is no list of documents.
        """
        texts = _texts(documents, self.meta_fields_to_embed, self.embedding_separator)
        self.warm_up()
        vectors = document_vectors(self._loaded, texts)
        return {
            "documents": [
                dataclasses.replace(document, embedding=vector)
                for document, vector in zip(documents, vectors, strict=True)
            ]
        }


@component
class FlagRanker(_Lazy):
    """Sorts documents by their relevance to a query.

    Args:
        model: A registered name, a hub id, a local folder, or a reranker.
        top_k: Keep so many documents at most; None keeps all.
        meta_fields_to_embed: Put these fields of a document's ``meta`` before its content.
        embedding_separator: Between them.
        **options: Keyword arguments of ``FlagAutoReranker.from_finetuned`` (``devices``, ``normalize``,
            ``max_length``, ...), a ``ComponentDevice`` for ``device`` too; none with a reranker. They are looked at
            when the model is loaded.

    Raises:
        OptionError: ``top_k`` is no positive number.
    """

    _own = ("top_k", "meta_fields_to_embed", "embedding_separator")

    def __init__(
        self,
        model: Name | AbsReranker,
        *,
        top_k: int | None = None,
        meta_fields_to_embed: list[str] | None = None,
        embedding_separator: str = "\n",
        **options: Any,
    ) -> None:
        self._set(load_reranker, model, options)
        self.top_k = _checked(top_k)
        self.meta_fields_to_embed = meta_fields_to_embed or []
        self.embedding_separator = embedding_separator

    @component.output_types(documents=list[Document])
    def run(self, query: str, documents: list[Document], top_k: int | None = None) -> dict[str, Any]:
        """Return ``{"documents": copies with their score, best first}``; of documents with one id the first counts.

        Raises:
            InputError: ``query`` is no string, or ``documents`` no list of documents.
            OptionError: ``top_k`` is no positive number.
        """
        count = self.top_k if top_k is None else _checked(top_k)
        texts = _texts(documents, self.meta_fields_to_embed, self.embedding_separator)
        first = {document.id: position for position, document in reversed(list(enumerate(documents)))}
        places = sorted(first.values())
        self.warm_up()
        hits = self._loaded.rank(query, [texts[place] for place in places], count)
        ranked = [(documents[places[hit["index"]]], hit["score"]) for hit in hits]
        return {"documents": [dataclasses.replace(document, score=score) for document, score in ranked]}


def _texts(documents: list[Document], fields: list[str], separator: str) -> list[str]:
    if not isinstance(documents, list) or not all(isinstance(document, Document) for document in documents):
        raise InputError("documents must be a list of Document. A single text: FlagTextEmbedder.")
    return [
        separator.join(
            [*(str(one.meta[field]) for field in fields if one.meta.get(field) is not None), one.content or ""]
        )
        for one in documents
    ]


def _checked(top_k: int | None) -> int | None:
    if top_k is not None and (not isinstance(top_k, int) or top_k < 1):
        raise OptionError(f"top_k must be a positive number, not {top_k!r}.")
    return top_k


def _plain(value: Any) -> Any:
    return value.to_torch_str() if isinstance(value, ComponentDevice) else value
