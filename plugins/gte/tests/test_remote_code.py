"""No Python file of a checkpoint runs, wherever its configuration points to it."""

from __future__ import annotations

import sys

import pytest

from FlagEmbedding import FlagAutoModel
from FlagEmbedding.errors import CheckpointError
from flagembedding_gte.native import GteEmbedder

ROPE = {"rope_type": "default", "rope_theta": 9.0}
HERE = {"AutoConfig": "configuration.NewConfig", "AutoModel": "modeling.NewModel"}


@pytest.mark.parametrize("name", ["gte-large-en-v1.5", "gte-base-en-v1.5", "gte-multilingual-base"])
@pytest.mark.parametrize("model_type", ["new", "gte"])
def test_gte(published, booby_trap, tmp_path, tiny, name, model_type) -> None:
    folder = tmp_path / name
    published(folder, ROPE, rope_theta=9.0, auto_map=HERE, model_type=model_type)
    tiny.change_json(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["modeling.T", "modeling.T"]})
    mark = booby_trap(folder)
    model = FlagAutoModel.from_finetuned(folder, devices="cpu")
    assert model.encode(["the river"]).shape == (1, 32)
    assert not mark.exists()


def test_gte_even_where_code_is_trusted(published, booby_trap, tmp_path) -> None:
    """The model itself is transformers' then, too; only a tokenizer might bring code, and these bring none."""
    published(tmp_path / "gte-large-en-v1.5", ROPE, rope_theta=9.0, auto_map={"AutoModel": "modeling.NewModel"})
    mark = booby_trap(tmp_path / "gte-large-en-v1.5")
    model = FlagAutoModel.from_finetuned(tmp_path / "gte-large-en-v1.5", devices="cpu", trust_remote_code=True)
    assert (type(model), mark.exists()) == (GteEmbedder, False)


@pytest.mark.parametrize("name", ["gte-Qwen2-7B-instruct", "gte-Qwen2-1.5B-instruct", "gte-Qwen1.5-7B-instruct"])
def test_gte_qwen(qwen2, booby_trap, tmp_path, name) -> None:
    folder = qwen2(tmp_path / name)
    mark = booby_trap(folder)
    model = FlagAutoModel.from_finetuned(folder, devices="cpu")
    assert model.encode(["the river"]).shape == (1, 32)
    assert not mark.exists()


def test_the_trap_can_snap(qwen2, booby_trap, tmp_path, monkeypatch) -> None:
    """Or the tests above would pass whatever is loaded."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr("sys.path", [*sys.path])
    mark = booby_trap(qwen2(tmp_path / "gte-Qwen2-7B-instruct"))
    with pytest.raises(CheckpointError):
        FlagAutoModel.from_finetuned(tmp_path / "gte-Qwen2-7B-instruct", devices="cpu", trust_remote_code=True)
    assert mark.exists()
