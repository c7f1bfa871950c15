"""FlagAutoReranker: resolve a name, construct its class, nothing else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from FlagEmbedding.config import RerankerConfig, RerankerModelClass
from FlagEmbedding.construction import construct
from FlagEmbedding.errors import ModelClassError
from FlagEmbedding.hub import HUB_OPTIONS
from FlagEmbedding.registry.resolution import resolve_reranker

if TYPE_CHECKING:
    from FlagEmbedding.abc.inference import AbsReranker


_DEFAULTS = {"use_fp16": False, "trust_remote_code": False}


class FlagAutoReranker:
    """The factory of rerankers: a name goes in, the right class comes out, loaded and set up.

    Raises:
        ModelClassError: It is called itself, and not its method :meth:`from_finetuned`.
    """

    def __init__(self) -> None:
        raise ModelClassError("FlagAutoReranker is a factory: call FlagAutoReranker.from_finetuned(name).")

    @classmethod
    def from_finetuned(
        cls,
        model_name_or_path: str | os.PathLike[str],
        model_class: str | RerankerModelClass | None = None,
        use_fp16: bool = False,
        trust_remote_code: bool | None = None,
        **kwargs: Any,
    ) -> AbsReranker:
        """Load a reranker.

        Args:
            model_name_or_path: A registered name (it loads the official hub repository), a hub id or a local folder.
            model_class: A key such as ``"encoder-only-base"``; replaces the class and leaves the rest as it is known.
            use_fp16: Half precision on accelerators; a CPU computes in float32.
            trust_remote_code: None means False, except where the registered model needs code of its official
                repository and is loaded from there.
            **kwargs: Further options of the model class (``devices``, ``batch_size``, ``max_length``,
                ``cutoff_layers``, ``cache_dir``, ...).

        Returns:
            The reranker, ready to score.

        Raises:
            ValueError: The name is unknown, claimed twice, or leads to no reranker; an option is not known.
            RuntimeError: A device is not present, or a known model could not be fetched.
        """
        found = resolve_reranker(
            model_name_or_path,
            model_class,
            {"trust_remote_code": trust_remote_code},
            {name: kwargs[name] for name in HUB_OPTIONS if name in kwargs},
        )
        decided = {} if trust_remote_code is None else {"trust_remote_code": trust_remote_code}
        said = {"use_fp16": use_fp16, **decided, **kwargs}
        return construct(found.config.model_class, found.source, said, _settings(found.config), _DEFAULTS)


def _settings(config: RerankerConfig) -> dict[str, Any]:
    """Return what the catalogue says, as arguments of the model class; what it leaves open is left to the class."""
    length = {} if config.max_length is None else {"max_length": config.max_length}
    return {"trust_remote_code": config.trust_remote_code, **length, **config.options}
