"""The code of the tutorial, as it stands: each block runs, with tiny weights under the names that it uses."""

from __future__ import annotations

import ast
import inspect
import json
import re
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from FlagEmbedding import AbsEmbedder, AbsReranker

SEEDS = Path(__file__).resolve().parents[2] / "shared/seeds"

NAMES = {
    "BAAI/bge-base-en-v1.5": "BAAI/bge-base-en-v1.5",
    "bge-large-en-v1.5": "BAAI/bge-large-en-v1.5",
    "custom-model-name": "custom-model-name",
}


def run(code: str, names: dict[str, Any]) -> dict[str, Any]:
    exec(compile(code, "<tutorial>", "exec"), names)
    return names


def on_this_machine(code: str) -> str:
    """Without a CUDA device the tutorial's devices are the CPU; nothing else is changed."""
    return code if torch.cuda.is_available() else re.sub(r"(?<=['\"])cuda:\d(?=['\"])", "cpu", code)


def test_usage(tiny_hub: Any) -> None:
    names = run(
        on_this_machine(
            """
from FlagEmbedding import FlagAutoModel

model = FlagAutoModel.from_finetuned(
    'BAAI/bge-base-en-v1.5',
    query_instruction_for_retrieval="Represent this sentence for searching relevant passages: ",
    devices="cuda:0",   # if not specified, will use all available gpus or cpu when no gpu available
)
queries = ["query 1", "query 2"]
corpus = ["passage 1", "passage 2"]
q_embeddings = model.encode_queries(queries)
p_embeddings = model.encode_corpus(corpus)
scores = q_embeddings @ p_embeddings.T
"""
        ),
        {},
    )
    instructed = ["Represent this sentence for searching relevant passages: " + text for text in names["queries"]]
    expected = tiny_hub.vectors(instructed, "cls") @ tiny_hub.vectors(names["corpus"], "cls").T
    assert np.abs(names["scores"] - expected).max() <= 1e-5


def test_bare_name_and_single_text(tiny_hub: Any) -> None:
    names = run(
        """
from FlagEmbedding import FlagAutoModel
embedder = FlagAutoModel.from_finetuned('bge-large-en-v1.5')
embedding = embedder.encode_queries("What is machine learning?")
docs = ["ML is a subset of AI", "Neural networks are computing systems"]
doc_embeddings = embedder.encode_corpus(docs)
""",
        {},
    )
    assert np.abs(names["embedding"] - tiny_hub.vectors(["What is machine learning?"], "cls")[0]).max() <= 1e-5
    assert np.abs(names["doc_embeddings"] - tiny_hub.vectors(names["docs"], "cls")).max() <= 1e-5


def test_forced_model_class(tiny_hub: Any) -> None:
    names = run(
        """
from FlagEmbedding import FlagAutoModel, EmbedderModelClass
embedder = FlagAutoModel.from_finetuned(
    'custom-model-name',
    model_class=EmbedderModelClass.ENCODER_ONLY_BASE,
    pooling_method="mean",
    trust_remote_code=True
)
vectors = embedder.encode(["a", "b c"])
""",
        {},
    )
    assert np.abs(names["vectors"] - tiny_hub.vectors(["a", "b c"], "mean")).max() <= 1e-5


