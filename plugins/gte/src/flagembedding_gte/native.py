"""The encoder of gte-v1.5 and gte-multilingual-base, as transformers' own ``GteModel``: no code of the checkpoint runs.

On the Hub these checkpoints say ``"model_type": "new"`` and point to Python code (Alibaba-NLP/new-impl) that fails on
transformers 5. transformers has the same network as ``gte`` and takes the weights under their old names, but not the
configuration: that is translated here, and nothing in it that changes the vectors is dropped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from transformers import GteConfig

from FlagEmbedding.engine.checkpoint import Checkpoint
from FlagEmbedding.errors import CheckpointError
from FlagEmbedding.inference.embedder.encoder_only.base import BaseEmbedder
from FlagEmbedding.inference.reranker.encoder_only.base import BaseReranker
from flagembedding_gte.rope import rope_parameters

# The base where config.json states none, by model type: that of the checkpoints' own code, and transformers'.
_THETA = {"new": 10_000.0, "gte": GteConfig.default_theta}

# What describes the network and its labels. The rest is what it was trained with (dropout), and how the published
# code runs it (pack_qkv, unpad_inputs, use_memory_efficient_attention; the result is the same).
_DESCRIPTION = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "max_position_embeddings",
    "type_vocab_size",
    "layer_norm_eps",
    "pad_token_id",
    "num_labels",
    "id2label",
    "label2id",
)

# Variants of the network in the checkpoints' own code that transformers lacks, and the value each has without them.
# (logn_attention_clip1 counts only with logn_attention_scale.)
_VARIANTS: Mapping[str, object] = {
    "logn_attention_scale": False,
    "layer_norm_type": "layer_norm",
    "position_embedding_type": "rope",
}


class GteEmbedder(BaseEmbedder):
    """An encoder of type ``gte``, which its checkpoints may also call ``new``; everything else is as in its base.

    Raises:
        CheckpointError: ``config.json`` describes another network, or one that transformers does not have.
    """

    unused_weights = ("classifier.",)
    """The weights that a checkpoint may hold for another use: gte-multilingual-base's give a token its weight."""

    def _load_config(self, checkpoint: Checkpoint) -> GteConfig:
        return load_native_config(checkpoint)


class GteReranker(BaseReranker):
    """A classifier on that encoder; everything else is as in its base.

    Raises:
        CheckpointError: ``config.json`` describes another network, or one that transformers does not have.
    """

    def _load_config(self, checkpoint: Checkpoint) -> GteConfig:
        return load_native_config(checkpoint)


def load_native_config(checkpoint: Checkpoint) -> GteConfig:
    """Return transformers' configuration of the network, from the file alone.

    Raises:
        CheckpointError: The file cannot be read, or describes something that transformers does not have.
    """
    try:
        settings = json.loads((checkpoint.folder / "config.json").read_text(encoding="utf-8"))
        return native_config(settings)
    except (OSError, ValueError, TypeError, ArithmeticError, StrictDataclassError) as error:
        raise CheckpointError(f"config.json of {checkpoint.source!r} cannot be used: {error}.") from error


def native_config(settings: Mapping[str, Any]) -> GteConfig:
    """Return transformers' configuration for the content of a ``config.json`` of type ``gte`` or ``new``.

    Raises:
        ValueError: It is of another type, or asks for something that transformers' network does not have.
    """
    if not isinstance(settings, Mapping) or settings.get("model_type") not in _THETA:
        raise ValueError("its model_type is none of this class ('gte', 'new'); name another with model_class=")
    for name, plain in _VARIANTS.items():
        if settings.get(name, plain) not in (plain, None):
            raise ValueError(f"its {name} is {settings[name]!r}, which transformers' gte does not have")
    config = GteConfig(**{name: settings[name] for name in _DESCRIPTION if name in settings})
    head_dim = config.hidden_size // config.num_attention_heads
    config.rope_parameters = rope_parameters(settings, head_dim, _THETA[settings["model_type"]])
    return config
