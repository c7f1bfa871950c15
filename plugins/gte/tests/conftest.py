"""Tiny checkpoints as the hub has them: GTE's own layout and names of weights, and Qwen2's with code beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import transformers
from tokenizers import processors

IMPLEMENTATION = "Alibaba-NLP/new-impl--"
AUTO_CLASSES = {
    "AutoConfig": "configuration.NewConfig",
    "AutoModel": "modeling.NewModel",
    "AutoModelForSequenceClassification": "modeling.NewForSequenceClassification",
}

# The switches that say how the published code runs, not what it computes.
SWITCHES = {
    "pack_qkv": True,
    "unpad_inputs": True,
    "use_memory_efficient_attention": True,
    "logn_attention_scale": False,
    "logn_attention_clip1": True,
    "layer_norm_type": "layer_norm",
    "position_embedding_type": "rope",
    "torch_dtype": "float16",
    "transformers_version": "4.39.1",
    "id2label": {"0": "LABEL_0"},
    "label2id": {"LABEL_0": 0},
}
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "layer_norm_eps": 1e-12,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.0,
}


KINDS = {
    "NewModel": transformers.AutoModel,
    "NewForSequenceClassification": transformers.AutoModelForSequenceClassification,
}


@pytest.fixture
def published(tiny: Any) -> Any:
    """``published(folder, rope, ...)`` writes a checkpoint as Alibaba does, and returns transformers' model of it.

    ``rope`` is transformers' ``rope_parameters``; ``settings`` are what ``config.json`` says of it, and other keys.
    ``architecture`` is that of the published code: the encoder, or a classifier on it.
    """

    def write(
        folder: Path,
        rope: dict[str, Any],
        prefix: str = "new.",
        multilingual: bool = False,
        architecture: str = "NewModel",
        **settings: Any,
    ) -> transformers.GteModel | transformers.GteForSequenceClassification:
        tokenizer, special = tiny.unigram_tokenizer() if multilingual else tiny.word_tokenizer()
        tiny.save_tokenizer(folder, tokenizer, special, "XLMRobertaTokenizer" if multilingual else "BertTokenizer")
        pad = tokenizer.token_to_id(special["pad"])
        network = {**SIZES, "vocab_size": tokenizer.get_vocab_size() + 3, "type_vocab_size": 2, "pad_token_id": pad}
        network |= {name: settings[name] for name in settings.keys() & network.keys()}
        auto_map = {name: IMPLEMENTATION + reference for name, reference in AUTO_CLASSES.items()}
        hub = {"model_type": "new", "architectures": [architecture], "auto_map": auto_map, **SWITCHES}
        said = {**hub, **network, **settings}
        config = transformers.GteConfig(**network, rope_parameters=rope, num_labels=len(said["id2label"]))
        model = tiny.random_model(config, KINDS[architecture])
        tiny.write_json(folder / "config.json", said)
        weights = published_heads(model) | published_weights(model.base_model)
        named = {name if name.startswith("classifier.") else prefix + name: weights[name] for name in weights}
        safetensors.torch.save_file(named, folder / "model.safetensors", {"format": "pt"})
        return model

    return write


def published_heads(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return a classifier's own weights, and those of the pooler below it; an encoder has neither."""
    own = model.state_dict()
    heads = {name: weight for name, weight in own.items() if name.startswith("classifier.")}
    return heads | {name.removeprefix("gte."): weight for name, weight in own.items() if name.startswith("gte.pooler.")}


def published_weights(model: transformers.GteModel) -> dict[str, torch.Tensor]:
    """Rename the weights by hand: query, key and value in one matrix, up before gate in another."""
    own = model.state_dict()
    weights = {name: weight for name, weight in own.items() if name.startswith("embeddings.")}
    for index in range(model.config.num_hidden_layers):
        old, new = f"layers.{index}", f"encoder.layer.{index}"
        for kind in ("weight", "bias"):
            parts = [own[f"{old}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
            weights[f"{new}.attention.qkv_proj.{kind}"] = torch.cat(parts)
            weights[f"{new}.attention.o_proj.{kind}"] = own[f"{old}.self_attn.o_proj.{kind}"]
            weights[f"{new}.mlp.down_proj.{kind}"] = own[f"{old}.mlp.down_proj.{kind}"]
            weights[f"{new}.attn_ln.{kind}"] = own[f"{old}.post_attention_layernorm.{kind}"]
            weights[f"{new}.mlp_ln.{kind}"] = own[f"{old}.post_mlp_layernorm.{kind}"]
        parts = [own[f"{old}.mlp.{part}_proj.weight"] for part in ("up", "gate")]
        weights[f"{new}.mlp.up_gate_proj.weight"] = torch.cat(parts)
    return weights


@pytest.fixture
def change_weights() -> Any:
    """``change_weights(folder, change)`` lets ``change`` edit the weights by name."""

    def edit(folder: Path, change: Any) -> None:
        weights = safetensors.torch.load_file(folder / "model.safetensors")
        change(weights)
        safetensors.torch.save_file(weights, folder / "model.safetensors", {"format": "pt"})

    return edit


@pytest.fixture
def booby_trap() -> Any:
    """``booby_trap(folder)`` puts Python files into it that leave a mark where they run; returns the mark's path."""

    def lay(folder: Path) -> Path:
        mark = folder / "code-has-run"
        names = ("configuration", "modeling", "modeling_qwen", "tokenization_qwen", "configuration_qwen")
        for name in names:
            (folder / f"{name}.py").write_text(f"open({str(mark)!r}, 'w').close()\n", encoding="utf-8")
        return mark

    return lay


@pytest.fixture
def qwen2(tiny: Any) -> Any:
    """``qwen2(folder)`` writes a checkpoint as gte-Qwen2's: causal to transformers, no EOS in its tokenizer.json."""
    end = "<|endoftext|>"
    special = {"eos": end, "pad": end}

    def write(folder: Path) -> Path:
        tokenizer = tiny.byte_tokenizer(special, end, end)
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
        tiny.save_tokenizer(folder, tokenizer, special, "Qwen2Tokenizer")
        tiny.change_json(
            folder / "tokenizer_config.json",
            add_eos_token=True,
            auto_map={"AutoTokenizer": ["tokenization_qwen.Qwen2Tokenizer", "tokenization_qwen.Qwen2TokenizerFast"]},
        )
        sizes = {**SIZES, "num_key_value_heads": 2, "hidden_act": "silu", "vocab_size": tokenizer.get_vocab_size()}
        sizes["max_position_embeddings"] = 512
        ids = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
        config = transformers.Qwen2Config(**{k: v for k, v in sizes.items() if "hidden_dropout" not in k}, **ids)
        tiny.random_model(config).save_pretrained(folder)
        tiny.change_json(
            folder / "config.json",
            auto_map={
                "AutoModel": "modeling_qwen.Qwen2Model",
                "AutoModelForCausalLM": "modeling_qwen.Qwen2ForCausalLM",
            },
        )
        return folder

    return write
