"""Models that the tests of inference share."""

from __future__ import annotations

import functools

import pytest
import torch

from FlagEmbedding import FlagModel


@pytest.fixture(autouse=True)
def on_the_cpu(no_accelerator):
    """The vectors compared here are those of a CPU."""


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Threads gain nothing on models this small, and wait for each other on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def flag_model(checkpoint):
    """``flag_model("bert", "mean")`` is loaded once; nobody may change it."""

    @functools.cache
    def load(model_type, pooling="cls"):
        return FlagModel(str(checkpoint(model_type)), pooling_method=pooling, devices="cpu")

    return load


@pytest.fixture(scope="session")
def bert(flag_model):
    return flag_model("bert")
