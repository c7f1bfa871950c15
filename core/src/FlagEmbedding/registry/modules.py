"""``modules.json``: the row of modules that makes a sentence-transformers model, each with a folder of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, TypeAlias

from FlagEmbedding.errors import CheckpointError
from FlagEmbedding.model_config import VECTOR
from FlagEmbedding.registry.files import ModelFiles
from FlagEmbedding.sources import leads_out

Module: TypeAlias = tuple[str, str]
"""The class of a module (``"Dense"``) and its folder in the model's (``"2_Dense"``)."""

NAME = "modules.json"

# What may follow the pooling. Dropout does nothing once a model is trained.
_PROJECTIONS = ("Dense", "LayerNorm")
_FOLLOWING = (*_PROJECTIONS, "Normalize", "Dropout")
_KNOWN = ("Transformer", "Pooling", *_FOLLOWING)


@dataclass(frozen=True)
class Layout:
    """What comes after the backbone.

    Attributes:
        pooling: The folder of the pooling, or None when there is no such module.
        modules: What follows it and changes a vector, in order; a Normalize at the very end is left out.
        normalized: Whether there is one.
    """

    pooling: str | None
    modules: tuple[Module, ...]
    normalized: bool


def read_layout(files: ModelFiles) -> Layout | None:
    """Return the layout of a model, or None when it has no ``modules.json``.

    Raises:
        CheckpointError: A module is not known, stands where it does something else, or lies outside the model's folder.
    """
    entries = files.objects(NAME)
    if entries is None:
        return None
    modules = [_module(files, entry) for entry in entries]
    _check_kinds(files, [kind for kind, _ in modules])
    _check_backbone(files, modules[0][1])
    pooling = next((folder for kind, folder in modules if kind == "Pooling"), None)
    following = [module for module in modules[1 if pooling is None else 2 :] if module[0] != "Dropout"]
    for _, folder in following:
        _check_names(files, folder)
    end = len(following)
    while end and following[end - 1][0] == "Normalize":
        end -= 1
    return Layout(pooling, tuple(following[:end]), end < len(following))


def has_projections(files: ModelFiles) -> bool:
    """Say whether ``modules.json`` names modules with weights after the pooling."""
    return any(_module(files, entry)[0] in _PROJECTIONS for entry in files.objects(NAME) or ())


def _module(files: ModelFiles, entry: Mapping[str, Any]) -> Module:
    """Return the class and the folder of an entry; a class of another library is said to be one, and never known."""
    kind, folder = entry.get("type"), entry.get("path")
    if not isinstance(kind, str) or not isinstance(folder, str):
        raise files.wrong_shape(NAME, entry, "modules with a type and a path")
    if leads_out(folder):
        raise CheckpointError(f"{NAME} of {files.source!r} leads out of the model's folder, to {folder!r}; not read.")
    own = kind.startswith("sentence_transformers.")
    return kind.rpartition(".")[2] if own else f"{kind} (not of sentence-transformers)", folder


def _check_kinds(files: ModelFiles, kinds: Sequence[str]) -> None:
    unknown = sorted(set(kinds) - set(_KNOWN))
    if unknown:
        raise CheckpointError(
            f"{files.source!r} has the sentence-transformers modules {', '.join(unknown)}, which are not supported; "
            f"its vectors would be wrong without them. Known: {', '.join(_KNOWN)}. Encode with sentence-transformers "
            f"itself, or register a model class that does the same (flagembedding_embedder_classes)."
        )
    following = kinds[2:] if kinds[1:2] == ["Pooling"] else kinds[1:]
    if kinds[:1] != ["Transformer"] or not set(following) <= set(_FOLLOWING):
        raise CheckpointError(
            f"{files.source!r} has the sentence-transformers modules {', '.join(kinds) or '(none)'} in this order; "
            f"supported is Transformer, Pooling, then any of {', '.join(_FOLLOWING)}. Its vectors would be wrong "
            f"otherwise: encode with sentence-transformers itself."
        )


def _check_backbone(files: ModelFiles, folder: str) -> None:
    if PurePath(folder) != PurePath():
        raise CheckpointError(
            f"{files.source!r} keeps its Transformer in {folder!r}, as sentence-transformers did before version 2. "
            f"Save it anew: SentenceTransformer({files.source!r}).save(folder), and load that folder."
        )


def _check_names(files: ModelFiles, folder: str) -> None:
    """Refuse a module that reads or writes anything but the vector of the text: token vectors, say."""
    name = f"{folder}/config.json"
    config = files.mapping(name) or {}
    is_vector, vector = VECTOR
    for key in ("module_input_name", "module_output_name"):
        if not is_vector(config.get(key)):
            raise CheckpointError(
                f"{name} of {files.source!r} says {key}={config[key]!r}; supported is {vector}. Its vectors would "
                f"be wrong without it: encode with sentence-transformers itself."
            )
