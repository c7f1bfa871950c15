"""A tiny checkpoint of each reranker's architecture, as the hub has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cost_wise_checkpoints
import minicpm_tiny
import transformers

_CHAT_TOKENS = ("<|im_start|>", "<|im_end|>", "<think>", "</think>", "yes", "no")


def build(tiny: Any, folder: Path, architecture: str) -> Path:
    if architecture == "gemma":
        return tiny.build_language_model(folder, "gemma")
    if architecture == "qwen3":
        return tiny.build_language_model(folder, "qwen3", start=False, words=_CHAT_TOKENS)
    if architecture == "new":
        return build_new_classifier(tiny, folder)
    name, _, layers = architecture.partition(" of ")  # "minicpm of 40": as deep as the published model
    depth = {"num_hidden_layers": int(layers), "start_layer": 8} if layers else {}
    if name == "minicpm":
        return build_minicpm(tiny, folder, **depth)
    if name == "cost_wise_gemma":
        return cost_wise_checkpoints.write_with_tokenizer(folder, tiny, **depth)
    return tiny.build_classifier(folder, architecture)


def build_new_classifier(tiny: Any, folder: Path) -> Path:
    """transformers' own GTE classifier, with the ``config.json`` that the hub has: theta 20000, NTK factor 8."""
    tokenizer, special = tiny.unigram_tokenizer()
    tiny.save_tokenizer(folder, tokenizer, special, "XLMRobertaTokenizer")
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    rope = {"rope_type": "linear", "rope_theta": 160000.0, "factor": 8 ** (2 / 8)}
    config = transformers.GteConfig(
        **sizes,
        vocab_size=tokenizer.get_vocab_size(),
        rope_parameters=rope,
        num_labels=1,
        type_vocab_size=1,
        pad_token_id=tokenizer.token_to_id("<pad>"),
    )
    tiny.random_model(config, transformers.AutoModelForSequenceClassification).save_pretrained(folder)
    said = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    del said["rope_parameters"]
    code = {"AutoModelForSequenceClassification": "Alibaba-NLP/new-impl--modeling.NewForSequenceClassification"}
    hub = {"model_type": "new", "auto_map": code, "architectures": ["NewForSequenceClassification"]}
    hub |= {"rope_theta": 20000, "rope_scaling": {"type": "ntk", "factor": 8.0}, "id2label": {"0": "LABEL_0"}}
    tiny.write_json(folder / "config.json", {**said, **hub})
    tiny.write_json(folder / "reference.json", config.to_dict())
    return folder


def build_minicpm(tiny: Any, folder: Path, **changes: Any) -> Path:
    tokenizer = tiny.byte_tokenizer()
    minicpm_tiny.build(folder, vocab_size=tokenizer.get_vocab_size(), **changes)
    special = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>"}
    tiny.save_tokenizer(folder, tokenizer, special, "LlamaTokenizerFast")
    return folder
