"""The native encoder: the same vectors as transformers' GteModel set up by hand, and as the published mathematics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import tokenizers
import torch
import transformers
from torch.nn.functional import gelu, layer_norm

from FlagEmbedding import FlagAutoModel, FlagModel
from FlagEmbedding.inference.embedder.dense import DenseEmbedder
from flagembedding_gte.native import GteEmbedder

TEXTS = [
    "the river",
    "seven stone windows and a garden, as of the paper letter in the light",
    "berlin",
    "what is the answer to all the questions that we have on search engines?",
]

# Name, config.json's words for its rope, transformers' words for it by hand (heads are 8 wide), and the rest.
LARGE = (
    "gte-large-en-v1.5",
    {"rope_theta": 160000, "rope_scaling": {"type": "ntk", "factor": 2.0}},
    {"rope_type": "linear", "rope_theta": 320000.0, "factor": 2.0**0.25},
    {"type_vocab_size": 2},
)
BASE = (
    "gte-base-en-v1.5",
    {"rope_theta": 500000, "rope_scaling": {"type": "ntk", "factor": 2.0}},
    {"rope_type": "linear", "rope_theta": 1000000.0, "factor": 2.0**0.25},
    {"type_vocab_size": 0},
)
MULTILINGUAL = (
    "gte-multilingual-base",
    {"rope_theta": 20000, "rope_scaling": {"type": "ntk", "factor": 8.0}},
    {"rope_type": "linear", "rope_theta": 160000.0, "factor": 8.0**0.25},
    {"type_vocab_size": 1, "multilingual": True},
)
PLAIN = ("gte-base-en-v1.5", {"rope_theta": 7000.0}, {"rope_type": "default", "rope_theta": 7000.0}, {})


def ids_of(folder: Path, text: str) -> list[int]:
    return tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids


def vectors(folder: Path, state: Any) -> np.ndarray:
    """One text at a time, not padded: the first token's state, normalised."""
    rows = np.stack([state(ids_of(folder, text)) for text in TEXTS])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def from_transformers(model: transformers.GteModel) -> Any:
    def state(ids: list[int]) -> np.ndarray:
        with torch.no_grad():
            return model(input_ids=torch.tensor([ids])).last_hidden_state[0, 0].double().numpy()

    return state


def from_the_formulas(folder: Path, theta: float, factor: float) -> Any:
    """new-impl's mathematics on the file's own weights, in float64: no transformers and none of our code."""
    weights = {
        name.removeprefix("new."): weight.double()
        for name, weight in safetensors.torch.load_file(folder / "model.safetensors").items()
    }
    heads, width = 4, 8
    angles = (theta * factor) ** -(torch.arange(0, width, 2).double() / width) / factor ** (2 / width)

    def norm(states: torch.Tensor, name: str) -> torch.Tensor:
        return layer_norm(states, states.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-12)

    def linear(states: torch.Tensor, name: str) -> torch.Tensor:
        return states @ weights[f"{name}.weight"].T + weights.get(f"{name}.bias", torch.zeros(1).double())

    def turn(part: torch.Tensor) -> torch.Tensor:
        turned = torch.outer(torch.arange(part.shape[1]).double(), angles)
        one, two = part.chunk(2, dim=-1)
        cos, sin = turned.cos(), turned.sin()
        return torch.cat([one * cos - two * sin, two * cos + one * sin], dim=-1)

    def attend(states: torch.Tensor, layer: str) -> torch.Tensor:
        packed = linear(states, f"{layer}.attention.qkv_proj").chunk(3, dim=-1)
        query, key, value = (part.view(-1, heads, width).transpose(0, 1) for part in packed)
        seen = (turn(query) @ turn(key).mT / width**0.5).softmax(dim=-1) @ value
        return linear(seen.transpose(0, 1).flatten(1), f"{layer}.attention.o_proj")

    def state(ids: list[int]) -> np.ndarray:
        states = weights["embeddings.word_embeddings.weight"][ids]
        if "embeddings.token_type_embeddings.weight" in weights:
            states = states + weights["embeddings.token_type_embeddings.weight"][0]
        states = norm(states, "embeddings.LayerNorm")
        for layer in ("encoder.layer.0", "encoder.layer.1"):
            states = norm(states + attend(states, layer), f"{layer}.attn_ln")
            up, gate = linear(states, f"{layer}.mlp.up_gate_proj").chunk(2, dim=-1)
            states = norm(states + linear(up * gelu(gate), f"{layer}.mlp.down_proj"), f"{layer}.mlp_ln")
        return states[0].numpy()

    return state


@pytest.mark.parametrize(("name", "says", "rope", "rest"), [LARGE, BASE, MULTILINGUAL, PLAIN])
@pytest.mark.parametrize("prefix", ["new.", ""])
def test_the_vectors_are_right(published, tmp_path, prefix, name, says, rope, rest) -> None:
    folder = tmp_path / name
    by_hand = published(folder, rope, prefix, **says, **rest)
    model = FlagAutoModel.from_finetuned(folder, devices="cpu")
    assert type(model) is GteEmbedder
    assert type(model.model) is transformers.GteModel
    assert abs(model.encode(TEXTS) - vectors(folder, from_transformers(by_hand))).max() <= 1e-5
    formulas = from_the_formulas(folder, says["rope_theta"], says.get("rope_scaling", {}).get("factor", 1.0))
    assert abs(model.encode(TEXTS) - vectors(folder, formulas)).max() <= 1e-5


