"""Tiny random checkpoints in the layout of bge-reranker-v2-minicpm-layerwise, and what their scores should be."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from tokenizers import Tokenizer, decoders, models, normalizers
from torch import Tensor

# Its config.json (40 layers of 36 heads in 2304 dimensions there), the code that it points to left out of the folder.
SETTINGS: dict[str, Any] = {
    "architectures": ["LayerWiseMiniCPMForCausalLM"],
    "auto_map": {
        "AutoConfig": "configuration_minicpm_reranker.LayerWiseMiniCPMConfig",
        "AutoModel": "modeling_minicpm_reranker.LayerWiseMiniCPMModel",
        "AutoModelForCausalLM": "modeling_minicpm_reranker.LayerWiseMiniCPMForCausalLM",
    },
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 1,
    "dim_model_base": 8,
    "eos_token_id": 2,
    "head_multi": True,
    "head_type": "simple",
    "hidden_act": "silu",
    "hidden_size": 32,
    "initializer_range": 0.1,
    "intermediate_size": 48,
    "max_position_embeddings": 256,
    "model_type": "minicpm",
    "num_attention_heads": 4,
    "num_hidden_layers": 5,
    "num_key_value_heads": 4,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "scale_depth": 1.4,
    "scale_emb": 12,
    "start_layer": 2,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.38.1",
    "use_cache": False,
    "vocab_size": 64,
}

_SPECIAL = ["<unk>", "<s>", "</s>"]
_WORDS = ["▁the", "▁what", "▁is", "▁of", "▁in", "▁and", "▁panda", "▁bear", "▁query", "▁passage", "answer", "▁A", "▁B"]
_CHARACTERS = ["▁", *map(chr, range(ord("!"), ord("~") + 1))]


def build_with_tokenizer(folder: Path, **changes: Any) -> Path:
    """Write a checkpoint with the kind of tokenizer that these have: Llama's of sentencepiece, as byte pairs.

    It puts a space before each text, so that a line break is two tokens; what it does not know becomes bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    merges = list(dict.fromkeys((word[:index], word[index]) for word in _WORDS for index in range(1, len(word))))
    tokens = [*_SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), *_CHARACTERS, *map("".join, merges)]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens(_SPECIAL)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = dict(zip(("unk_token", "bos_token", "eos_token"), _SPECIAL, strict=True))
    kind = {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "add_eos_token": False, "legacy": True}
    settings = json.dumps({**kind, **names, "pad_token": "</s>"})
    (folder / "tokenizer_config.json").write_text(settings, encoding="utf-8")
    return build(folder, vocab_size=len(vocabulary), **changes)