def test_reranker(tiny_hub: Any, rerankers: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    names = run(
        """
from FlagEmbedding import FlagAutoReranker

# Initialize reranker
reranker = FlagAutoReranker.from_finetuned('bge-reranker-base')

# Score query-document pairs
pairs = [
("machine learning query", "ML is a subset of artificial intelligence"),
("machine learning query", "Cooking recipes for pasta dishes")
]

scores = reranker.compute_score(pairs)
print(f"Relevance scores: {scores}") # Higher scores = more relevant
""",
        {},
    )
    expected = relevance(rerankers["xlm-roberta"], names["pairs"])
    assert names["scores"] == pytest.approx(expected, abs=1e-5)
    assert [type(score) for score in names["scores"]] == [float, float]
    assert capsys.readouterr().out == f"Relevance scores: {names['scores']}\n"


def relevance(folder: Path, pairs: list[tuple[str, str]]) -> list[float]:
    """Return what transformers' own classifier says of each pair alone."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        return [model(**tokenizer(*pair, return_tensors="pt")).logits.item() for pair in pairs]


def test_types() -> None:
    names = run(
        """
from FlagEmbedding import FlagAutoModel, FlagAutoReranker
from typing import Optional, List
from FlagEmbedding import AbsEmbedder, AbsReranker, EmbedderModelClass, RerankerModelClass

# Type aliases for auto model factory methods
AutoEmbedderFactory = type(FlagAutoModel.from_finetuned)
AutoRerankerFactory = type(FlagAutoReranker.from_finetuned)
""",
        {},
    )
    assert names["AutoEmbedderFactory"] is names["AutoRerankerFactory"] is types.MethodType
    assert (names["AbsEmbedder"], names["AbsReranker"]) == (AbsEmbedder, AbsReranker)
    assert {str(key.value) for key in names["RerankerModelClass"]} == {
        "encoder-only-base",
        "decoder-only-base",
        "decoder-only-layerwise",
        "decoder-only-lightweight",
    }


def test_the_factory_of_rerankers_has_the_arguments_of_the_page() -> None:
    """The page's declaration, and its defaults."""
    names = run("from FlagEmbedding import FlagAutoReranker", {})
    parameters = inspect.signature(names["FlagAutoReranker"].from_finetuned).parameters
    assert {name: parameter.default for name, parameter in parameters.items()} == {
        "model_name_or_path": inspect.Parameter.empty,
        "model_class": None,
        "use_fp16": False,
        "trust_remote_code": None,
        "kwargs": inspect.Parameter.empty,
    }


def test_error_handling(capsys: pytest.CaptureFixture[str]) -> None:
    run(
        """
from FlagEmbedding import FlagAutoModel
try:
    embedder = FlagAutoModel.from_finetuned('unknown-model')
except ValueError as e:
    print(f"Model not supported: {e}")

try:
    # Invalid device specification
    embedder = FlagAutoModel.from_finetuned('bge-base-en', devices=['invalid:0'])
except RuntimeError as e:
    print(f"Device error: {e}")
""",
        {},
    )
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("Model not supported: unknown model 'unknown-model'")
    assert second.startswith("Device error: 'invalid:0' is no device")


def python_blocks(text: str) -> list[str]:
    """Return the Python blocks of a page; pages with a number on every other line are put right first."""
    text = re.sub(r"(?m)^\d+\n", "", text)
    return re.findall(r"(?s)```python(?: \{ \.api \})?\n(.*?)```", text)


def notebook_cells(path: Path) -> list[tuple[str, str]]:
    """Return each code cell and what it printed."""
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    outputs = ["".join(line for out in cell["outputs"] for line in _lines(out)) for cell in cells]
    return [("".join(cell["source"]), output) for cell, output in zip(cells, outputs, strict=True)]


def _lines(output: dict[str, Any]) -> list[str]:
    return output.get("text") or output.get("data", {}).get("text/plain", [])


@pytest.mark.skipif(not SEEDS.is_dir(), reason="the tutorial's files are not beside this checkout")
def test_the_notebook_runs_cell_by_cell(tiny_hub: Any, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    [path] = SEEDS.glob("001_*")
    for code, printed in notebook_cells(path):
        if code.startswith("%"):
            continue
        *_, last = ast.parse(on_this_machine(code)).body
        capsys.readouterr()
        run(on_this_machine(code), names)
        if isinstance(last, ast.Expr) and printed.startswith("['"):
            known = ast.literal_eval(printed)
            assert [name for name in eval(ast.unparse(last), names) if name in known] == known
        elif printed.startswith("EmbedderConfig"):
            # the class of a family lives in the family's plugin; everything else is what the notebook shows
            shown = re.sub(r"flagembedding_\w+\.", "", capsys.readouterr().out)
            assert shown == re.sub(r"FlagEmbedding(\.\w+)*\.(?=icl)", "", printed)


@pytest.mark.skipif(not SEEDS.is_dir(), reason="the tutorial's files are not beside this checkout")
@pytest.mark.parametrize(("page", "blocks"), [("000_*", 5), ("003_*", 6)])
def test_the_blocks_of_the_pages_run(tiny_hub: Any, page: str, blocks: int) -> None:
    [path] = SEEDS.glob(page)
    names: dict[str, Any] = {}
    ran = 0
    for code in python_blocks(path.read_text(encoding="utf-8")):
        if _is_a_program(code):
            run(on_this_machine(code), names)
            ran += 1
    assert ran == blocks


@pytest.mark.skipif(not SEEDS.is_dir(), reason="the tutorial's files are not beside this checkout")
@pytest.mark.usefixtures("tiny_hub")
def test_the_rerankers_of_the_page_as_they_stand(
    rerankers: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    [path] = SEEDS.glob("003_*")
    blocks = python_blocks(path.read_text(encoding="utf-8"))
    [usage] = [code for code in blocks if "compute_score" in code]
    [aliases] = [code for code in blocks if "AutoRerankerFactory" in code]
    names = run(usage, {})
    assert names["scores"] == pytest.approx(relevance(rerankers["xlm-roberta"], names["pairs"]), abs=1e-5)
    assert capsys.readouterr().out.startswith("Relevance scores: [")
    run("from FlagEmbedding import FlagAutoModel", names)  # an earlier block of the page
    run(aliases, names)
    assert names["AbsReranker"] in type(names["reranker"]).__mro__


def _is_a_program(code: str) -> bool:
    """Leave out the shell's lines, declarations, and a block that lost its indentation.

    That block is the error handling, which test_error_handling runs with its indentation put back.
    """
    return not re.search(r"^%|@dataclass|classmethod|except", code)
