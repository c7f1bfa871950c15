"""What the adapters' tests share: models with instructions, their right vectors and scores, and the page's examples."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# Read when the programs are imported: nothing is reported to anybody.
os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"
os.environ["LANGSMITH_TRACING"] = "false"

import numpy as np
import pytest
import torch
import transformers

PAGE = Path(__file__).resolve().parents[2] / "docs/adapters.md"

QUERY = "where is the river of stone?"
DOCUMENTS = [
    "the question in the garden window",
    "paper (letter) of light",
    "seven rivers, a garden and all of the answers to the question of stone and light",
    "zürich",
]


@pytest.fixture(scope="session")
def query() -> str:
    return QUERY


@pytest.fixture(scope="session")
def documents() -> list[str]:
    return list(DOCUMENTS)


@pytest.fixture(scope="session")
def embedder_folder(checkpoint: Callable[[str], Path]) -> Path:
    """The folder of an embedder."""
    return checkpoint("bert")


@pytest.fixture(scope="session")
def told() -> dict[str, Any]:
    """What that embedder is loaded with: instructions that differ for queries and passages."""
    return {
        "pooling_method": "mean",
        "query_instruction_for_retrieval": "question: ",
        "passage_instruction_for_retrieval": "paper: ",
        "devices": "cpu",
    }


@pytest.fixture(scope="session")
def right(reference: Callable[[str], Any]) -> Callable[[str, Sequence[str]], np.ndarray]:
    """``right("question: ", texts)``: the vectors of the texts with that before them, by transformers' own calls."""
    return lambda instruction, texts: reference("bert").vectors([instruction + text for text in texts], "mean")


@pytest.fixture(scope="session")
def right_query(right: Any) -> np.ndarray:
    return right("question: ", [QUERY])[0]


@pytest.fixture(scope="session")
def right_documents(right: Any) -> np.ndarray:
    return right("paper: ", DOCUMENTS)


@pytest.fixture(scope="session")
def reranker_folder(rerankers: dict[str, Path]) -> Path:
    """The folder of a cross-encoder."""
    return rerankers["xlm-roberta"]


@pytest.fixture(scope="session")
def score(reranker_folder: Path) -> Callable[[str, str], float]:
    """The score of a pair, by transformers' own calls."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(reranker_folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(reranker_folder, dtype=torch.float32).eval()

    def logit(query: str, passage: str) -> float:
        with torch.no_grad():
            return model(**tokenizer([query], [passage], return_tensors="pt")).logits.item()

    return logit


@pytest.fixture(scope="session")
def right_scores(score: Callable[[str, str], float]) -> list[float]:
    return [score(QUERY, document) for document in DOCUMENTS]


@pytest.fixture(scope="session")
def best(right_scores: list[float]) -> list[int]:
    """The places of the documents, best first."""
    return sorted(range(len(DOCUMENTS)), key=lambda place: -right_scores[place])


@pytest.fixture
def run_example(tiny_hub: Any, capsys: pytest.CaptureFixture[str]) -> Callable[[str], dict[str, Any]]:
    """``run_example("LangChain")`` runs the code under that heading of docs/adapters.md and returns its names."""

    def run(heading: str) -> dict[str, Any]:
        part = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
        codes = re.findall(r"(?s)```python\n(.*?)```", part)
        assert codes
        names: dict[str, Any] = {"__name__": "example"}
        for code in codes:
            exec(compile(code, f"{PAGE.name}, {heading}", "exec"), names)
        return names

    return run