def test_the_references_can_tell_ropes_apart(published, tmp_path) -> None:
    """Or the test above would pass whatever becomes of the rope."""
    _, says, rope, _ = LARGE
    folder = tmp_path / "model"
    right = vectors(folder, from_transformers(published(folder, rope, **says)))
    for theta, factor in ((160000, 1.0), (320000, 1.0), (160000, 8.0)):
        assert abs(right - vectors(folder, from_the_formulas(folder, theta, factor))).max() > 1e-3


def test_the_frequencies_survive_loading(published, tmp_path) -> None:
    _, says, rope, _ = MULTILINGUAL
    published(tmp_path / "gte-multilingual-base", rope, **says)
    model = FlagAutoModel.from_finetuned(tmp_path / "gte-multilingual-base", devices="cpu")
    wanted = (20000.0 * 8.0) ** -(np.arange(0, 8, 2) / 8) / 8.0 ** (2 / 8)
    assert abs(model.model.rotary_emb.inv_freq.double().numpy() - wanted).max() <= 1e-7


def test_the_other_spelling(published, tmp_path, tiny) -> None:
    """A copy that says "gte", with the published code's words for its rope, or with transformers' own."""
    _, says, rope, _ = LARGE
    for folder, words in ((tmp_path / "old", says), (tmp_path / "new", {"rope_parameters": rope})):
        by_hand = published(folder, rope, model_type="gte", **words)
        model = GteEmbedder(str(folder), devices="cpu")
        assert abs(model.encode(TEXTS) - vectors(folder, from_transformers(by_hand))).max() <= 1e-5


@pytest.mark.parametrize(("model_type", "theta"), [("new", 10000.0), ("gte", 160000.0)])
def test_a_base_that_is_not_stated(published, tmp_path, model_type, theta) -> None:
    by_hand = published(tmp_path / "model", {"rope_type": "default", "rope_theta": theta}, model_type=model_type)
    model = GteEmbedder(str(tmp_path / "model"), devices="cpu")
    assert abs(model.encode(TEXTS) - vectors(tmp_path / "model", from_transformers(by_hand))).max() <= 1e-5


def test_a_fine_tune_under_another_name(published, tmp_path) -> None:
    _, says, rope, _ = LARGE
    by_hand = published(tmp_path / "mine", rope, **says)
    model = FlagAutoModel.from_finetuned(tmp_path / "mine", devices="cpu")
    assert abs(model.encode(TEXTS) - vectors(tmp_path / "mine", from_transformers(by_hand))).max() <= 1e-5


def test_it_is_an_encoder_like_others(published, tmp_path) -> None:
    published(tmp_path / "gte-base-en-v1.5", {"rope_type": "default", "rope_theta": 9.0}, rope_theta=9.0)
    model = FlagAutoModel.from_finetuned(tmp_path / "gte-base-en-v1.5", devices="cpu")
    assert isinstance(model, FlagModel)
    assert (model.dimension, model.query_max_length, model.passage_max_length) == (32, 8192, 8192)
    assert abs(np.stack([model.encode(text) for text in TEXTS]) - model.encode(TEXTS)).max() <= 1e-5
    assert (model.encode_queries(TEXTS) == model.encode_corpus(TEXTS)).all()


@pytest.mark.parametrize(
    "settings",
    [
        {"unpad_inputs": True, "use_memory_efficient_attention": True},
        {"unpad_inputs": False, "use_memory_efficient_attention": False, "logn_attention_clip1": False},
        {"logn_attention_scale": None, "layer_norm_type": None, "position_embedding_type": None},
    ],
)
def test_switches_of_the_published_code_change_nothing(published, tmp_path, settings) -> None:
    _, says, rope, _ = LARGE
    by_hand = published(tmp_path / "gte-large-en-v1.5", rope, **says, **settings)
    model = FlagAutoModel.from_finetuned(tmp_path / "gte-large-en-v1.5", devices="cpu")
    wanted = vectors(tmp_path / "gte-large-en-v1.5", from_transformers(by_hand))
    assert abs(model.encode(TEXTS) - wanted).max() <= 1e-5


@pytest.mark.parametrize(
    "head",
    [
        ["lm_head.dense.weight", "lm_head.norm.weight", "lm_head.decoder.bias"],
        ["new.pooler.dense.weight"],
        pytest.param(
            ["classifier.weight", "classifier.bias"],
            marks=pytest.mark.skipif(
                not hasattr(DenseEmbedder, "unused_weights"), reason="needs unused_weights of flagembedding-core"
            ),
        ),
    ],
)
def test_heads_for_other_uses_are_left_alone(published, change_weights, tmp_path, head) -> None:
    _, says, rope, rest = MULTILINGUAL
    folder = tmp_path / "gte-multilingual-base"
    by_hand = published(folder, rope, **says, **rest)
    change_weights(folder, lambda weights: weights.update({name: torch.ones(4) for name in head}))
    model = FlagAutoModel.from_finetuned(folder, devices="cpu")
    assert abs(model.encode(TEXTS) - vectors(folder, from_transformers(by_hand))).max() <= 1e-5
