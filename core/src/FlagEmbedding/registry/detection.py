"""Detection of embedders: from the files of a model that nobody registered to a configuration.

Reads ``config.json`` and the files that sentence-transformers writes beside it. What these say counts; what they leave
open falls back to the default of the architecture, said in one warning.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from FlagEmbedding.config import EmbedderConfig, EmbedderModelClass, ModelClass
from FlagEmbedding.errors import CheckpointError
from FlagEmbedding.registry.classes import EMBEDDER_CLASSES
from FlagEmbedding.registry.files import ModelFiles

logger = logging.getLogger(__name__)

_POOLINGS = {"cls": "cls", "mean": "mean", "lasttoken": "last_token", "last_token": "last_token"}

_MODULES = {"Transformer", "Pooling", "Normalize"}


def detect_embedder(files: ModelFiles, wanted: Mapping[str, Any]) -> EmbedderConfig:
    """Return the configuration that the files of a model describe.

    Args:
        files: The model's files.
        wanted: What the caller decides whatever the files say: ``model_class`` (``"module:Class"``) and
            ``pooling_method`` count here.

    Raises:
        CheckpointError: There is no ``config.json``, the model is a reranker, or it has parts that would be left out.
    """
    config = files.config()
    _refuse_reranker(files.source, config)
    found = EMBEDDER_CLASSES.of_model_type(str(config.get("model_type"))) or EMBEDDER_CLASSES.own(
        EmbedderModelClass.ENCODER_ONLY_BASE
    )
    prompts = _prompts(files)
    return EmbedderConfig(
        model_class=wanted.get("model_class") or found.reference,
        pooling_method=_pooling(files, wanted.get("pooling_method")) or _fallback(files.source, found),
        query_instruction=prompts.get("query") or None,
        passage_instruction=prompts.get("document") or prompts.get("passage") or None,
        max_length=_max_length(files),
        source=f"detected from the files of {files.source}",
    )


def _refuse_reranker(source: str, config: Mapping[str, Any]) -> None:
    for architecture in config.get("architectures") or ():
        if str(architecture).endswith("ForSequenceClassification"):
            raise CheckpointError(
                f"{source!r} is a reranker ({architecture}), not an embedding model. It scores pairs and gives no "
                f"vectors: load it with FlagAutoReranker."
            )


def _pooling(files: ModelFiles, wanted: str | None) -> str | None:
    """Return the pooling that is wanted or that the sentence-transformers modules name, or None without either."""
    modules = files.objects("modules.json")
    if modules is None:
        return wanted
    types = dict(_module(files, module) for module in modules)
    left_out = sorted(set(types) - _MODULES)
    if left_out:
        raise CheckpointError(
            f"{files.source!r} has the sentence-transformers modules {', '.join(left_out)}, which are not supported; "
            f"its vectors would be wrong without them."
        )
    return wanted or (_pooling_mode(files, types["Pooling"]) if "Pooling" in types else None)


def _module(files: ModelFiles, module: Mapping[str, Any]) -> tuple[str, str]:
    """Return the class name and the folder of an entry in ``modules.json``."""
    kind, folder = module.get("type"), module.get("path")
    if not isinstance(kind, str) or not isinstance(folder, str):
        raise files.wrong_shape("modules.json", module, "modules with a type and a path")
    return kind.rpartition(".")[2], folder


def _pooling_mode(files: ModelFiles, folder: str) -> str:
    """Read ``N_Pooling/config.json`` in both its dialects: one flag per mode (to 5.x), or ``pooling_mode``."""
    name = f"{folder}/config.json"
    config = files.mapping(name) or {}
    modes = config["pooling_mode"] if "pooling_mode" in config else _flagged_modes(config)
    mode = modes[0] if isinstance(modes, list) and len(modes) == 1 else modes
    if not isinstance(mode, str) or mode not in _POOLINGS or config.get("include_prompt") is False:
        raise CheckpointError(
            f"{name} of {files.source!r} asks for a pooling that is not supported: {dict(config)}. Name a registered "
            f"pooling function with pooling_method=."
        )
    return _POOLINGS[mode]


def _flagged_modes(config: Mapping[str, Any]) -> list[str]:
    prefix = "pooling_mode_"
    flagged = [key.removeprefix(prefix) for key, value in config.items() if key.startswith(prefix) and value is True]
    return [mode.removesuffix("_tokens").removesuffix("_token") for mode in flagged]


def _fallback(source: str, found: ModelClass) -> str:
    logger.warning(
        "%r is not registered and its files name no pooling: assuming %s with pooling %r. "
        "Set pooling_method= (and query_instruction_for_retrieval=) if its model card says otherwise.",
        source,
        found.reference.partition(":")[2],
        str(found.pooling),
    )
    return found.pooling


def _prompts(files: ModelFiles) -> Mapping[str, str]:
    name = "config_sentence_transformers.json"
    prompts = (files.mapping(name) or {}).get("prompts") or {}
    if not isinstance(prompts, Mapping) or not all(isinstance(prompt, str) for prompt in prompts.values()):
        raise files.wrong_shape(name, prompts, "prompts that are strings by name")
    return prompts


def _max_length(files: ModelFiles) -> int | None:
    value = (files.mapping("sentence_bert_config.json") or {}).get("max_seq_length")
    return value if type(value) is int and value > 0 else None
