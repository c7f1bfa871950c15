"""Checkpoints that transformers' GteModel would compute wrongly are refused, with the reason."""

from __future__ import annotations

import pytest
import torch

from FlagEmbedding import FlagAutoModel
from FlagEmbedding.errors import CheckpointError
from flagembedding_gte.native import GteEmbedder


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rope_scaling": {"type": "yarn", "factor": 2.0}}, "'yarn'"),
        ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "'dynamic'"),
        ({"logn_attention_scale": True}, "logn_attention_scale is True"),
        ({"layer_norm_type": "rms_norm"}, "layer_norm_type is 'rms_norm'"),
        ({"position_embedding_type": "absolute"}, "position_embedding_type is 'absolute'"),
        ({"model_type": "bert"}, "model_type"),
        ({"model_type": None}, "model_type"),
        ({"hidden_size": "32"}, "hidden_size"),
        ({"num_attention_heads": 0}, "zero"),
    ],
)
def test_what_transformers_does_not_have_is_refused(published, tmp_path, tiny, settings, message) -> None:
    folder = tmp_path / "gte-large-en-v1.5"
    published(folder, {"rope_type": "default", "rope_theta": 9.0}, rope_theta=9.0)
    tiny.change_json(folder / "config.json", **settings)
    with pytest.raises(CheckpointError, match=rf"config.json of .*gte-large-en-v1.5.*{message}"):
        FlagAutoModel.from_finetuned(folder, devices="cpu")


@pytest.mark.parametrize("content", ["{", "[]", None])
def test_a_config_that_is_none(tmp_path, content) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"config\.json"):
        GteEmbedder(str(tmp_path), devices="cpu")


def _lose(weights: dict[str, torch.Tensor]) -> None:
    del weights["new.encoder.layer.1.mlp_ln.weight"]


def _gain(weights: dict[str, torch.Tensor]) -> None:
    weights["new.encoder.layer.2.mlp_ln.weight"] = torch.ones(32)


def _unpack(weights: dict[str, torch.Tensor]) -> None:
    """As with pack_qkv false: query, key and value apart, under names that transformers does not read."""
    for kind in ("weight", "bias"):
        parts = weights.pop(f"new.encoder.layer.0.attention.qkv_proj.{kind}").chunk(3)
        weights |= {f"new.encoder.layer.0.attention.{n}_proj.{kind}": p for n, p in zip("qkv", parts, strict=True)}


@pytest.mark.parametrize(
    ("change", "message"), [(_lose, "1 missing"), (_gain, "1 unexpected"), (_unpack, "missing.*unexpected")]
)
def test_weights_that_do_not_fit_are_refused(published, change_weights, tmp_path, change, message) -> None:
    published(tmp_path / "gte-large-en-v1.5", {"rope_type": "default", "rope_theta": 9.0}, rope_theta=9.0)
    change_weights(tmp_path / "gte-large-en-v1.5", change)
    with pytest.raises(CheckpointError, match=message):
        FlagAutoModel.from_finetuned(tmp_path / "gte-large-en-v1.5", devices="cpu")
