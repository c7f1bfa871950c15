"""Tiny lightweight rerankers in the hub's layout, and what their scores are: plain loops over one pair, in float64.

Nothing here comes from transformers or from our network: the formulas are those of Gemma 2 (arXiv 2408.00118) and of
the checkpoints' own code.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch.nn.functional import gelu, silu

# Every number is another, so that none can stand for another; the window and the caps are small, so that they count.
CONFIG: dict[str, Any] = {
    "architectures": ["CostWiseGemmaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "attn_logit_softcapping": 3.0,
    "auto_map": {
        "AutoConfig": "gemma_config.CostWiseGemmaConfig",
        "AutoModel": "gemma_model.CostWiseGemmaModel",
        "AutoModelForCausalLM": "gemma_model.CostWiseGemmaForCausalLM",
    },
    "bos_token_id": 0,
    "cache_implementation": "hybrid",
    "eos_token_id": 2,
    "final_logit_softcapping": 4.0,
    "head_dim": 6,
    "hidden_act": "gelu_pytorch_tanh",
    "hidden_activation": "gelu_pytorch_tanh",
    "hidden_size": 32,
    "initializer_range": 0.02,
    "intermediate_size": 40,
    "layer_sep": 1,
    "layer_wise": True,
    "max_position_embeddings": 512,
    "model_type": "cost_wise_gemma",
    "num_attention_heads": 4,
    "num_hidden_layers": 6,
    "num_key_value_heads": 2,
    "pad_token_id": 1,
    "query_pre_attn_scalar": 9,
    "rms_norm_eps": 1e-06,
    "rope_theta": 500.0,
    "sliding_window": 5,
    "start_layer": 2,
    "torch_dtype": "float32",
    "transformers_version": "4.46.3",
    "use_cache": False,
    "vocab_size": 90,
}


def write(folder: Path, **changes: Any) -> Path:
    """Write ``config.json`` and random weights under the names that the hub has; a change to None removes the key."""
    config = {name: value for name, value in {**CONFIG, **changes}.items() if value is not None}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    generator = torch.Generator().manual_seed(20240806)
    weights = {
        name: torch.randn(shape, generator=generator) * (0.5 if len(shape) == 1 else 1.6 / math.sqrt(shape[1]))
        for name, shape in shapes({**CONFIG, **changes}).items()
    }
    safetensors.torch.save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def write_with_tokenizer(folder: Path, tiny: Any, **changes: Any) -> Path:
    """Write the checkpoint with a tokenizer of byte pairs, which the module ``tiny`` of the core's tests makes."""
    tokenizer = tiny.byte_tokenizer()
    write(folder, vocab_size=tokenizer.get_vocab_size(), **changes)
    special = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>"}
    tiny.save_tokenizer(folder, tokenizer, special, "PreTrainedTokenizerFast")
    return folder


def shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the weights by name."""
    width, inner = config["hidden_size"], config["intermediate_size"]
    heads, groups = (config[name] * config["head_dim"] for name in ("num_attention_heads", "num_key_value_heads"))
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config["vocab_size"], width)}
    for layer in range(config["num_hidden_layers"]):
        parts = {
            "self_attn.q_proj": (heads, width),
            "self_attn.k_proj": (groups, width),
            "self_attn.v_proj": (groups, width),
            "self_attn.o_proj": (width, heads),
            "mlp.gate_proj": (inner, width),
            "mlp.up_proj": (inner, width),
            "mlp.down_proj": (width, inner),
            "input_layernorm": (width,),
            "post_attention_layernorm": (width,),
            "pre_feedforward_layernorm": (width,),
            "post_feedforward_layernorm": (width,),
        }
        found |= {f"model.layers.{layer}.{name}.weight": shape for name, shape in parts.items()}
        if config["attention_bias"]:
            biases = {name: shape[:1] for name, shape in parts.items() if name.startswith("self_attn.")}
            found |= {f"model.layers.{layer}.{name}.bias": shape for name, shape in biases.items()}
    found["model.norm.weight"] = (width,)
    count = len(range(config["start_layer"], config["num_hidden_layers"] + 1, config["layer_sep"]))
    return found | {f"lm_head.{head}.linear_head.weight": (1, width) for head in range(count)}


class Reference:
    """The scores of one pair at a time; ``softcap``, ``window`` and ``restart`` show what each of them changes."""

    def __init__(self, folder: Path, *, softcap: bool = True, window: bool = True, restart: bool = True) -> None:
        self.config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        weights = safetensors.torch.load_file(folder / "model.safetensors")
        self._weights = {name: weight.double() for name, weight in weights.items()}
        self._cap = self.config.get("attn_logit_softcapping") if softcap else None
        self._window = self.config["sliding_window"] if window else 10**9
        self._restart = restart

    def states(
        self, ids: list[int], query: int, prompt: int, ratio: int, compressed: list[int], depth: int
    ) -> torch.Tensor:
        """Return the states after ``depth`` layers, ``[tokens, width]``, not normalised."""
        states = self._weights["model.embed_tokens.weight"][ids] * math.sqrt(self.config["hidden_size"])
        positions = list(range(len(ids)))
        for layer in range(depth):
            if layer in compressed and ratio > 1:
                states, positions = self._compressed(states, positions, query, prompt, ratio)
            states = self._layer(states, layer, positions)
        return states

    def score(self, ids: list[int], query: int, prompt: int, layer: int, head: int, **how: Any) -> float:
        """Return the score after ``layer`` layers by ``head``; ``how`` is ``ratio`` and ``compressed``."""
        last = self.states(ids, query, prompt, how.get("ratio", 1), how.get("compressed", []), layer)[-1]
        score = float(self._norm(last, "model.norm") @ self._weights[f"lm_head.{head}.linear_head.weight"][0])
        cap = self.config.get("final_logit_softcapping")
        return math.tanh(score / cap) * cap if cap else score

    def _compressed(
        self, states: torch.Tensor, positions: list[int], query: int, prompt: int, ratio: int
    ) -> tuple[torch.Tensor, list[int]]:
        rows, kept = [], []
        end = len(states) - prompt
        place = 0
        while place < len(states):
            size = min(ratio, end - place) if query <= place < end else 1
            rows.append(states[place : place + size].mean(dim=0))
            kept.append(len(kept) if self._restart else positions[place])
            place += size
        return torch.stack(rows), kept

    def _layer(self, states: torch.Tensor, layer: int, positions: list[int]) -> torch.Tensor:
        name = f"model.layers.{layer}"
        seen = self._attention(self._norm(states, f"{name}.input_layernorm"), layer, positions)
        states = states + self._norm(seen, f"{name}.post_attention_layernorm")
        inner = self._norm(states, f"{name}.pre_feedforward_layernorm")
        gate = self._linear(inner, f"{name}.mlp.gate_proj")
        gate = silu(gate) if self.config["hidden_activation"] == "silu" else gelu(gate, approximate="tanh")
        inner = self._linear(gate * self._linear(inner, f"{name}.mlp.up_proj"), f"{name}.mlp.down_proj")
        return states + self._norm(inner, f"{name}.post_feedforward_layernorm")

    def _attention(self, states: torch.Tensor, layer: int, positions: list[int]) -> torch.Tensor:
        name, width = f"model.layers.{layer}.self_attn", self.config["head_dim"]
        split = {part: self._linear(states, f"{name}.{part}_proj").split(width, dim=-1) for part in "qkv"}
        group = self.config["num_attention_heads"] // self.config["num_key_value_heads"]
        heads = []
        for number, part in enumerate(split["q"]):
            query, key = (self._turned(each, positions) for each in (part, split["k"][number // group]))
            rows = [self._seen(query, key, split["v"][number // group], row, layer) for row in range(len(states))]
            heads.append(torch.stack(rows))
        return self._linear(torch.cat(heads, dim=-1), f"{name}.o_proj")

    def _seen(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, row: int, layer: int) -> torch.Tensor:
        """Return what the token at ``row`` sees of those up to it; every other layer, from the first, sees few."""
        first = max(0, row - self._window + 1) if self._slides(layer) else 0
        logits = key[first : row + 1] @ query[row] / math.sqrt(self.config["query_pre_attn_scalar"])
        if self._cap:
            logits = torch.tanh(logits / self._cap) * self._cap
        return logits.softmax(dim=0) @ value[first : row + 1]

    def _slides(self, layer: int) -> bool:
        if "layer_types" in self.config:
            return self.config["layer_types"][layer] == "sliding_attention"
        return layer % 2 == 0

    def _turned(self, part: torch.Tensor, positions: list[int]) -> torch.Tensor:
        half = self.config["head_dim"] // 2
        steps = self.config["rope_theta"] ** -(torch.arange(half).double() / half)
        angles = torch.tensor(positions).double().unsqueeze(1) * steps
        one, two = part.split(half, dim=-1)
        return torch.cat([one * angles.cos() - two * angles.sin(), two * angles.cos() + one * angles.sin()], dim=-1)

    def _norm(self, states: torch.Tensor, name: str) -> torch.Tensor:
        scale = torch.sqrt(states.pow(2).mean(dim=-1, keepdim=True) + self.config["rms_norm_eps"])
        return states / scale * (1 + self._weights[f"{name}.weight"])

    def _linear(self, states: torch.Tensor, name: str) -> torch.Tensor:
        return states @ self._weights[f"{name}.weight"].T + self._weights.get(f"{name}.bias", 0)
