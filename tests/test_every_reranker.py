"""Every reranker by its name: a tiny checkpoint of its architecture, and the scores that its card means.

The table says, independently of the catalogue, what the model cards say. The reference is plain transformers: one pair
at a time, no batch, no padding, the full logits of a language model; for the two rerankers of BGE's own architectures,
which transformers lacks, the formulas of their networks written out in ``plugins/bge/tests``.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import cost_wise_checkpoints
import minicpm_tiny
import pytest
import torch
import transformers

from FlagEmbedding import FlagAutoReranker
from FlagEmbedding.inference.reranker.model_mapping import AUTO_RERANKER_MAPPING
from FlagEmbedding.plugins import hookimpl
from FlagEmbedding.plugins.manager import plugin_manager

ARCHITECTURES = {
    "bge-reranker-base": "xlm-roberta",
    "bge-reranker-large": "xlm-roberta",
    "bge-reranker-v2-m3": "xlm-roberta",
    "bce-reranker-base_v1": "xlm-roberta",
    "gte-reranker-modernbert-base": "modernbert",
    "gte-multilingual-reranker-base": "new",
    "bge-reranker-v2-gemma": "gemma",
    "Qwen3-Reranker-0.6B": "qwen3",
    "Qwen3-Reranker-4B": "qwen3",
    "Qwen3-Reranker-8B": "qwen3",
    "bge-reranker-v2-minicpm-layerwise": "minicpm",
    "bge-reranker-v2.5-gemma2-lightweight": "cost_wise_gemma",
}

PAIRS = [
    ("river", "the river of light is in the garden of paris."),
    ("where is the seven stone garden?", "a small engine"),
    ("river", "paper"),
    ("engine light", "one letter from 東京 " * 3),
]

CHAT = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
    "<Instruct>: Given a web search query, retrieve relevant passages that answer the query\n"
    "<Query>: {}\n<Document>: {}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
)
PROMPT = (
    "Given a query A and a passage B, determine whether the passage contains an answer to the query by providing a "
    "prediction of either 'Yes' or 'No'."
)
COMPRESSED = "Predict whether passage B contains an answer to query A."


def classifier(folder: Path) -> Callable[[str, str], float]:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    config = transformers.AutoConfig.from_pretrained(folder) if not (folder / "reference.json").exists() else None
    if config is None:
        config = transformers.GteConfig(**json.loads((folder / "reference.json").read_text(encoding="utf-8")))
    kind = transformers.AutoModelForSequenceClassification
    model = kind.from_pretrained(folder, config=config, dtype=torch.float32).eval()

    def score(query: str, passage: str) -> float:
        with torch.no_grad():
            return model(**tokenizer(query, passage, return_tensors="pt")).logits.item()

    return score


def language_model(folder: Path) -> tuple[Any, Callable[[list[int]], torch.Tensor]]:
    """Return the tokenizer, and the logits of the whole vocabulary at the last position."""
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def logits(ids: list[int]) -> torch.Tensor:
        with torch.no_grad():
            return model(input_ids=torch.tensor([ids])).logits[0, -1]

    return tokenizer, logits


def parts(tokenizer: Any, query: str, passage: str, prompt: str) -> list[list[int]]:
    texts = [f"A: {query}", "\n", f"B: {passage}", "\n", prompt]
    return [tokenizer.convert_tokens_to_ids(["<s>"]), *(tokenizer.encode(t, add_special_tokens=False) for t in texts)]


def gemma(folder: Path) -> Callable[[str, str], float]:
    tokenizer, logits = language_model(folder)
    yes = tokenizer.encode("Yes", add_special_tokens=False)[0]
    return lambda query, passage: logits([*chain(*parts(tokenizer, query, passage, PROMPT))])[yes].item()


def qwen3(folder: Path) -> Callable[[str, str], float]:
    tokenizer, logits = language_model(folder)
    yes, no = tokenizer.convert_tokens_to_ids(["yes", "no"])

    def score(query: str, passage: str) -> float:
        row = logits(tokenizer.encode(CHAT.format(query, passage), add_special_tokens=False))
        return float(row[yes] - row[no])

    return score


def minicpm(folder: Path) -> Callable[[str, str], float]:
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    network = minicpm_tiny.Reference(folder)
    last = json.loads((folder / "config.json").read_text(encoding="utf-8"))["num_hidden_layers"]
    return lambda query, passage: network.scores([*itertools.chain(*parts(tokenizer, query, passage, PROMPT))], [last])[
        0
    ]


def cost_wise_gemma(folder: Path) -> Callable[[str, str], float]:
    """Its last layer, with the first head: the published code takes the head by place in the list of layers."""
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    network = cost_wise_checkpoints.Reference(folder)
    last = network.config["num_hidden_layers"]

    def score(query: str, passage: str) -> float:
        pieces = parts(tokenizer, query, passage, COMPRESSED)
        lengths = [len(piece) for piece in pieces]
        return network.score([*itertools.chain(*pieces)], sum(lengths[:3]), sum(lengths[4:]), last, 0)

    return score


REFERENCES: dict[str, Callable[[Path], Callable[[str, str], float]]] = {
    **dict.fromkeys(("xlm-roberta", "modernbert", "new"), classifier),
    "gemma": gemma,
    "qwen3": qwen3,
    "minicpm": minicpm,
    "cost_wise_gemma": cost_wise_gemma,
}


@pytest.fixture
def hub(rerankers: dict[str, Path]) -> Iterator[None]:
    """Every official hub id leads to the tiny checkpoint of its architecture."""

    class Locator:
        @hookimpl
        def flagembedding_locate_model(self, model_name: str) -> Path | None:
            return rerankers[ARCHITECTURES[model_name.partition("/")[2]]]

    plugin_manager().register(Locator(), "hub-of-every-reranker")
    yield
    plugin_manager().unregister("hub-of-every-reranker")


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_scores_are_what_the_card_means(name: str, rerankers: dict[str, Path]) -> None:
    architecture = ARCHITECTURES[name]
    score = REFERENCES[architecture](rerankers[architecture])
    expected = [score(query, passage) for query, passage in PAIRS]
    reranker = FlagAutoReranker.from_finetuned(name, devices="cpu")
    assert reranker.compute_score(PAIRS) == pytest.approx(expected, abs=1e-4)
    assert reranker.compute_score(PAIRS[::-1], batch_size=1) == pytest.approx(expected[::-1], abs=1e-4)
    assert reranker.compute_score(PAIRS[1]) == pytest.approx([expected[1]], abs=1e-4)
    likely = [float(1 / (1 + torch.tensor(-value).double().exp())) for value in expected]
    assert reranker.compute_score(PAIRS, normalize=True) == pytest.approx(likely, abs=1e-4)
    assert max(expected) - min(expected) > 1e-2  # the pairs are told apart at all


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_ranking_by_name(name: str) -> None:
    reranker = FlagAutoReranker.from_finetuned(name, devices="cpu")
    documents = [passage for _, passage in PAIRS]
    scores = reranker.compute_score([("river", document) for document in documents])
    ranked = reranker.rank("river", documents, top_n=2)
    assert [hit["index"] for hit in ranked] == sorted(range(4), key=lambda index: -scores[index])[:2]
    assert [hit["score"] for hit in ranked] == pytest.approx(sorted(scores, reverse=True)[:2], abs=1e-5)
    assert [hit["text"] for hit in ranked] == [documents[hit["index"]] for hit in ranked]


def test_every_registered_reranker_is_here_or_says_why_not() -> None:
    runs = [name for name, config in AUTO_RERANKER_MAPPING.items() if not config.unsupported]
    assert sorted(runs) == sorted(ARCHITECTURES)
