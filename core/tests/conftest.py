"""What the tests of the core share, beside the workspace's fixtures."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from FlagEmbedding import temporary_registration


@pytest.fixture
def no_accelerator(monkeypatch):
    """Let this machine have a CPU and nothing else."""
    for kind in ("cuda", "xpu", "backends.mps"):
        monkeypatch.setattr(f"torch.{kind}.is_available", lambda: False)


@pytest.fixture
def registering():
    """Take back, after the test, what it registers."""
    with temporary_registration():
        yield


@pytest.fixture(params=["bert", "xlm-roberta", "roberta", "mpnet", "modernbert"])
def model_type(request):
    """Each kind of encoder in turn: every tokenizer, every way to number positions."""
    return request.param


@pytest.fixture
def folder(checkpoint, tmp_path):
    """A copy of the tiny BERT, to be changed."""
    return Path(shutil.copytree(checkpoint("bert"), tmp_path / "model"))