def build(folder: Path, **changes: Any) -> Path:
    """Write ``config.json`` and ``model.safetensors`` to a folder.

    ``changes`` are to differ in the former; what is None there is not said in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        name: value for name, value in {**SETTINGS, **changes}.items() if name not in changes or value is not None
    }
    (folder / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    generator = torch.Generator().manual_seed(20240318)
    weights = {name: _random(name, shape, generator) for name, shape in _shapes(settings).items()}
    safetensors.torch.save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _random(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    noise = torch.randn(shape, generator=generator) * 0.3
    return noise + 1 if "norm" in name else noise


def _shapes(settings: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    width, inner = settings["hidden_size"], settings["intermediate_size"]
    narrow = width // settings["num_attention_heads"] * settings["num_key_value_heads"]
    rows = {"q": width, "k": narrow, "v": narrow, "o": width}
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (settings["vocab_size"], width),
        "model.norm.weight": (width,),
    }
    for layer in (f"model.layers.{index}" for index in range(settings["num_hidden_layers"])):
        shapes |= {f"{layer}.self_attn.{part}_proj.weight": (size, width) for part, size in rows.items()}
        if settings["attention_bias"]:
            shapes |= {f"{layer}.self_attn.{part}_proj.bias": (size,) for part, size in rows.items()}
        shapes |= {f"{layer}.mlp.{part}_proj.weight": (inner, width) for part in ("gate", "up")}
        shapes |= {f"{layer}.mlp.down_proj.weight": (width, inner)}
        shapes |= {f"{layer}.{part}_layernorm.weight": (width,) for part in ("input", "post_attention")}
    return shapes | {f"{head}.linear_head.weight": (1, width) for head in _heads(settings)}


def _heads(settings: dict[str, Any]) -> list[str]:
    layers = range(settings.get("start_layer", 8), settings["num_hidden_layers"] + 1)
    return [f"lm_head.{index}" for index in range(len(layers))] if settings["head_multi"] else ["lm_head"]


class Reference:
    """The published mathematics on the file's own weights, in float64, one pair at a time: nobody else's code.

    MiniCPM (https://arxiv.org/abs/2404.06395) is Llama with its embeddings times ``scale_emb`` and what each block adds
    times ``scale_depth / sqrt(layers)``; the score of a layer is its head on the last token's state, normalised.
    """

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.settings = {**json.loads((folder / "config.json").read_text(encoding="utf-8")), **changes}
        weights = safetensors.torch.load_file(folder / "model.safetensors")
        self.weights = {name: weight.double() for name, weight in weights.items()}

    def scores(self, ids: Sequence[int], layers: Sequence[int]) -> list[float]:
        """Return the score after each of ``layers``."""
        states = self.weights["model.embed_tokens.weight"][list(ids)] * self.settings["scale_emb"]
        names = [f"model.layers.{index}" for index in range(self.settings["num_hidden_layers"])]
        after = list(itertools.accumulate(names, self._layer, initial=states))
        return [self._score(after[layer][-1], layer) for layer in layers]

    def _score(self, state: Tensor, layer: int) -> float:
        index = layer - self.settings["start_layer"]
        head = f"lm_head.{index}" if self.settings["head_multi"] else "lm_head"
        return float(self._norm(state, "model.norm") @ self.weights[f"{head}.linear_head.weight"][0])

    def _layer(self, states: Tensor, layer: str) -> Tensor:
        share = self.settings["scale_depth"] / self.settings["num_hidden_layers"] ** 0.5
        normed = self._norm(states, f"{layer}.input_layernorm")
        states = states + share * self._attend(normed, f"{layer}.self_attn")
        normed = self._norm(states, f"{layer}.post_attention_layernorm")
        gate, up = (self._linear(normed, f"{layer}.mlp.{part}_proj") for part in ("gate", "up"))
        return states + share * self._linear(gate * gate.sigmoid() * up, f"{layer}.mlp.down_proj")

    def _attend(self, states: Tensor, layer: str) -> Tensor:
        heads, groups = self.settings["num_attention_heads"], self.settings["num_key_value_heads"]
        query, key, value = (self._linear(states, f"{layer}.{part}_proj") for part in "qkv")
        width = query.shape[1] // heads
        seen = torch.empty_like(query)
        for head in range(heads):
            own = slice(head * width, (head + 1) * width)
            group = head * groups // heads
            shared = slice(group * width, (group + 1) * width)
            asking, asked = self._turn(query[:, own]), self._turn(key[:, shared])
            for token in range(len(states)):
                past = asked[: token + 1] @ asking[token]
                seen[token, own] = (past / width**0.5).softmax(dim=0) @ value[: token + 1, shared]
        return self._linear(seen, f"{layer}.o_proj")

    def _turn(self, part: Tensor) -> Tensor:
        """Turn dimensions ``i`` and ``i + width / 2`` by the token's position times ``theta ** (-2i / width)``."""
        width, theta = part.shape[1], self.settings.get("rope_theta", 10000.0)
        factor = (self.settings.get("rope_scaling") or {}).get("factor", 1.0)
        angles = theta ** -(torch.arange(0, width, 2).double() / width) / factor
        turned = torch.outer(torch.arange(len(part)).double(), angles)
        one, two = part.chunk(2, dim=1)
        return torch.cat([one * turned.cos() - two * turned.sin(), two * turned.cos() + one * turned.sin()], dim=1)

    def _norm(self, states: Tensor, name: str) -> Tensor:
        size = (states**2).mean(dim=-1, keepdim=True) + self.settings["rms_norm_eps"]
        return states / size**0.5 * self.weights[f"{name}.weight"]

    def _linear(self, states: Tensor, name: str) -> Tensor:
        return states @ self.weights[f"{name}.weight"].T + self.weights.get(f"{name}.bias", 0.0)
