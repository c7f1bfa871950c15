"""No network, and the core's builders of tiny checkpoints."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

# Read when the libraries are imported, so it comes before them.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import pytest


@pytest.fixture(scope="session")
def tiny() -> Any:
    """The core's builders of tiny checkpoints."""
    path = Path(__file__).resolve().parents[3] / "core/tests/tiny.py"
    name = "flagembedding_bce_tests_tiny"
    spec = importlib.util.spec_from_file_location(name, path)
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
