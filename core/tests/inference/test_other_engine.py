"""An engine that a plugin brings: what it is given, what it replaces, and what is refused."""

from __future__ import annotations

import copy
import pickle
import sys
import types

import numpy as np
import pytest
import torch

from FlagEmbedding import FlagAutoModel, FlagLLMModel, FlagModel
from FlagEmbedding.engine.checkpoint import Checkpoint
from FlagEmbedding.engine.forward import PaddedForward
from FlagEmbedding.engine.limits import position_limit
from FlagEmbedding.engine.running import OtherEngine
from FlagEmbedding.errors import CheckpointError, ModelClassError, OptionError
from FlagEmbedding.inference.embedder.encoder_only.base import BaseEmbedder
from FlagEmbedding.plugins import hookimpl
from FlagEmbedding.plugins.manager import plugin_manager

TEXTS = ["river", "the seven stone garden of light, and paper", "river", "one letter"]


class Plugin:
    @hookimpl
    def flagembedding_engines(self):
        return {"acme": "acme_engine:run"}


@pytest.fixture
def given(monkeypatch):
    """The engine is transformers' own network; yields what it was given, and how to change what it says."""
    seen, says = [], {}

    def run(backbone):
        seen.append(backbone)
        network = backbone.load("eager")
        forward = PaddedForward(network, backbone.pad_id, backbone.device)
        answer = {"forward": forward, "words": "acme", "rows": 10**6, "limit": position_limit(network)}
        return OtherEngine(**answer | says)

    module = types.ModuleType("acme_engine")
    module.run = run
    monkeypatch.setitem(sys.modules, "acme_engine", module)
    plugin_manager().register(Plugin(), "acme engine")
    yield types.SimpleNamespace(seen=seen, says=says)
    plugin_manager().unregister("acme engine")


@pytest.mark.parametrize("load", [FlagModel, FlagAutoModel.from_finetuned])
def test_it_runs_and_says_so(checkpoint, reference, given, load):
    model = load(str(checkpoint("bert")), engine="acme", devices="cpu", pooling_method="mean")
    [backbone] = given.seen
    assert (backbone.folder, backbone.source) == (checkpoint("bert"), str(checkpoint("bert")))
    assert (backbone.dtype, backbone.device, backbone.pad_id) == (torch.float32, "cpu", model.tokenizer.pad_token_id)
    assert backbone.config.model_type == "bert"
    assert model.engine == "acme"
    assert np.abs(model.encode(TEXTS) - reference("bert").vectors(TEXTS, "mean")).max() <= 1e-5


def test_nothing_is_loaded_for_an_engine_that_does_not_ask(checkpoint, given, monkeypatch):
    """Neither by transformers nor straight from the file."""
    loads = []
    for name in ("load_backbone", "load_bare_backbone"):
        monkeypatch.setattr(Checkpoint, name, lambda *_, name=name: loads.append(name))
    monkeypatch.setattr("acme_engine.run", lambda backbone: OtherEngine(lambda rows: rows, "acme", 10**6, 7))
    model = FlagModel(str(checkpoint("bert")), engine="acme", devices="cpu")
    assert (loads, model._network, model._token_limit(None)) == ([], None, 7)


def test_the_caller_s_options_are_in_the_configuration(tiny, tmp_path, given):
    folder = tiny.build_decoder(tmp_path / "decoder", "qwen2", start=False)
    both = [FlagLLMModel(str(folder), engine="acme", devices="cpu", is_causal=causal) for causal in (True, False)]
    assert [backbone.config.is_causal for backbone in given.seen] == [True, False]
    one, other = (model.encode(TEXTS) for model in both)
    assert np.abs(one - other).max() > 1e-3


def test_its_limits_count(checkpoint, given, reference):
    given.says["limit"] = 5
    model = FlagModel(str(checkpoint("bert")), engine="acme", devices="cpu")
    assert np.abs(model.encode(TEXTS) - reference("bert").vectors(TEXTS, max_length=5)).max() <= 1e-5
    given.says["rows"] = 3
    with pytest.raises(CheckpointError, match="and the model 3: they do not belong together"):
        FlagModel(str(checkpoint("bert")), engine="acme", devices="cpu")


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_runs_by_it_too(checkpoint, given, copied, monkeypatch):
    model = FlagModel(str(checkpoint("bert")), engine="acme", devices="cpu")
    monkeypatch.setattr(plugin_manager(), "claims", None)  # a worker consults no registry
    other = copied(model)
    assert (other.engine, len(given.seen)) == ("acme", 2)
    assert np.array_equal(other.encode(TEXTS), model.encode(TEXTS))


def test_a_network_that_is_handed_out_runs_by_the_core(checkpoint, given):
    model = FlagModel(str(checkpoint("bert")), engine="acme", devices="cpu")
    before, network = model.encode(TEXTS), model.model
    assert model.engine == "padded batches"
    network.embeddings.LayerNorm.bias.data[0] += 1
    changed = model.encode(TEXTS)
    assert np.abs(changed - before).max() > 1e-3
    other = pickle.loads(pickle.dumps(model))
    assert np.abs(other.encode(TEXTS) - changed).max() <= 1e-6
    assert len(given.seen) == 1


class OwnNetwork(BaseEmbedder):
    packs = False


class OwnWeights(BaseEmbedder):
    def _load_model(self, checkpoint, config, dtype, attention):
        return super()._load_model(checkpoint, config, dtype, attention)


@pytest.mark.parametrize(
    ("model_class", "options"),
    [
        (OwnNetwork, {}),
        (OwnWeights, {}),
        (BaseEmbedder, {"trust_remote_code": True}),
        (BaseEmbedder, {"attn_implementation": "sdpa"}),
    ],
)
def test_more_than_a_backbone_is_refused(checkpoint, given, model_class, options):
    with pytest.raises(OptionError, match=f"engine='acme' runs a backbone .* out for this {model_class.__name__}"):
        model_class(str(checkpoint("bert")), engine="acme", devices="cpu", **options)
    assert given.seen == []


def test_an_engine_that_is_unknown_or_none(checkpoint, given):
    for engine, message in (
        ("acne", r"unknown engine 'acne'\. Did you mean 'acme'"),
        (3, "engine must be a name, not"),
    ):
        with pytest.raises(OptionError, match=message):
            FlagModel(str(checkpoint("bert")), engine=engine, devices="cpu")
    with pytest.raises(ModelClassError, match="package 'acme_gone' is not installed"):
        FlagModel(str(checkpoint("bert")), engine="acme_gone:run", devices="cpu")
    assert FlagModel(str(checkpoint("bert")), engine=None, devices="cpu").engine != "acme"
