"""Checkpoint: what is asked of the hub, and which models come out of a folder."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForSequenceClassification

from FlagEmbedding.engine import checkpoint as module
from FlagEmbedding.engine.checkpoint import Checkpoint
from FlagEmbedding.errors import CheckpointError


@pytest.fixture
def asked(monkeypatch, folder):
    """What the hub was asked for; the tiny BERT is its answer."""
    calls = []
    monkeypatch.setattr(module, "fetch_model", lambda *arguments: calls.append(arguments) or folder)
    return calls


@pytest.mark.parametrize(
    ("options", "passed"),
    [
        ({}, {}),
        ({"cache_dir": None, "revision": None, "token": None, "local_files_only": False}, {}),
        ({"cache_dir": "/cache", "revision": None}, {"cache_dir": "/cache"}),
        ({"revision": "v1", "token": "secret", "local_files_only": True},) * 2,
        ({"token": ""}, {}),
    ],
)
def test_what_is_not_said_is_left_to_the_hubs_client(asked, options, passed):
    Checkpoint("acme/model", hub_options=options)
    assert asked == [("acme/model", passed, ())]


@pytest.mark.parametrize(
    ("options", "extra"),
    [
        ({"extra_files": ("*.pt",)}, ("*.pt",)),
        ({"trust_remote_code": True}, ("*.py",)),
        ({"extra_files": ("*.pt",), "trust_remote_code": True}, ("*.pt", "*.py")),
    ],
)
def test_further_files(asked, options, extra):
    Checkpoint("acme/model", **options)
    assert asked == [("acme/model", {}, extra)]


def test_a_folder_is_not_asked_for(asked, folder):
    assert Checkpoint(str(folder), hub_options={"revision": "v1"}).folder == folder
    assert asked == []


@pytest.fixture
def load(tiny, tmp_path):
    """Return a function that loads a tiny classifier, its weights changed before."""

    def loaded(change=lambda _: None, kind=AutoModelForSequenceClassification, dtype=torch.float32, **options):
        folder = tiny.build_classifier(tmp_path / "classifier", "bert")
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        checkpoint = Checkpoint(str(folder))
        return checkpoint.load_model(kind, checkpoint.load_config(), dtype, **options)

    return loaded


def test_a_model_is_ready_and_keeps_no_gradients(load):
    model = load()
    assert type(model).__name__ == "BertForSequenceClassification"
    assert not model.training
    assert not any(weight.requires_grad for weight in model.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_has_the_dtype_asked_for(load, dtype):
    assert {weight.dtype for weight in load(dtype=dtype).parameters()} == {dtype}


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_it_has_the_attention_asked_for(load, attention):
    assert load(attention=attention).config._attn_implementation == attention


def test_what_may_be_missing_and_what_may_be_left_over(load):
    def change(tensors):
        del tensors["classifier.bias"]
        tensors["cls.strange"] = torch.ones(1)

    load(change, unused=["cls."], may_lack=("classifier.bias",))
    with pytest.raises(CheckpointError, match=r"1 missing \(classifier\.bias\)"):
        load(change, unused=["cls."])
    with pytest.raises(CheckpointError, match=r"1 unexpected \(cls\.strange\)"):
        load(change, may_lack=("classifier.bias",))


def test_a_model_of_another_class_does_not_fit(load):
    with pytest.raises(CheckpointError, match=r"2 unexpected \(classifier\.bias, classifier\.weight\)"):
        load(kind=AutoModel)


def test_a_backbone_has_no_pooler_whether_the_checkpoint_has_one_or_not(folder):
    checkpoint = Checkpoint(str(folder))
    assert any("pooler" in name for name in load_file(folder / "model.safetensors"))
    model = checkpoint.load_backbone(checkpoint.load_config(), torch.float32)
    assert model.pooler is None
    assert not model.training
