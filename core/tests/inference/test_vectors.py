"""The vectors are those of plain transformers: one text at a time, no padding, pooled by hand."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel

from FlagEmbedding import FlagAutoModel, FlagModel

POOLINGS = ("cls", "mean", "last_token")

TEXTS = [
    "The question in the garden window, and all of the answer.",
    "river",
    "",
    "one of the [SEP] and [PAD] tokens <s> in <pad> a text",
    "zürich naïve straße москва 東京 北京 👩‍🔬 \0",
    "search engine learning machine " * 30,  # more than the model has positions for
    "unbelievablylongword" * 40,
]


def assert_same(found, expected, tolerance=1e-5):
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= tolerance


@pytest.mark.parametrize("pooling", POOLINGS)
def test_flag_model(flag_model, reference, model_type, pooling):
    found = flag_model(model_type, pooling).encode(TEXTS)
    assert_same(found, reference(model_type).vectors(TEXTS, pooling))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_flag_auto_model_with_sentence_transformers_files(tiny, checkpoint, reference, tmp_path, model_type, pooling):
    folder = Path(shutil.copytree(checkpoint(model_type), tmp_path / "model"))
    tiny.add_sentence_transformers_files(folder, pooling, max_length=20)
    found = FlagAutoModel.from_finetuned(str(folder)).encode(TEXTS)
    assert_same(found, reference(model_type).vectors(TEXTS, pooling, max_length=20))


@pytest.mark.parametrize("length", [3, 4, 17, 63, 64, 65, 512, 100_000])
def test_any_length_up_to_what_the_model_has_positions_for(flag_model, reference, model_type, length):
    found = flag_model(model_type).encode(TEXTS, max_length=length)
    assert_same(found, reference(model_type).vectors(TEXTS, max_length=min(length, 64)))


@pytest.mark.parametrize("method", ["encode", "encode_queries", "encode_corpus"])
def test_one_text_is_one_row(flag_model, reference, method):
    found = getattr(flag_model("bert"), method)(TEXTS[0])
    assert_same(found, reference("bert").vectors(TEXTS[:1])[0])


@pytest.mark.parametrize("pooling", POOLINGS)
def test_vectors_as_the_model_gives_them(checkpoint, reference, pooling):
    model = FlagModel(str(checkpoint("bert")), normalize_embeddings=False, pooling_method=pooling)
    expected = np.stack([reference("bert").pooled(text, pooling) for text in TEXTS])
    assert np.linalg.norm(expected, axis=1).min() > 1.5  # so that normalising them would show
    assert_same(model.encode(TEXTS), expected, tolerance=1e-4)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("dimension", [1, 7, 31, 32])
@pytest.mark.parametrize("where", ["constructor", "encode"])
def test_truncate_dim_cuts_before_normalising(checkpoint, reference, normalize, dimension, where):
    option = {"truncate_dim": dimension}
    model = FlagModel(
        str(checkpoint("bert")), normalize_embeddings=normalize, **(option if where == "constructor" else {})
    )
    expected = np.stack([reference("bert").pooled(text)[:dimension] for text in TEXTS])
    if normalize:
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = model.encode(TEXTS, **(option if where == "encode" else {}))
    assert_same(found, expected, tolerance=1e-5 if normalize else 1e-4)
    assert model.dimension == 32


def test_truncate_dim_of_the_call_beats_that_of_the_model(checkpoint):
    model = FlagModel(str(checkpoint("bert")), truncate_dim=8)
    assert model.encode(["river"]).shape == (1, 8)
    assert model.encode(["river"], truncate_dim=20).shape == (1, 20)


@pytest.fixture
def half(checkpoint, tmp_path):
    """The tiny BERT, saved in float16 as many models on the hub are."""
    folder = Path(shutil.copytree(checkpoint("bert"), tmp_path / "half"))
    AutoModel.from_pretrained(folder, dtype=torch.float16).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("use_fp16", [True, False])
def test_float16_weights_are_computed_with_in_float32(tiny, half, reference, use_fp16):
    model = FlagModel(str(half), use_fp16=use_fp16)
    expected = tiny.Reference(half).vectors(TEXTS)
    assert model.model.dtype == torch.float32
    assert_same(model.encode(TEXTS), expected)
    assert np.abs(expected - reference("bert").vectors(TEXTS)).max() > 1e-5  # the weights did lose digits


def test_use_fp16_is_for_accelerators(flag_model, checkpoint):
    found = FlagModel(str(checkpoint("bert")), use_fp16=False, devices="cpu").encode(TEXTS)
    assert np.abs(found - flag_model("bert").encode(TEXTS)).max() <= 1e-6


@pytest.mark.parametrize("pooling", POOLINGS)
def test_bfloat16_on_a_cpu_when_asked_for(checkpoint, reference, pooling):
    model = FlagModel(str(checkpoint("bert")), use_bf16=True, pooling_method=pooling)
    found, expected = model.encode(TEXTS), reference("bert").vectors(TEXTS, pooling)
    assert (model.model.dtype, found.dtype) == (torch.bfloat16, np.float32)
    assert (found * expected).sum(axis=1).min() > 0.99
    assert np.abs(np.linalg.norm(found, axis=1) - 1).max() < 1e-6  # normalised in float32
    assert np.abs(found - expected).max() > 1e-4  # it was not float32 after all


def test_weights_in_a_pickle_file_of_tensors(checkpoint, reference, tmp_path):
    """Older models on the hub have nothing else; tensors are all that is read from such a file."""
    folder = Path(shutil.copytree(checkpoint("bert"), tmp_path / "pickled"))
    torch.save(AutoModel.from_pretrained(folder).state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert_same(FlagModel(str(folder)).encode(TEXTS), reference("bert").vectors(TEXTS))


def test_attention_of_the_callers_choice(checkpoint, reference):
    model = FlagModel(str(checkpoint("bert")), attn_implementation="eager")
    assert model.model.config._attn_implementation == "eager"
    assert_same(model.encode(TEXTS), reference("bert").vectors(TEXTS))


def test_a_path_object(checkpoint, reference):
    assert_same(FlagModel(checkpoint("bert")).encode(TEXTS), reference("bert").vectors(TEXTS))
