"""The vectors: those of plain transformers, one text at a time; and whatever the core does around the forward."""

from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors.torch
import torch

from FlagEmbedding import FlagAutoModel, FlagLLMModel, FlagModel
from flagembedding_onnx.exporting import TOLERANCE

TYPES = ["bert", "xlm-roberta", "roberta", "electra", "distilbert", "mpnet", "modernbert"]
DECODERS = ["mistral", "qwen2", "qwen3", "gemma2"]
QUERY = "where is the small garden of seven stones"


def onnx(folder, model_class=FlagModel, **options):
    return model_class(str(folder), engine="onnx", devices="cpu", **options)


def apart(one, other):
    return np.abs(np.asarray(one) - np.asarray(other)).max()


@pytest.mark.parametrize("pooling", ["cls", "mean", "last_token"])
@pytest.mark.parametrize("model_type", TYPES)
def test_they_are_those_of_transformers(checkpoint, reference, texts, model_type, pooling):
    model = onnx(checkpoint(model_type), pooling_method=pooling)
    wanted = reference(model_type).vectors(texts, pooling)
    assert model.engine.startswith("ONNX Runtime ")
    assert apart(model.encode(texts), wanted) <= TOLERANCE
    for text, row in zip(texts, wanted, strict=True):
        assert apart(model.encode(text), row) <= TOLERANCE


@pytest.mark.parametrize("model_type", DECODERS)
def test_decoders(tiny, tmp_path, texts, model_type):
    folder = tiny.build_decoder(tmp_path / model_type, model_type)
    model = onnx(folder, FlagLLMModel)
    assert apart(model.encode(texts), FlagLLMModel(str(folder), devices="cpu").encode(texts)) <= TOLERANCE


@pytest.mark.parametrize("pooling", ["cls", "mean", "last_token", "max", "mean+max"])
def test_they_depend_on_no_batch_and_no_order(checkpoint, texts, pooling):
    model = onnx(checkpoint("bert"), pooling_method=pooling)
    alone = np.stack([model.encode(text) for text in texts])
    for batch_size in (1, 3, 256):
        assert apart(model.encode(texts, batch_size=batch_size), alone) <= TOLERANCE
    assert apart(model.encode(texts[::-1])[::-1], alone) <= TOLERANCE


@pytest.mark.parametrize("pooling", ["cls", "mean", "last_token"])
def test_long_texts_are_cut_as_anywhere(checkpoint, reference, texts, pooling):
    model = onnx(checkpoint("xlm-roberta"), pooling_method=pooling)
    for length in (5, 9, 64):
        wanted = reference("xlm-roberta").vectors(texts, pooling, length)
        assert apart(model.encode(texts, max_length=length), wanted) <= TOLERANCE
    assert apart(model.encode(texts, max_length=10_000), model.encode(texts)) == 0


def test_instructions(checkpoint, reference):
    options = {"query_instruction_for_retrieval": "the light ", "passage_instruction_for_retrieval": "a river "}
    model = FlagAutoModel.from_finetuned(checkpoint("bert"), engine="onnx", devices="cpu", **options)
    for encode, instruction in ((model.encode_queries, "the light "), (model.encode_corpus, "a river ")):
        assert apart(encode([QUERY]), reference("bert").vectors([instruction + QUERY])) <= TOLERANCE


def test_without_normalising_and_with_fewer_components(checkpoint, reference):
    rows = np.stack([reference("bert").pooled(text, "mean") for text in (QUERY, "river")])
    options = {"pooling_method": "mean", "normalize_embeddings": False, "truncate_dim": 5}
    assert apart(onnx(checkpoint("bert"), **options).encode([QUERY, "river"]), rows[:, :5]) <= TOLERANCE


def test_layers_after_the_pooling(folder, texts):
    (folder / "2_Dense").mkdir()
    about = {"in_features": 32, "out_features": 8, "bias": True, "activation_function": "torch.nn.Tanh"}
    about["activation_function"] = "torch.nn.modules.activation.Tanh"
    (folder / "2_Dense/config.json").write_text(json.dumps(about))
    weights = {"linear.weight": torch.randn(8, 32), "linear.bias": torch.randn(8)}
    safetensors.torch.save_file(weights, folder / "2_Dense/model.safetensors")
    options = {"modules": [("Dense", "2_Dense")], "pooling_method": "mean"}
    model, wanted = onnx(folder, **options), FlagModel(str(folder), devices="cpu", **options)
    assert model.dimension == 8
    assert apart(model.encode(texts), wanted.encode(texts)) <= TOLERANCE


def test_a_pooling_of_ones_own_gets_what_it_is_promised(checkpoint, reference, texts):
    seen = []

    def first(states, mask):
        seen.append((states.dtype, mask.dtype, states.shape[:2] == mask.shape))
        return states[:, 0]

    model = onnx(checkpoint("bert"), pooling_method=first)
    assert apart(model.encode(texts), reference("bert").vectors(texts)) <= TOLERANCE
    assert set(seen) == {(torch.float32, torch.bool, True)}


def test_torch_as_well_as_numpy(checkpoint):
    vectors = onnx(checkpoint("bert")).encode(["river", QUERY], convert_to_numpy=False)
    assert isinstance(vectors, torch.Tensor)
    assert vectors.dtype == torch.float32


def test_texts_that_do_not_fit_the_memory_come_again_in_halves(checkpoint, monkeypatch, texts):
    model = onnx(checkpoint("bert"))
    wanted, forward = model.encode(texts), model._engine._forward

    class Narrow:
        def run(self, names, inputs):
            if len(inputs["input_ids"]) > 2:
                raise RuntimeError("bfc_arena.cc: Failed to allocate memory for requested buffer of size 8589934592")
            return session.run(names, inputs)

    session = forward._session
    monkeypatch.setattr(forward, "_session", Narrow())
    assert apart(model.encode(texts), wanted) <= TOLERANCE


def test_the_network_that_is_handed_out_is_what_runs_from_then_on(checkpoint, texts):
    model = onnx(checkpoint("bert"))
    before, network = model.encode(texts), model.model
    assert model.engine == "padded batches"
    assert apart(model.encode(texts), before) <= TOLERANCE
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(0.5)
    assert apart(model.encode(texts), before) > 1e-3


def test_it_is_told_how_many_threads_there_are(checkpoint):
    assert onnx(checkpoint("bert"))._engine._forward._session.get_session_options().intra_op_num_threads == 1


def test_batches_that_run_at_the_same_time(checkpoint, texts):
    """More tokens than one thread gets at a time, and more threads than one."""
    many = [f"{text}{' stone' * more} {texts[-3]}" for more in range(4) for text in texts]
    wanted = onnx(checkpoint("bert"), pooling_method="mean").encode(many)
    torch.set_num_threads(2)
    try:
        found = onnx(checkpoint("bert"), pooling_method="mean").encode(many)
    finally:
        torch.set_num_threads(1)
    assert apart(found, wanted) <= TOLERANCE
