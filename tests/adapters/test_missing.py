"""Without its program an adapter says what to install; the facade needs none of them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import FlagEmbedding
from FlagEmbedding.adapters._extras import extra
from FlagEmbedding.errors import FlagEmbeddingError, MissingExtraError

EXTRAS = {
    "langchain": ("langchain_core", "langchain-core", "langchain"),
    "llama_index": ("llama_index", "llama-index-core", "llama-index"),
    "haystack": ("haystack", "haystack-ai", "haystack"),
    "mteb": ("mteb", "mteb", "mteb"),
}

# A program that is installed is hidden, so that the test says the same everywhere.
PROBE = """
import importlib, importlib.abc, importlib.metadata, json, sys

def version(name, known=importlib.metadata.version):
    if name in {distributions}:
        raise importlib.metadata.PackageNotFoundError(name)
    return known(name)

class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {packages}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

importlib.metadata.version = version
sys.meta_path.insert(0, Hidden())
import FlagEmbedding
assert not [name for name in sys.modules if name.startswith("FlagEmbedding.adapters")]
said = {{}}
for name in {modules}:
    try:
        importlib.import_module(f"FlagEmbedding.adapters.{{name}}")
    except ImportError as error:
        said[name] = [type(error).__name__, str(error), type(error.__cause__).__name__]
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said() -> dict[str, list[str]]:
    packages, distributions, _ = zip(*EXTRAS.values(), strict=True)
    code = PROBE.format(packages=packages, distributions=distributions, modules=tuple(EXTRAS))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("module", EXTRAS)
def test_what_to_install_is_said(said: dict[str, list[str]], module: str) -> None:
    _, distribution, extra = EXTRAS[module]
    assert said[module] == [
        "MissingExtraError",
        f"This adapter needs {distribution}, which is not installed. Run: pip install 'flagembedding-core[{extra}]'",
        "ModuleNotFoundError",
    ]


def test_it_is_an_error_of_the_library_and_an_import_error() -> None:
    assert issubclass(MissingExtraError, FlagEmbeddingError)
    assert issubclass(MissingExtraError, ImportError)
    assert issubclass(MissingExtraError, RuntimeError)


def test_another_reason_is_told_with_the_version() -> None:
    with pytest.raises(MissingExtraError) as caught, extra("testing", "pytest"):
        raise ImportError("cannot import name 'Embeddings'")
    assert str(caught.value) == (
        f"This adapter does not work with the installed pytest {pytest.__version__}: cannot import name 'Embeddings'. "
        "Run: pip install 'flagembedding-core[testing]'"
    )


def test_the_facade_does_not_offer_them() -> None:
    assert "adapters" not in FlagEmbedding.__all__
