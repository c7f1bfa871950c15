"""What every test shares: no network, and tiny checkpoints that are built once a session."""

from __future__ import annotations

import functools
import importlib
import os
import signal

# Read when the libraries are imported, so it comes before them.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import hypothesis
import pytest

hypothesis.settings.register_profile(
    "workspace",
    database=None,
    deadline=None,
    derandomize=True,
    max_examples=50,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],  # nothing here depends on the clock
)
hypothesis.settings.load_profile("workspace")

# A shell ignores Ctrl-C for what it starts in the background, and that is inherited: the tests' programs must hear it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _own_exports(tmp_path_factory):
    """Keep what the ONNX engine exports out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLAGEMBEDDING_ONNX_CACHE", str(tmp_path_factory.mktemp("onnx")))
        yield


@pytest.fixture(scope="session")
def tiny():
    """The module ``tiny.py``, which builds tiny checkpoints and knows what they must give."""
    return importlib.import_module("tiny")


@pytest.fixture(scope="session")
def checkpoint(tiny, tmp_path_factory):
    """``checkpoint("bert")`` is the folder of that model, built once; nobody may change it."""
    return functools.cache(lambda model_type: tiny.build(tmp_path_factory.mktemp("tiny") / model_type, model_type))


@pytest.fixture(scope="session")
def reference(tiny, checkpoint):
    """``reference("bert")`` gives the right vectors of ``checkpoint("bert")``."""
    return functools.cache(lambda model_type: tiny.Reference(checkpoint(model_type)))
