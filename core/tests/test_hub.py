"""The hub, without a network: a cache as ``huggingface_hub`` lays it out, asked offline."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
from huggingface_hub.utils import filter_repo_objects
from safetensors.torch import save_file

from FlagEmbedding import EmbedderConfig, FlagAutoModel, FlagModel
from FlagEmbedding.errors import DownloadError, FlagEmbeddingError, OptionError, UnknownModelError
from FlagEmbedding.hub import fetch_model, fetch_settings
from FlagEmbedding.inference.embedder.model_mapping import AUTO_EMBEDDER_MAPPING

REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(checkpoint, tiny, tmp_path) -> Path:
    """A cache that holds ``acme/tiny``: a tiny BERT with mean pooling, and files that nobody should want."""
    repository = tmp_path / "cache" / "models--acme--tiny"
    snapshot = repository / "snapshots" / REVISION
    shutil.copytree(checkpoint("bert"), snapshot)
    tiny.add_sentence_transformers_files(snapshot, "mean", max_length=16)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(REVISION)
    return tmp_path / "cache"


@pytest.mark.parametrize("fetch", [fetch_settings, fetch_model])
def test_a_repository_in_the_cache(cache: Path, fetch) -> None:
    assert fetch("acme/tiny", {"cache_dir": cache}) == cache / "models--acme--tiny" / "snapshots" / REVISION


@pytest.mark.parametrize("fetch", [fetch_settings, fetch_model])
def test_a_repository_that_is_not_in_the_cache(fetch) -> None:
    with pytest.raises(DownloadError, match=r"'acme/absent' is not in the local cache.*HF_HUB_OFFLINE") as caught:
        fetch("acme/absent", {})
    assert isinstance(caught.value, RuntimeError)
    assert caught.value.__cause__ is not None


def test_a_name_that_the_hub_could_not_have() -> None:
    with pytest.raises(UnknownModelError, match="no such repository") as caught:
        fetch_model("acme/--", {})
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    "error", [KeyError("etag"), RuntimeError("read"), type("ReadError", (Exception,), {})("reset")]
)
def test_whatever_the_client_passes_on(monkeypatch, error) -> None:
    """Its HTTP library has errors of its own, which are no OSErrors."""

    def download(*_, **__):
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(
        DownloadError, match=r"'acme/tiny' is not in the local cache and could not be fetched"
    ) as caught:
        fetch_model("acme/tiny", {})
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(("error", "ours"), [(ConnectionError("reset"), DownloadError), (None, UnknownModelError)])
def test_a_client_of_before_2_0(monkeypatch, error, ours) -> None:
    """It has no error of its own for an address; what it raises is explained all the same."""
    monkeypatch.delattr(huggingface_hub.errors, "HfUriError")

    def download(*_, **__):
        raise error or huggingface_hub.errors.HFValidationError("no such name")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(ours, match="acme/tiny"):
        fetch_model("acme/tiny", {})


@pytest.mark.parametrize(("name", "value"), [("cache_dir", 5), ("revision", 3), ("revision", ["main"])])
def test_an_option_that_the_client_cannot_use_is_no_fault_of_the_network(name, value) -> None:
    options = {name: value, "token": "secret"}
    with pytest.raises(OptionError, match=rf"'acme/tiny' with these options \({name}=") as caught:
        fetch_model("acme/tiny", options)
    assert isinstance(caught.value.__cause__, TypeError)
    assert "secret" not in str(caught.value)


def test_by_hub_id_detected_and_loaded_from_the_cache(cache: Path, reference) -> None:
    model = FlagAutoModel.from_finetuned("acme/tiny", cache_dir=str(cache), devices="cpu")
    texts = ["the river", "seven small words in the garden " * 8]
    assert (model.pooling_method, model.query_max_length) == ("mean", 16)
    assert np.abs(model.encode(texts) - reference("bert").vectors(texts, "mean", 16)).max() <= 1e-5


def test_the_layers_of_a_repository_are_fetched_and_nothing_else(monkeypatch, checkpoint, tmp_path) -> None:
    """A hub of one repository that sends the files that are asked for, and remembers them."""
    repository, fetched = tmp_path / "repository", tmp_path / "fetched"
    shutil.copytree(checkpoint("bert"), repository)
    weights = {"linear.weight": torch.eye(4, 32), "linear.bias": torch.ones(4)}
    for folder in ("2_Dense", "3_Dense", "onnx"):
        (repository / folder).mkdir()
        torch.save(weights, repository / folder / "pytorch_model.bin")
        settings = {"in_features": 32, "out_features": 4, "activation_function": "torch.nn.Identity"}
        (repository / folder / "config.json").write_text(json.dumps(settings))
    save_file(weights, repository / "2_Dense" / "model.safetensors")

    def download(name, *, allow_patterns, ignore_patterns, token):
        files = [str(path.relative_to(repository)) for path in repository.rglob("*") if path.is_file()]
        for path in filter_repo_objects(files, allow_patterns=allow_patterns, ignore_patterns=ignore_patterns):
            (fetched / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(repository / path, fetched / path)
        return str(fetched)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    safe, pickled = (
        FlagModel("acme/tiny", modules=[("Dense", folder)], token="secret", devices="cpu")
        for folder in ("2_Dense", "3_Dense")
    )
    assert safe.encode("the river").tolist() == pickled.encode("the river").tolist()
    layers = sorted(str(path.relative_to(fetched)) for path in fetched.glob("*/*") if path.suffix != ".json")
    assert layers == ["2_Dense/model.safetensors", "3_Dense/pytorch_model.bin"]

    monkeypatch.setattr(huggingface_hub, "snapshot_download", None)  # a copy has no token, and asks for nothing
    assert b"secret" not in pickle.dumps(pickled)
    assert pickle.loads(pickle.dumps(pickled)).encode("the river").tolist() == pickled.encode("the river").tolist()


def test_a_fork_of_a_registered_model_with_a_layer_of_its_own(cache: Path, tiny, reference, monkeypatch) -> None:
    """The entry is found by the last part of the id, and knows nothing of the layer."""
    (cache / "models--acme--tiny").rename(cache / "models--someone--tiny")
    snapshot = cache / "models--someone--tiny" / "snapshots" / REVISION
    weight = torch.randn(4, 32, generator=torch.Generator().manual_seed(1))
    settings = {"in_features": 32, "out_features": 4, "bias": False, "activation_function": "torch.nn.Identity"}
    (snapshot / "3_Dense").mkdir()
    (snapshot / "3_Dense/config.json").write_text(json.dumps(settings))
    save_file({"linear.weight": weight}, snapshot / "3_Dense/model.safetensors")
    modules = json.loads((snapshot / "modules.json").read_text())
    tiny.write_json(
        snapshot / "modules.json", [*modules, {"type": "sentence_transformers.models.Dense", "path": "3_Dense"}]
    )
    entry = EmbedderConfig(FlagModel, "mean", hub_id="acme/tiny", max_length=16)
    monkeypatch.setitem(AUTO_EMBEDDER_MAPPING, "tiny", entry)
    model = FlagAutoModel.from_finetuned("someone/tiny", cache_dir=str(cache), devices="cpu")
    wanted = reference("bert").vectors(["the river"], "mean", 16) @ weight.double().numpy().T
    assert np.abs(model.encode(["the river"]) - wanted / np.linalg.norm(wanted)).max() <= 1e-5


def test_a_class_by_hub_id(cache: Path, reference) -> None:
    model = FlagModel("acme/tiny", cache_dir=str(cache), devices="cpu")
    assert np.abs(model.encode(["the river"]) - reference("bert").vectors(["the river"])).max() <= 1e-5


def test_another_revision_is_asked_for(cache: Path) -> None:
    with pytest.raises(DownloadError, match="acme/tiny"):
        FlagModel("acme/tiny", cache_dir=str(cache), revision="v2", devices="cpu")


def test_an_incomplete_cache_is_an_error(cache: Path) -> None:
    (cache / "models--acme--tiny" / "snapshots" / REVISION / "model.safetensors").unlink()
    with pytest.raises(FlagEmbeddingError, match="acme/tiny"):
        FlagModel("acme/tiny", cache_dir=str(cache), devices="cpu")
