"""The hub, without a network: a cache as ``huggingface_hub`` lays it out, asked offline."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from FlagEmbedding import FlagAutoModel, FlagModel
from FlagEmbedding.errors import DownloadError, FlagEmbeddingError, UnknownModelError
from FlagEmbedding.hub import fetch_model, fetch_settings

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


def test_by_hub_id_detected_and_loaded_from_the_cache(cache: Path, reference) -> None:
    model = FlagAutoModel.from_finetuned("acme/tiny", cache_dir=str(cache), devices="cpu")
    texts = ["the river", "seven small words in the garden " * 8]
    assert (model.pooling_method, model.query_max_length) == ("mean", 16)
    assert np.abs(model.encode(texts) - reference("bert").vectors(texts, "mean", 16)).max() <= 1e-5


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
