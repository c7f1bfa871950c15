"""Tiny models with a cache of their own, and how often one was exported."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from FlagEmbedding import FlagModel
from flagembedding_onnx import exporting
from flagembedding_onnx.cache import ENVIRONMENT

WORDS = "the river of light seven stone garden where is a small engine paper letter window".split()  # noqa: SIM905


@pytest.fixture(scope="session")
def texts():
    """Texts of many lengths: several of the same, one longer than the tiny models read, some twice."""
    made = [" ".join(WORDS[(3 * index + step) % len(WORDS)] for step in range(1 + index % 7)) for index in range(20)]
    return [*made, " ".join(WORDS * 12), made[3], "river"]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Threads gain nothing on models this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch):
    """The engine runs there, whatever this machine has."""
    for kind in ("cuda", "xpu", "backends.mps"):
        monkeypatch.setattr(f"torch.{kind}.is_available", lambda: False)


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory):
    """Where tests that do not ask for a cache of their own find what others exported."""
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(autouse=True)
def _shared(monkeypatch, shared_cache):
    monkeypatch.setenv(ENVIRONMENT, str(shared_cache))


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """An empty cache."""
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def exports(monkeypatch):
    """The models that were exported during the test."""
    done, export = [], exporting.export

    def counted(backbone, folder):
        export(backbone, folder)
        done.append(backbone.source)

    monkeypatch.setattr(exporting, "export", counted)
    return done


@pytest.fixture
def folder(checkpoint, tmp_path):
    """A copy of the tiny BERT, to be changed."""
    return Path(shutil.copytree(checkpoint("bert"), tmp_path / "model"))


@pytest.fixture
def load(folder):
    """Load the copy with the engine."""
    return lambda **options: FlagModel(str(folder), engine="onnx", devices="cpu", **options)
