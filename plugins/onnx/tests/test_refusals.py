"""What the engine does not run is refused, and said: nothing runs in another way than it was asked for."""

from __future__ import annotations

import pytest

from FlagEmbedding import FlagAutoModel, FlagModel, FlagReranker
from FlagEmbedding.engine import running
from FlagEmbedding.errors import CheckpointError, OptionError
from FlagEmbedding.inference.embedder.encoder_only.base import BaseEmbedder
from FlagEmbedding.plugins.manager import PluginManager


class OwnNetwork(BaseEmbedder):
    """Runs a network of its own."""

    packs = False


class OwnWeights(BaseEmbedder):
    """Puts something beside the backbone."""

    def _load_model(self, checkpoint, config, dtype, attention):
        return super()._load_model(checkpoint, config, dtype, attention)


@pytest.mark.parametrize(
    ("model_class", "options"),
    [
        (OwnNetwork, {}),
        (OwnWeights, {}),
        (FlagModel, {"trust_remote_code": True}),
        (FlagModel, {"attn_implementation": "eager"}),
    ],
)
def test_more_than_a_backbone(load, folder, cache, model_class, options):
    with pytest.raises(OptionError, match=f"runs a backbone as .* Leave engine= out for this {model_class.__name__}"):
        model_class(str(folder), engine="onnx", devices="cpu", **options)
    assert not cache.exists()


def test_bfloat16(load, cache):
    with pytest.raises(OptionError, match=r"computes in float32, not in bfloat16\. Leave out use_bf16=True"):
        load(use_bf16=True)
    assert not cache.exists()


def test_half_precision_is_for_accelerators(load):
    assert load(use_fp16=True).engine.startswith("ONNX Runtime")


def test_a_device_that_it_does_not_run_on(load, monkeypatch):
    model = load()
    with pytest.raises(OptionError, match=r"runs on the CPU, not on 'meta'\. Say devices='cpu'"):
        model._place("meta", None)
    assert model.encode("river").shape == (32,)


def test_an_adapter(folder, load, cache):
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(OptionError, match="is an adapter, whose weights"):
        load()


def test_an_unknown_engine(folder):
    with pytest.raises(OptionError, match=r"unknown engine 'onxn'\. Did you mean 'onnx'\? Known: .*onnx"):
        FlagModel(str(folder), engine="onxn", devices="cpu")
    with pytest.raises(OptionError, match="engine must be a name, not 3"):
        FlagModel(str(folder), engine=3, devices="cpu")


def test_an_engine_that_is_not_installed(folder, monkeypatch):
    monkeypatch.setattr("FlagEmbedding.registry.extensions.plugin_manager", lambda: manager)
    manager = PluginManager({"FLAGEMBEDDING_PLUGINS": "none"})
    with pytest.raises(OptionError, match=r"not installed or not active\. Run: pip install flagembedding-onnx"):
        FlagModel(str(folder), engine="onnx", devices="cpu")


def test_rerankers(tiny, tmp_path):
    folder = tiny.build_classifier(tmp_path / "classifier", "bert")
    with pytest.raises(OptionError, match="unknown option 'engine'"):
        FlagReranker(str(folder), engine="onnx", devices="cpu")


def test_a_tokenizer_of_another_model(folder, load, monkeypatch, exports):
    load()
    found = running.run_by
    monkeypatch.setattr(
        "FlagEmbedding.inference.loaded.run_by",
        lambda *given: running.OtherEngine(**{**vars(found(*given)), "rows": 3}),
    )
    with pytest.raises(CheckpointError, match="and the model 3: they do not belong together"):
        load()


def test_no_engine_is_the_cores(folder):
    assert "ONNX" not in FlagAutoModel.from_finetuned(folder, devices="cpu", engine=None).engine
