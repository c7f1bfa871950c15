"""What runs: the fastest exact way, said in words; and the network, once somebody asks for it."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
import transformers

from FlagEmbedding import FlagLLMModel, FlagLLMReranker, FlagModel, FlagReranker
from FlagEmbedding.engine import classifier
from FlagEmbedding.inference import loaded

TEXTS = ["river", "the seven stone garden of light, and paper", "a small engine", "river", "one letter"]
PAIRS = [("river", text) for text in TEXTS]


@pytest.fixture(scope="session")
def folders(tiny, checkpoint, tmp_path_factory):
    root = tmp_path_factory.mktemp("engines")
    return {
        "encoder": checkpoint("bert"),
        "decoder": tiny.build_decoder(root / "decoder", "mistral"),
        "classifier": tiny.build_classifier(root / "classifier", "bert"),
        "language model": tiny.build_language_model(root / "language-model", "gemma2"),
    }


CLASSES = {
    "encoder": (FlagModel, "encode", TEXTS),
    "decoder": (FlagLLMModel, "encode", TEXTS),
    "classifier": (FlagReranker, "compute_score", PAIRS),
    "language model": (FlagLLMReranker, "compute_score", PAIRS),
}
kinds = pytest.mark.parametrize("kind", CLASSES)


def build(folders, kind, **options):
    model_class, method, inputs = CLASSES[kind]
    model = model_class(str(folders[kind]), devices="cpu", **options)
    return model, lambda of: np.asarray(getattr(of, method)(inputs))


@kinds
def test_it_is_packed_and_gives_what_padded_batches_give(folders, kind):
    model, result = build(folders, kind)
    padded, _ = build(folders, kind, attn_implementation="eager")
    assert "packed" in model.engine
    assert padded.engine == "padded batches"
    assert np.abs(result(model) - result(padded)).max() <= 1e-5


@kinds
def test_the_network_that_is_handed_out_is_what_runs_from_then_on(folders, kind):
    model, result = build(folders, kind)
    before = result(model)
    network = model.model
    assert isinstance(network, transformers.PreTrainedModel)
    assert model.engine == "padded batches"
    assert model.model is network
    assert np.abs(result(model) - before).max() <= 1e-5
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(0.5)
    assert np.abs(result(model) - before).max() > 1e-3


@kinds
def test_a_network_that_is_set_is_what_runs(folders, kind):
    model, result = build(folders, kind)
    before = result(model)
    other = copy.deepcopy(build(folders, kind)[0].model)
    with torch.no_grad():
        for weight in other.parameters():
            weight.mul_(0.5)
    model.model = other
    assert model.model is other
    assert np.abs(result(model) - before).max() > 1e-3


@kinds
def test_a_copy_gives_the_same_and_is_as_fast(folders, kind):
    model, result = build(folders, kind)
    other = pickle.loads(pickle.dumps(model))
    assert other.engine == model.engine
    assert np.array_equal(result(other), result(model))


@kinds
def test_a_changed_network_is_in_the_copy(folders, kind):
    model, result = build(folders, kind)
    with torch.no_grad():
        for weight in model.model.parameters():
            weight.mul_(0.5)
    other = pickle.loads(pickle.dumps(model))
    assert np.abs(result(other) - result(model)).max() <= 1e-6


def test_the_weights_are_held_once(folders, monkeypatch):
    """The network is let go once the engine has its weights."""
    model, _ = build(folders, "encoder")
    assert model._network is None
    monkeypatch.setattr(loaded, "fastest", lambda backbone, pad, _: (lambda rows: rows, "padded", False))
    assert build(folders, "encoder")[0]._network is not None


def test_a_classifier_whose_head_reads_more_than_one_token(tiny, tmp_path):
    folder = tiny.build_classifier(tmp_path / "mean", "modernbert", classifier_pooling="mean")
    model, padded = (FlagReranker(str(folder), devices="cpu", attn_implementation=a) for a in (None, "eager"))
    assert "packed" in model.engine
    assert np.abs(np.subtract(model.compute_score(PAIRS), padded.compute_score(PAIRS))).max() <= 1e-5


def test_a_classifier_that_no_packed_form_gives_is_loaded_anew(folders, monkeypatch):
    monkeypatch.setattr(classifier.PackedClassifier, "__call__", lambda _, rows: torch.zeros(len(rows), 1))
    model, result = build(folders, "classifier")
    assert model.engine.startswith("padded batches (packed logits of BertForSequenceClassification differ by ")
    padded, _ = build(folders, "classifier", attn_implementation="eager")
    assert np.abs(result(model) - result(padded)).max() <= 1e-5


@pytest.mark.parametrize("dtype", ["use_fp16", "use_bf16"])
def test_a_head_that_reads_the_mean_is_not_taken_for_one_that_reads_a_token(tiny, tmp_path, dtype):
    """In half precision a trained head's logits of random tokens may be alike, whatever it reads."""
    folder = tiny.build_classifier(tmp_path / "model", "modernbert")
    config = transformers.AutoConfig.from_pretrained(folder)
    config.classifier_pooling = "mean"
    network = transformers.AutoModelForSequenceClassification.from_pretrained(folder, config=config)
    with torch.no_grad():
        network.classifier.weight.normal_(generator=torch.Generator().manual_seed(0))
        network.classifier.bias.fill_(-10)
    network.save_pretrained(folder)
    model = FlagReranker(str(folder), devices="cpu", **{dtype: True})
    assert "packed" in model.engine
    assert model._forward._wanted == "all"
