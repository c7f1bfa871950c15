"""Under which name and settings mteb keeps the results of a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from FlagEmbedding.adapters._extras import extra

with extra("mteb", "mteb"):
    from mteb.models.model_meta import ModelMeta

if TYPE_CHECKING:
    from FlagEmbedding import AbsEmbedder, AbsReranker

# Options that change where and how fast something is computed, or who asks for the files: not what comes out.
_NO_EXPERIMENT = ("batch_size", "cache_dir", "convert_to_numpy", "device", "devices", "local_files_only", "token")


def model_meta(
    loader: type, name: str, model: AbsEmbedder | AbsReranker, experiment: Mapping[str, Any], **known: Any
) -> ModelMeta:
    """Return what mteb keeps results under; what is not known of the model stays open."""
    left_out = (*_NO_EXPERIMENT, "revision")
    told = {key: value for key, value in experiment.items() if value is not None and key not in left_out}
    return ModelMeta.create_empty(
        overwrites={
            "loader": loader,
            "name": _result_name(name, model.model_name_or_path),
            "revision": experiment.get("revision"),
            "framework": ["PyTorch"],
            "experiment_kwargs": told or None,
            **known,
        }
    )


def _result_name(name: str, source: str) -> str:
    """Return a name with a slash in it, as mteb wants them: the hub id, or the folder's path."""
    for hub_id in (name, source):
        if "/" in hub_id and not Path(hub_id).exists():
            return hub_id
    return Path(name).resolve().as_posix() if Path(name).is_dir() else f"FlagEmbedding/{name}"
