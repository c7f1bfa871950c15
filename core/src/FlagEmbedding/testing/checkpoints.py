"""Tiny random checkpoints in the hub's own layout: weights, a real tokenizer, and the configuration of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import transformers
from tokenizers import Tokenizer, processors

from FlagEmbedding.engine.quiet import quiet_transformers
from FlagEmbedding.testing.vocabularies import (
    ANGLE,
    POSITIONS,
    SQUARE,
    angle_word_tokenizer,
    byte_tokenizer,
    change_json,
    save_tokenizer,
    unigram_tokenizer,
    word_tokenizer,
)

WIDTH = 32
"""Length of a token's vector."""

SIZES: Mapping[str, Any] = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": POSITIONS,
}
"""What makes a model tiny, as ``config.json`` has it."""

_ROBERTA = {"max_position_embeddings": POSITIONS + 2}  # positions are numbered from padding_idx + 1
_NO_IDS = {"bos_token_id": None, "eos_token_id": None}  # the defaults are ids of the real vocabulary
_EXTRA: dict[str, dict[str, Any]] = {
    "xlm-roberta": _ROBERTA,
    "roberta": _ROBERTA,
    "mpnet": _ROBERTA,
    "modernbert": {"num_hidden_layers": 3, "local_attention": 16, "global_attn_every_n_layers": 2} | _NO_IDS,
}

_BERT = (word_tokenizer, "BertTokenizer")
_TOKENIZERS: dict[str, tuple[Callable[[], tuple[Tokenizer, dict[str, str]]], str]] = {
    "xlm-roberta": (unigram_tokenizer, "XLMRobertaTokenizer"),
    "roberta": (lambda: (byte_tokenizer(), ANGLE), "RobertaTokenizer"),
    "mpnet": (angle_word_tokenizer, "MPNetTokenizer"),
    "modernbert": (lambda: (byte_tokenizer(SQUARE, "[CLS]", "[SEP]"), SQUARE), "PreTrainedTokenizerFast"),
}


def build(folder: Path, model_type: str = "bert", *, kind: Any = transformers.AutoModel, **config: Any) -> Path:
    """Write an encoder.

    Args:
        folder: Where to; returned.
        model_type: As ``config.json`` spells it. One that has no tokenizer of its own here gets BERT's.
        kind: Which of transformers' classes: with a head of pre-training, say.
        **config: Values of ``config.json`` that are to differ.
    """
    tokenizer_of, class_name = _TOKENIZERS.get(model_type, _BERT)
    tokenizer, special = tokenizer_of()
    save_tokenizer(folder, tokenizer, special, class_name)
    settings = {**SIZES, "vocab_size": tokenizer.get_vocab_size(), **_special_ids(tokenizer, special)}
    settings |= _EXTRA.get(model_type, {}) | config
    _save_model(folder, model_type, kind, settings)
    return folder


def build_classifier(folder: Path, model_type: str = "bert", *, labels: int = 1, **config: Any) -> Path:
    """Write a cross-encoder: an encoder with a classifier of so many labels; otherwise as :func:`build`."""
    return build(folder, model_type, kind=transformers.AutoModelForSequenceClassification, num_labels=labels, **config)


def build_language_model(folder: Path, model_type: str, **options: Any) -> Path:
    """Write a decoder with its output embedding, as the rerankers that say "Yes" have it; see :func:`build_decoder`."""
    return build_decoder(folder, model_type, kind=transformers.AutoModelForCausalLM, **options)


def build_decoder(
    folder: Path,
    model_type: str,
    *,
    start: bool = True,
    end: str = "",
    words: Sequence[str] = (),
    kind: Any = transformers.AutoModel,
    **config: Any,
) -> Path:
    """Write a decoder as the hub has many: its texts must end in ``</s>``, and its tokenizer.json does not add it.

    Args:
        folder: Where to; returned.
        model_type: As ``config.json`` spells it.
        start: Whether its texts begin with ``<s>``.
        end: Another token that its tokenizer.json puts at the end; then nothing else needs to be added.
        words: Further tokens of its vocabulary.
        kind: Which of transformers' classes.
        **config: Values of ``config.json`` that are to differ.
    """
    tokenizer = byte_tokenizer({**ANGLE, "end": end} if end else ANGLE)
    tokenizer.add_tokens(list(words))
    single = " ".join([*(["<s>"] if start else []), "$A", *([end] if end else [])])
    framing = [(part, tokenizer.token_to_id(part)) for part in single.split() if part != "$A"]
    tokenizer.post_processor = processors.TemplateProcessing(single=single, special_tokens=framing)
    special = {name: token for name, token in ANGLE.items() if start or name != "bos"}
    save_tokenizer(folder, tokenizer, special, "LlamaTokenizerFast" if start else "Qwen2TokenizerFast")
    change_json(folder / "tokenizer_config.json", add_bos_token=start, add_eos_token=not end)
    settings = {**SIZES, "vocab_size": tokenizer.get_vocab_size(), **_special_ids(tokenizer, special)}
    settings |= {"num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 8 * POSITIONS} | config
    _save_model(folder, model_type, kind, settings)
    return folder


def random_model(config: Any, kind: Any = transformers.AutoModel) -> torch.nn.Module:
    """Return a model whose every weight is random, the biases too: nothing in it is neutral."""
    model: torch.nn.Module = kind.from_config(config, dtype=torch.float32)
    generator = torch.Generator().manual_seed(20240229)
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            noise = torch.randn(weight.shape, generator=generator) * 0.2
            weight.copy_(noise + 1 if "norm" in name.lower() and name.endswith("weight") else noise)
    return model.eval()


def rename_weights(folder: Path, part: str, other: str) -> None:
    """Replace ``part`` by ``other`` in the names of a checkpoint's weights."""
    path = folder / "model.safetensors"
    weights = {name.replace(part, other): weight for name, weight in safetensors.torch.load_file(path).items()}
    safetensors.torch.save_file(weights, path, {"format": "pt"})


def _save_model(folder: Path, model_type: str, kind: Any, settings: Mapping[str, Any]) -> None:
    model: Any = random_model(transformers.AutoConfig.for_model(model_type, **settings), kind)
    with quiet_transformers():  # it would draw a bar
        model.save_pretrained(folder)


def _special_ids(tokenizer: Tokenizer, special: Mapping[str, str]) -> dict[str, int | None]:
    names = [name for name in ("pad", "bos", "eos", "cls", "sep") if name in special]
    return {f"{name}_token_id": tokenizer.token_to_id(special[name]) for name in names}
