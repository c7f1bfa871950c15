"""What every adapter does with a model: take a name or a ready one, and ask it for vectors of queries and documents."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import FlagEmbedding
from FlagEmbedding import FlagAutoModel, FlagAutoReranker
from FlagEmbedding.errors import InputError, OptionError

if TYPE_CHECKING:
    from FlagEmbedding import AbsEmbedder, AbsReranker

Name: TypeAlias = str | os.PathLike[str]
"""A registered name, a hub id or a local folder."""

# Arguments of a contract that say where something is computed, or what others say too: prompts name the instructions.
_NOT_SETTINGS = ("devices", "device", "prompts")


def load_embedder(model: Name | AbsEmbedder, options: Mapping[str, Any]) -> AbsEmbedder:
    """Return ``model``, if it is an embedder, or the one of that name.

    Args:
        model: A name for ``FlagAutoModel.from_finetuned``, or an embedder.
        options: Keyword arguments of ``FlagAutoModel.from_finetuned``; none for an embedder that is there already.

    Raises:
        OptionError: An option is unknown, or given with an embedder; ``model`` is neither.
        ValueError: The name leads to no embedder.
        RuntimeError: A device is not present, or a known model could not be fetched.
    """
    if is_name(model):
        return FlagAutoModel.from_finetuned(model, **options)
    if not isinstance(model, FlagEmbedding.AbsEmbedder):  # read here: it imports torch
        raise OptionError(f"the name of an embedder is needed, or an embedder (AbsEmbedder), not {_named(model)}.")
    _refuse(options)
    return model


def load_reranker(model: Name | AbsReranker, options: Mapping[str, Any]) -> AbsReranker:
    """Return ``model``, if it is a reranker, or the one of that name; as :func:`load_embedder`."""
    if is_name(model):
        return FlagAutoReranker.from_finetuned(model, **options)
    if not isinstance(model, FlagEmbedding.AbsReranker):
        raise OptionError(f"the name of a reranker is needed, or a reranker (AbsReranker), not {_named(model)}.")
    _refuse(options)
    return model


def is_name(model: object) -> TypeGuard[Name]:
    """Say whether ``model`` is a name, and no model."""
    return isinstance(model, (str, os.PathLike))


def name_of(model: Name | AbsEmbedder | AbsReranker) -> str:
    """Return the name that was given, or the one that a model was loaded from."""
    return os.fspath(model) if isinstance(model, (str, os.PathLike)) else model.model_name_or_path


def settings(model: AbsEmbedder | AbsReranker) -> dict[str, Any]:
    """Return the options of a model's contract whose values are not the defaults: plain data.

    Of a model that somebody else has loaded this is what can be known. Options of its own class are not among them.
    """
    contract = FlagEmbedding.AbsEmbedder if isinstance(model, FlagEmbedding.AbsEmbedder) else FlagEmbedding.AbsReranker
    defaults = {name: one.default for name, one in inspect.signature(contract).parameters.items()}
    known = {name: getattr(model, name, default) for name, default in defaults.items() if name not in _NOT_SETTINGS}
    return {name: known[name] for name in known if defaults[name] not in (inspect.Parameter.empty, known[name])}


def query_vectors(embedder: AbsEmbedder, queries: Iterable[str]) -> list[list[float]]:
    """Return a vector a query, with the model's instruction for queries."""
    return _lists(embedder.encode_queries(_texts(queries)))


def document_vectors(embedder: AbsEmbedder, documents: Iterable[str]) -> list[list[float]]:
    """Return a vector a document, with the model's instruction for passages."""
    return _lists(embedder.encode_corpus(_texts(documents)))


def dense(vectors: Any) -> Any:
    """Return the dense vectors, also of a model that gives several kinds (``dense_vecs`` among them).

    Raises:
        OptionError: It was told to give none.
    """
    found = vectors.get("dense_vecs") if isinstance(vectors, Mapping) else vectors
    if found is None:
        raise OptionError("the model gives no dense vectors: load it with return_dense=True.")
    return found


def _lists(vectors: Any) -> list[list[float]]:
    rows: list[list[float]] = dense(vectors).tolist()
    return rows


def _texts(texts: Iterable[str]) -> Iterable[str]:
    if isinstance(texts, str):  # whose vector would be taken for a list of vectors
        raise InputError("a list of texts is needed, not one string.")
    return texts


def _named(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _refuse(options: Mapping[str, Any]) -> None:
    if options:
        names = ", ".join(map(repr, options))
        raise OptionError(f"a model that is loaded already takes no options, and got {names}. Load it with them.")
