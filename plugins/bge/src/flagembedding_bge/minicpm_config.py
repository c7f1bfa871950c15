"""The configuration of a layerwise reranker: from its ``config.json`` to transformers' words, and nothing executed.

On the Hub these checkpoints say ``"model_type": "minicpm"`` and point to Python code of their own
(``LayerWiseMiniCPMForCausalLM``). MiniCPM's network (https://arxiv.org/abs/2404.06395) is in transformers under another
name, Granite: Llama with its embeddings, its attention and what each block adds times a number. Here those numbers are
computed from MiniCPM's; what Granite lacks is refused, because dropped it would give other scores.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from numbers import Integral
from typing import Any, TypeAlias

from huggingface_hub.errors import StrictDataclassError
from transformers import GraniteConfig

from FlagEmbedding.engine.checkpoint import Checkpoint
from FlagEmbedding.errors import CheckpointError, OptionError

MODEL_TYPE = "minicpm"

Layers: TypeAlias = int | Sequence[int]
"""After how many layers a score is read: one number, or several."""

# What both know by the same name, with the same defaults. The rest of a config.json is what the network was trained
# with, how the checkpoints' own code runs it (use_cache, pretraining_tp), or counts for other heads (dim_model_base).
_DESCRIPTION = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "hidden_act",
    "max_position_embeddings",
    "rms_norm_eps",
    "attention_bias",
)

_DEFAULT_THETA = 10_000.0
_ROPE_KEYS = ("rope_type", "type", "rope_theta")


class MiniCPMConfig(GraniteConfig):  # type: ignore[no-untyped-call]  # transformers' __init_subclass__
    """Transformers' configuration of the network, and which of its layers have a head.

    Attributes:
        start_layer: The first layer that gives a score; 0 is the embeddings. So does each after it.
        head_multi: Whether each of them has a head of its own, or all of them one together.
    """

    model_type = MODEL_TYPE

    start_layer: int = 8
    head_multi: bool = True

    def scored_layers(self, cutoff_layers: Layers | None) -> list[int]:
        """Return the layers to be scored, each checked: after so many layers the score is read.

        Args:
            cutoff_layers: From ``start_layer`` to ``num_hidden_layers``: one, or several in any order, any of them more
                than once. None is the last.

        Raises:
            OptionError: It is none of these.
        """
        asked: Any = self.num_hidden_layers if cutoff_layers is None else cutoff_layers
        ordered = isinstance(asked, Iterable) and not isinstance(asked, (AbstractSet, Mapping))
        layers = list(asked) if ordered else [asked]
        if not layers or not all(map(self._has_head, layers)):
            raise OptionError(
                f"cutoff_layers={cutoff_layers!r} is no list of layers that this model has a head for: give whole "
                f"numbers from {self.start_layer} to {self.num_hidden_layers}, or None for the last."
            )
        return list(map(int, layers))

    def _has_head(self, layer: object) -> bool:
        if isinstance(layer, bool) or not isinstance(layer, Integral):  # numpy's integers count too
            return False
        return self.start_layer <= int(layer) <= self.num_hidden_layers


def load_config(checkpoint: Checkpoint) -> MiniCPMConfig:
    """Return the configuration in the ``config.json`` of a checkpoint.

    Raises:
        CheckpointError: There is none, or it describes another network.
    """
    try:
        settings = json.loads((checkpoint.folder / "config.json").read_text(encoding="utf-8"))
        return native_config(settings)
    except (OSError, ValueError, TypeError, ArithmeticError, StrictDataclassError) as error:
        raise CheckpointError(f"config.json of {checkpoint.source!r} cannot be used: {error}.") from error


def native_config(settings: Mapping[str, Any]) -> MiniCPMConfig:
    """Return the configuration for the content of a ``config.json``.

    Raises:
        ValueError: It is of another type, or asks for something that is not supported here.
    """
    if not isinstance(settings, Mapping) or settings.get("model_type") != MODEL_TYPE:
        raise ValueError(f"its model_type is not {MODEL_TYPE!r}, so it is no layerwise reranker of MiniCPM")
    config = MiniCPMConfig(
        **{name: settings[name] for name in _DESCRIPTION if settings.get(name) is not None},
        **_heads(settings),
        embedding_multiplier=settings.get("scale_emb", 1),
    )
    if config.start_layer > config.num_hidden_layers:
        raise ValueError(f"its start_layer is {config.start_layer}, and it has {config.num_hidden_layers} layers")
    config.attention_multiplier = (config.hidden_size // config.num_attention_heads) ** -0.5
    config.residual_multiplier = settings.get("scale_depth", 1) / math.sqrt(config.num_hidden_layers)
    config.rope_parameters = _rope_parameters(settings)
    return config


def _heads(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of the configuration that says which layers have a head."""
    heads = {"head_type": "simple", "start_layer": 8, "head_multi": True, **settings}
    first, several = heads["start_layer"], heads["head_multi"]
    if heads["head_type"] != "simple":
        raise ValueError(
            f"its head_type is {heads['head_type']!r}, heads that give the vocabulary's scores in place of the pair's; "
            f"'simple' is supported"
        )
    if isinstance(first, bool) or not isinstance(first, int) or first < 0 or not isinstance(several, bool):
        raise ValueError(f"its start_layer is {first!r} and its head_multi {several!r}, not a number and true or false")
    return {"start_layer": first, "head_multi": several}


def _rope_parameters(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return transformers' words for the rotary positions."""
    rope = settings.get("rope_parameters") or settings.get("rope_scaling") or {}
    if not isinstance(rope, Mapping):
        raise TypeError(f"its rope is {rope!r}, which is no mapping")
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind == "dynamic":
        raise ValueError(
            "its rope type is 'dynamic', by which the score of a pair would depend on the longest pair of its batch"
        )
    if kind not in ("default", "linear"):
        raise ValueError(f"its rope type is {kind!r}, and only 'linear' and none are known")
    unknown = sorted(set(rope) - {*_ROPE_KEYS, *(["factor"] if kind == "linear" else [])})
    if unknown:
        raise ValueError(f"its rope of type {kind!r} has {', '.join(unknown)}, which is not supported")
    theta = rope.get("rope_theta") or settings.get("rope_theta") or _DEFAULT_THETA
    factor = {"factor": _at_least_1(rope.get("factor"), "factor of its rope")} if kind == "linear" else {}
    return {"rope_type": kind, "rope_theta": _at_least_1(theta, "rope_theta"), **factor}


def _at_least_1(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 1:
        raise ValueError(f"its {name} is {value!r}, not a number from 1")
    return float(value)
