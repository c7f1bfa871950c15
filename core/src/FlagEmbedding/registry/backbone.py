"""``sentence_bert_config.json``: how sentence-transformers uses the backbone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from FlagEmbedding.errors import CheckpointError
from FlagEmbedding.registry.files import ModelFiles
from FlagEmbedding.registry.lengths import tokenizer_length

# sentence-transformers reads the first of these that says something.
_KINDS = ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
_FILES = tuple(f"sentence_{kind}_config.json" for kind in _KINDS)

_READ = ("max_seq_length", "do_lower_case")
_WITHOUT_EFFECT = ("unpad_inputs",)

# What a dense model of texts says here; anything else makes other vectors.
_USUAL = {"transformer_task": "feature-extraction", "module_output_name": "token_embeddings"}
_TEXT = {"method": "forward", "method_output_name": "last_hidden_state"}

# Arguments for transformers, and those among them that change no vector.
_ARGUMENTS = ("model_args", "config_args", "tokenizer_args", "model_kwargs", "config_kwargs", "processor_kwargs")
_HARMLESS = {
    *("add_pooling_layer", "attn_implementation", "dtype", "local_files_only", "low_cpu_mem_usage", "padding_side"),
    *("torch_dtype", "trust_remote_code", "unpad_inputs", "use_fast", "use_memory_efficient_attention"),
    *("device_map", "use_safetensors"),
}


@dataclass(frozen=True)
class Backbone:
    """How texts reach the backbone.

    Attributes:
        max_length: Tokens of a text that count, special tokens included; None where nothing says.
        lower_case: Whether they are put into lower case, whatever the tokenizer does.
    """

    max_length: int | None
    lower_case: bool


def read_backbone(files: ModelFiles) -> Backbone:
    """Return how texts reach the backbone; without such a file, what the tokenizer's settings say.

    Raises:
        CheckpointError: The file asks for something that is not done here and that makes other vectors.
    """
    name, settings = next(
        ((name, found) for name in _FILES if (found := files.mapping(name))), (_FILES[0], dict[str, Any]())
    )
    for key, value in settings.items():
        if not _is_usual(key, value):
            raise CheckpointError(
                f"{name} of {files.source!r} says {key}={value!r}, which is not supported; its vectors would be wrong "
                f"without it. Encode with sentence-transformers itself, or remove it from a copy of the model if it "
                f"changes nothing."
            )
    return Backbone(_length(files, name, settings) or tokenizer_length(files), _lower_case(files, name, settings))


def _length(files: ModelFiles, name: str, settings: Mapping[str, Any]) -> int | None:
    length = settings.get("max_seq_length")
    if length is not None and (type(length) is not int or length < 1):
        raise files.wrong_shape(name, length, "a positive number as max_seq_length")
    return length


def _lower_case(files: ModelFiles, name: str, settings: Mapping[str, Any]) -> bool:
    wanted = settings.get("do_lower_case")
    if wanted not in (None, True, False):
        raise files.wrong_shape(name, wanted, "true or false as do_lower_case")
    return bool(wanted)


def _is_usual(key: str, value: object) -> bool:
    if value is None or value == {} or key in (*_READ, *_WITHOUT_EFFECT):
        return True
    if key == "modality_config":
        # "message" sends every text through a chat template.
        return isinstance(value, Mapping) and "message" not in value and value.get("text") == _TEXT
    if key in _ARGUMENTS:
        return isinstance(value, Mapping) and set(value) <= _HARMLESS
    return key in _USUAL and value == _USUAL[key]
