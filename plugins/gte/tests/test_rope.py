"""Rotary positions: the translation against the published formula, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import transformers

from flagembedding_gte.rope import rope_parameters


def published_frequencies(theta: float, factor: float, width: int) -> np.ndarray:
    """Alibaba-NLP/new-impl, NTKScalingRotaryEmbedding without mixed_b: base * factor, then / factor ** (2 / width)."""
    plain = 1.0 / (theta * factor) ** (np.arange(0, width, 2, dtype=np.float64) / width)
    return plain / factor ** (2 / width)


def frequencies(rope: dict[str, Any], heads: int, width: int) -> np.ndarray:
    config = transformers.GteConfig(
        vocab_size=8, hidden_size=heads * width, num_attention_heads=heads, num_hidden_layers=1, rope_parameters=rope
    )
    return transformers.GteModel(config).rotary_emb.inv_freq.double().numpy()


@pytest.mark.parametrize(
    ("theta", "factor", "heads", "width"),
    [(160000, 2.0, 16, 64), (20000, 8.0, 12, 64), (500000, 2.0, 12, 64), (10000.0, 1.0, 2, 8), (160000, 3, 2, 16)],
)
def test_ntk_is_the_published_formula(theta: float, factor: float, heads: int, width: int) -> None:
    settings = {"rope_theta": theta, "rope_scaling": {"type": "ntk", "factor": factor}}
    translated = rope_parameters(settings, width, 10000.0)
    assert abs(frequencies(translated, heads, width) - published_frequencies(theta, factor, width)).max() <= 1e-7


@pytest.mark.parametrize(
    ("theta", "factor", "translated"),
    [
        (160000, 2.0, {"rope_type": "linear", "rope_theta": 320000.0, "factor": pytest.approx(1.021897, abs=1e-6)}),
        (20000, 8.0, {"rope_type": "linear", "rope_theta": 160000.0, "factor": pytest.approx(1.067140, abs=1e-6)}),
        (500000, 2.0, {"rope_type": "linear", "rope_theta": 1000000.0, "factor": pytest.approx(1.021897, abs=1e-6)}),
    ],
)
def test_the_published_models(theta: float, factor: float, translated: dict[str, Any]) -> None:
    settings = {"rope_theta": theta, "rope_scaling": {"type": "ntk", "factor": factor}}
    assert rope_parameters(settings, 64, 10000.0) == translated


@pytest.mark.parametrize("key", ["type", "rope_type"])
@pytest.mark.parametrize("name", ["rope_scaling", "rope_parameters"])
def test_ntk_under_any_spelling(name: str, key: str) -> None:
    settings = {name: {key: "ntk", "factor": 4, "rope_theta": 100, "mixed_b": None}, "rope_theta": 7}
    assert rope_parameters(settings, 2, 10000.0) == {"rope_type": "linear", "rope_theta": 400.0, "factor": 4.0}


@pytest.mark.parametrize(
    ("settings", "theta"),
    [
        ({"rope_theta": 160000}, 160000.0),
        ({"rope_theta": 160000, "rope_scaling": None}, 160000.0),
        ({}, 10000.0),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 5.0}}, 5.0),
        ({"rope_parameters": {"rope_theta": 5.0}, "rope_scaling": {}}, 5.0),
    ],
)
def test_without_scaling(settings: dict[str, Any], theta: float) -> None:
    assert rope_parameters(settings, 8, 10000.0) == {"rope_type": "default", "rope_theta": theta}


def test_what_transformers_saved_itself() -> None:
    saved = {"rope_type": "linear", "rope_theta": 320000.0, "factor": 1.021897}
    assert rope_parameters({"rope_parameters": saved}, 64, 10000.0) == saved


@pytest.mark.parametrize("kind", ["yarn", "dynamic", "linear", "longrope", "llama3", "default", "NTK"])
def test_other_types_are_named(kind: str) -> None:
    with pytest.raises(ValueError, match=f"rope type is not supported.*'{kind}'"):
        rope_parameters({"rope_scaling": {"type": kind, "factor": 2.0}}, 8, 10000.0)


@pytest.mark.parametrize("kind", ["yarn", "dynamic"])
def test_other_types_of_transformers_are_named(kind: str) -> None:
    with pytest.raises(ValueError, match=f"rope type is not supported.*'{kind}'"):
        rope_parameters({"rope_parameters": {"rope_type": kind, "factor": 2.0}}, 8, 10000.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rope_scaling": {"type": "ntk", "factor": 2, "mixed_b": 0.625}}, "mixed_b"),
        ({"rope_scaling": {"factor": 2}}, "not supported"),
        ({"rope_parameters": {"rope_type": None}}, "not supported"),
        ({"rope_scaling": {"type": "ntk"}}, "factor of rope type 'ntk' is None"),
        ({"rope_scaling": {"type": "ntk", "factor": "2"}}, "factor of rope type 'ntk' is '2'"),
        ({"rope_scaling": {"type": "ntk", "factor": 0.5}}, "factor of rope type 'ntk' is 0.5"),
        ({"rope_scaling": {"type": "ntk", "factor": True}}, "is True"),
        ({"rope_scaling": {"type": "ntk", "factor": float("nan")}}, "is nan"),
        ({"rope_theta": 0}, "rope_theta is 0"),
        ({"rope_theta": "160000"}, "rope_theta is '160000'"),
        ({"rope_scaling": "ntk"}, "as a mapping"),
        ({"rope_scaling": {"type": "ntk", "factor": 2}, "rope_parameters": {"rope_type": "default"}}, "once"),
        ({"rope_parameters": {"rope_type": "default", "type": "ntk", "factor": 2}}, "not supported"),
        ({"rope_parameters": {"rope_type": "default", "factor": 2}}, "factor, which is not supported"),
        ({"rope_parameters": {"full_attention": {"rope_type": "default"}}}, "full_attention"),
        ({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}}, "partial_rotary_factor"),
    ],
)
def test_nothing_is_dropped_in_silence(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rope_parameters(settings, 8, 10000.0)
