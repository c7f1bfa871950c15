"""FlagAutoModel: resolve a name, construct its class, nothing else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from FlagEmbedding.config import EmbedderConfig, EmbedderModelClass
from FlagEmbedding.construction import construct
from FlagEmbedding.errors import ModelClassError
from FlagEmbedding.hub import HUB_OPTIONS
from FlagEmbedding.registry.resolution import Resolution, resolve_embedder

if TYPE_CHECKING:
    from FlagEmbedding.abc.inference import AbsEmbedder


_DEFAULTS = {
    "normalize_embeddings": True,
    "use_fp16": True,
    "devices": None,
    "trust_remote_code": False,
    "query_instruction_format": "{}{}",
}


class FlagAutoModel:
    """The factory of embedders: a name goes in, the right class comes out, loaded and set up.

    Raises:
        ModelClassError: It is called itself, and not its method :meth:`from_finetuned`.
    """

    def __init__(self) -> None:
        raise ModelClassError("FlagAutoModel is a factory: call FlagAutoModel.from_finetuned(name).")

    @classmethod
    def from_finetuned(
        cls,
        model_name_or_path: str | os.PathLike[str],
        model_class: str | EmbedderModelClass | None = None,
        normalize_embeddings: bool = True,
        use_fp16: bool = True,
        query_instruction_for_retrieval: str | None = None,
        devices: str | list[str] | None = None,
        pooling_method: str | None = None,
        trust_remote_code: bool | None = None,
        query_instruction_format: str | None = None,
        **kwargs: Any,
    ) -> AbsEmbedder:
        """Load an embedding model.

        Args:
            model_name_or_path: A registered name (it loads the official hub repository), a hub id or a local folder.
            model_class: A key such as ``"encoder-only-base"``; replaces the class and leaves the rest as it is known.
            normalize_embeddings: Whether vectors have length 1.
            use_fp16: Half precision on accelerators; a CPU computes in float32.
            query_instruction_for_retrieval: None means what the model card requires, ``""`` means none.
            devices: A device or several; None means every accelerator, or the CPU when there is none.
            pooling_method: None means the model's own.
            trust_remote_code: None means False, except where the registered model needs code of its official
                repository and is loaded from there.
            query_instruction_format: Two ``{}``; None means the model's own.
            **kwargs: Further options of the model class (``batch_size``, ``query_max_length``, ``cache_dir``, ...).

        Returns:
            The embedder, ready to encode.

        Raises:
            ValueError: The name is unknown, claimed twice, or leads to no embedding model; an option is not known.
            RuntimeError: A device is not present, or a known model could not be fetched.
        """
        found = resolve_embedder(
            model_name_or_path,
            model_class,
            {
                "pooling_method": pooling_method,
                "trust_remote_code": trust_remote_code,
                "query_instruction_format": query_instruction_format,
            },
            {name: kwargs[name] for name in HUB_OPTIONS if name in kwargs},
        )
        decided = {
            "query_instruction_for_retrieval": query_instruction_for_retrieval,
            "pooling_method": pooling_method,
            "trust_remote_code": trust_remote_code,
            "query_instruction_format": query_instruction_format,
        }
        said = {
            "normalize_embeddings": normalize_embeddings,
            "use_fp16": use_fp16,
            "devices": devices,
            **{name: value for name, value in decided.items() if value is not None},
            **kwargs,
        }
        return construct(found.config.model_class, found.source, said, _settings(found), _DEFAULTS)


def _settings(found: Resolution[EmbedderConfig]) -> dict[str, Any]:
    """Return what the catalogue says, as arguments of the model class; what it leaves open is left to the class."""
    config = found.config
    optional = {
        "query_instruction_for_retrieval": _required_instruction(config),
        "passage_instruction_for_retrieval": config.passage_instruction,
        "query_max_length": config.max_length,
        "passage_max_length": config.max_length,
        "is_causal": config.is_causal,
        "append_eos": config.append_eos or None,
    }
    if config.passage_instruction:
        optional["passage_instruction_format"] = config.passage_instruction_format
    return {
        "pooling_method": config.pooling_method,
        "trust_remote_code": config.trust_remote_code,
        "query_instruction_format": config.query_instruction_format,
        **{name: value for name, value in optional.items() if value is not None},
        **config.options,
    }


def _required_instruction(config: EmbedderConfig) -> str | None:
    return config.query_instruction if config.query_instruction_required else None
