"""What must not be imported: torch and transformers by the facade, the mapping, a listing, or any plugin's hooks."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "numpy", "tokenizers")

LIGHT = {
    "facade": "import FlagEmbedding",
    "names of the facade": "import FlagEmbedding; dir(FlagEmbedding)",
    "factories": "from FlagEmbedding import FlagAutoModel, FlagAutoReranker",
    "configuration": (
        "from FlagEmbedding import EmbedderConfig, EmbedderModelClass, PoolingMethod, RerankerConfig, "
        "RerankerModelClass"
    ),
    "mapping": "from FlagEmbedding.inference.embedder.model_mapping import AUTO_EMBEDDER_MAPPING as m; list(m)",
    "every entry shown": (
        "from FlagEmbedding.inference.embedder.model_mapping import AUTO_EMBEDDER_MAPPING as m; "
        "assert len([repr(config) for config in m.values()]) >= 41"
    ),
    "mapping of rerankers": (
        "from FlagEmbedding.inference.reranker.model_mapping import AUTO_RERANKER_MAPPING as m, RerankerConfig, "
        "RerankerModelClass; list(m); RerankerModelClass('decoder-only-layerwise')"
    ),
    "every reranker shown": (
        "from FlagEmbedding.inference.reranker.model_mapping import AUTO_RERANKER_MAPPING as m; "
        "assert len([repr(config) for config in m.values()]) >= 14"
    ),
    "a reranker of one's own": (
        "from FlagEmbedding.inference.reranker.model_mapping import AUTO_RERANKER_MAPPING as m, RerankerConfig; "
        "m['mine'] = RerankerConfig('FlagEmbedding.inference.reranker.encoder_only.base:BaseReranker')"
    ),
    "registration": (
        "from FlagEmbedding import EmbedderConfig, RerankerConfig, register_embedder, register_engine\n"
        "from FlagEmbedding import register_locator, register_model_class, register_pooling, register_reranker\n"
        "from FlagEmbedding import FlagAutoModel, temporary_registration\n"
        "with temporary_registration():\n"
        "    register_embedder('mine', EmbedderConfig('acme.model:Embedder', 'mine', hub_id='me/mine'), ['own'])\n"
        "    register_reranker('mine', RerankerConfig('acme.model:Reranker', hub_id='me/mine'))\n"
        "    register_pooling('mine', 'acme.pooling:pool')\n"
        "    register_model_class('encoder-only-mine', 'acme.model:Embedder', kind='embedder')\n"
        "    register_engine('mine', 'acme.engine:run')\n"
        "    register_locator({}.get)\n"
        "    try: register_embedder('bge-m3', EmbedderConfig('acme.model:Embedder', 'mine'))\n"
        "    except ValueError as error: assert 'flagembedding-bge' in str(error)\n"
        "    else: raise SystemExit('not refused')"
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
    "an unknown reranker, and one that cannot be run": (
        "from FlagEmbedding import FlagAutoReranker\n"
        "for name in ('unknown-model', 'jina-reranker-v1-turbo-en', 'bge-m3'):\n"
        "    try: FlagAutoReranker.from_finetuned(name)\n"
        "    except ValueError: pass\n"
        "    else: raise SystemExit('not refused')"
    ),
}


def heavy_after(code: str) -> list[str]:
    report = f"{code}\nimport sys\nprint('\\n@', *[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return done.stdout.rpartition("@")[2].split()


@pytest.mark.parametrize("code", LIGHT.values(), ids=LIGHT.keys())
def test_imports_nothing_heavy(code: str) -> None:
    assert heavy_after(code) == []


@pytest.mark.parametrize("name", ["AbsEmbedder", "AbsReranker"])
def test_the_probe_sees_torch(name: str) -> None:
    assert "torch" in heavy_after(f"from FlagEmbedding import {name}")
