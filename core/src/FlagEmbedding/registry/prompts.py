"""``config_sentence_transformers.json``: prompts, and how vectors are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from FlagEmbedding.errors import CheckpointError
from FlagEmbedding.registry.files import ModelFiles

_NAME = "config_sentence_transformers.json"

_DENSE = "SentenceTransformer"

# The prompts that are the instructions of a model.
_SAID = ("query", "document", "passage", "corpus")


@dataclass(frozen=True)
class Usage:
    """How the model is meant to be used.

    Attributes:
        query: What goes before a query; None for nothing, as for the next two.
        passage: What goes before a passage.
        default: What goes before any other text.
        named: Further prompts, by the names that they have.
        truncate_dim: So many leading components of a vector are kept; None for all.
        similarity: How vectors are compared; None where nothing says.
    """

    query: str | None
    passage: str | None
    default: str | None
    named: Mapping[str, str]
    truncate_dim: int | None
    similarity: str | None


def read_usage(files: ModelFiles) -> Usage:
    """Return what the file says; a prompt that is empty counts as none.

    Raises:
        CheckpointError: It is of another shape, or describes a model of another kind.
    """
    settings = files.mapping(_NAME) or {}
    _refuse_other_kinds(files, settings.get("model_type"))
    prompts = _prompts(files, settings)
    truncate_dim = settings.get("truncate_dim")
    if truncate_dim is not None and (type(truncate_dim) is not int or truncate_dim < 1):
        raise files.wrong_shape(_NAME, truncate_dim, "a positive number as truncate_dim")
    return Usage(
        query=prompts.get("query") or None,
        # sentence-transformers 6 adds an empty "document" to files whose authors named the prompt "passage".
        passage=prompts.get("document") or prompts.get("passage") or prompts.get("corpus") or None,
        default=_default(files, settings.get("default_prompt_name"), prompts),
        named={name: text for name, text in prompts.items() if text and name not in _SAID},
        truncate_dim=truncate_dim,
        similarity=settings.get("similarity_fn_name"),
    )


def _prompts(files: ModelFiles, settings: Mapping[str, Any]) -> Mapping[str, str | None]:
    prompts = settings.get("prompts") or {}
    if not isinstance(prompts, Mapping) or not all(isinstance(text, str | None) for text in prompts.values()):
        raise files.wrong_shape(_NAME, prompts, "prompts that are strings by name")
    return prompts


def _default(files: ModelFiles, name: object, prompts: Mapping[str, str | None]) -> str | None:
    known = {"query", "document", *prompts}
    if name is not None and (not isinstance(name, str) or name not in known):
        raise CheckpointError(
            f"{_NAME} of {files.source!r} names the default prompt {name!r}, which is none of its prompts: "
            f"{', '.join(sorted(known))}. Correct default_prompt_name there."
        )
    return prompts.get(str(name)) or None


def _refuse_other_kinds(files: ModelFiles, kind: object) -> None:
    if kind in (None, _DENSE):
        return
    hint = (
        "Load it with FlagAutoReranker." if kind == "CrossEncoder" else f"Load it with sentence-transformers' {kind}."
    )
    raise CheckpointError(
        f"{files.source!r} is a {kind} of sentence-transformers, which gives no dense vectors. {hint}"
    )
