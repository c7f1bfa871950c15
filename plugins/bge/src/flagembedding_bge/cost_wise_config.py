"""The configuration of a lightweight reranker: Gemma2's, and which of its layers have a head; nothing is executed.

On the Hub these checkpoints say ``"model_type": "cost_wise_gemma"`` and point to Python code of their own
(``CostWiseGemmaForCausalLM``). The network is Gemma2 (https://arxiv.org/abs/2408.00118) with other heads, so that
transformers' words for it are used as they are.
"""

# No "from __future__ import annotations" here: @strict checks no field whose type is given as a string.
import json
from collections.abc import Mapping
from typing import Any

from huggingface_hub.dataclasses import strict
from huggingface_hub.errors import StrictDataclassError
from transformers import Gemma2Config

from FlagEmbedding.engine.checkpoint import Checkpoint
from FlagEmbedding.errors import CheckpointError

MODEL_TYPE = "cost_wise_gemma"

# What describes the network. The rest is what it was trained with, and how the checkpoints' own code runs it.
_DESCRIPTION = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "hidden_activation",
    "max_position_embeddings",
    "pad_token_id",
    "attention_bias",
    "query_pre_attn_scalar",
    "sliding_window",
    "layer_types",
    "start_layer",
    "layer_sep",
    "layer_wise",
)

# Numbers that JSON may write without a point, and transformers then refuses. None is a value: no soft-capping.
_FRACTIONS = ("rms_norm_eps", "final_logit_softcapping", "attn_logit_softcapping")

_DEFAULT_THETA = 10_000.0


@strict
class CostWiseGemmaConfig(Gemma2Config):  # type: ignore[no-untyped-call]  # transformers' __init_subclass__
    """Transformers' configuration of the network, and which of its layers have a head.

    The defaults are those of the checkpoints' own code, and of transformers 4.46, on which it runs.

    Attributes:
        start_layer: The first layer that gives a score; 0 is the embeddings.
        layer_sep: From one such layer to the next.
        layer_wise: Whether there are such heads, or the vocabulary's in their place.
    """

    model_type = MODEL_TYPE

    query_pre_attn_scalar: int = 224  # transformers 5 has 256 where a config.json states none: another temperature
    start_layer: int = 28
    layer_sep: int = 28
    layer_wise: bool = False

    @property
    def scored_layers(self) -> range:
        """The layers with a head, ascending; head ``N`` was trained with the ``N``-th."""
        return range(self.start_layer, self.num_hidden_layers + 1, self.layer_sep)


def load_config(checkpoint: Checkpoint) -> CostWiseGemmaConfig:
    """Return the configuration in the ``config.json`` of a checkpoint.

    Raises:
        CheckpointError: There is none, or it describes another network.
    """
    try:
        settings = json.loads((checkpoint.folder / "config.json").read_text(encoding="utf-8"))
        return native_config(settings)
    except (OSError, ValueError, TypeError, StrictDataclassError) as error:
        raise CheckpointError(f"config.json of {checkpoint.source!r} cannot be used: {error}.") from error


def native_config(settings: Mapping[str, Any]) -> CostWiseGemmaConfig:
    """Return the configuration for the content of a ``config.json``.

    Raises:
        ValueError: It is of another type, or asks for something that this network does not have.
    """
    if not isinstance(settings, Mapping) or settings.get("model_type") != MODEL_TYPE:
        raise ValueError(f"its model_type is not {MODEL_TYPE!r}, so it is no lightweight reranker of Gemma2")
    config = CostWiseGemmaConfig(
        **{name: settings[name] for name in _DESCRIPTION if name in settings},
        **{name: _as_float(settings[name]) for name in _FRACTIONS if name in settings},
        rope_parameters={"rope_type": "default", "rope_theta": _theta(settings)},
    )
    if not config.layer_wise:
        raise ValueError("its layer_wise is false: it has no heads that give one score, only the vocabulary's")
    if not (0 <= config.start_layer <= config.num_hidden_layers and config.layer_sep >= 1):
        raise ValueError(
            f"its heads are at each {config.layer_sep} layers from {config.start_layer} on, and it has "
            f"{config.num_hidden_layers} layers"
        )
    return config


def _theta(settings: Mapping[str, Any]) -> float:
    """Return the base of the rotary positions: all that the checkpoints' own code reads of them."""
    rope = settings.get("rope_parameters") or {}  # as transformers 5 saves it
    scaling = settings.get("rope_scaling") or (rope if rope.get("rope_type", "default") != "default" else None)
    if scaling:
        raise ValueError(f"its rotary positions are scaled ({scaling!r}), which this network does not have")
    return float(rope.get("rope_theta") or settings.get("rope_theta") or _DEFAULT_THETA)


def _as_float(value: Any) -> Any:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
