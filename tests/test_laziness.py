"""What must not be imported: torch and transformers by the facade, the mapping, a listing, or any plugin's hooks."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "numpy", "tokenizers")

LIGHT = {
    "facade": "import FlagEmbedding",
    "names of the facade": "import FlagEmbedding; dir(FlagEmbedding)",
    "factory": "from FlagEmbedding import FlagAutoModel",
    "configuration": "from FlagEmbedding import EmbedderConfig, EmbedderModelClass, PoolingMethod",
    "mapping": "from FlagEmbedding.inference.embedder.model_mapping import AUTO_EMBEDDER_MAPPING as m; list(m)",
    "every entry shown": (
        "from FlagEmbedding.inference.embedder.model_mapping import AUTO_EMBEDDER_MAPPING as m; "
        "assert len([repr(config) for config in m.values()]) >= 41"
    ),
    "models": "from FlagEmbedding.cli.main import cli; cli(['models', '--json'], standalone_mode=False)",
    "plugins": "from FlagEmbedding.cli.main import cli; cli(['plugins'], standalone_mode=False)",
    "help": "from FlagEmbedding.cli.main import cli; cli(['--help'], standalone_mode=False)",
    "an unknown name": (
        "from FlagEmbedding import FlagAutoModel\n"
        "try: FlagAutoModel.from_finetuned('unknown-model')\n"
        "except ValueError: pass\n"
        "else: raise SystemExit('not refused')"
    ),
}


def heavy_after(code: str) -> list[str]:
    report = f"{code}\nimport sys\nprint('\\n@', *[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return done.stdout.rpartition("@")[2].split()


@pytest.mark.parametrize("code", LIGHT.values(), ids=LIGHT.keys())
def test_imports_nothing_heavy(code: str) -> None:
    assert heavy_after(code) == []


def test_the_probe_sees_torch() -> None:
    assert "torch" in heavy_after("from FlagEmbedding import AbsEmbedder")
