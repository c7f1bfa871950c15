"""Every name of the tutorial: a tiny checkpoint of its architecture loads by it and gives the vectors its card means.

The table says, independently of the catalogue, what the model cards say. The reference is plain transformers: one text
at a time, no batch, no padding, the special tokens put around the text by hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from FlagEmbedding import FlagAutoModel
from FlagEmbedding.plugins import hookimpl
from FlagEmbedding.plugins.manager import plugin_manager

TASK = "Given a web search query, retrieve relevant passages that answer the query"
INSTRUCT = f"Instruct: {TASK}\nQuery: "
WIKIPEDIA = "Instruct: Given a question, retrieve Wikipedia passages that answer the question\nQuery: "
TAGGED = f"<instruct>{TASK}.\n<query>"

QUERIES = ["river", "where is the seven stone garden?", "engine light"]
PASSAGES = ["a small engine", "the river of light is in the garden of paris.", "paper", "one letter from 東京 " * 3]


@dataclass(frozen=True)
class Card:
    """What a model card says."""

    architecture: str
    pooling: str
    query: str = ""
    passage: str = ""
    query_end: str = ""


BERT_CLS, BERT_MEAN = Card("bert", "cls"), Card("bert", "mean")
E5 = Card("bert", "mean", "query: ", "passage: ")
E5_MULTILINGUAL = Card("xlm-roberta", "mean", "query: ", "passage: ")
MISTRAL = Card("mistral", "last", INSTRUCT)
QWEN2 = Card("qwen2", "last", INSTRUCT)
NEW = Card("new", "cls")

CARDS = {
    "bge-en-icl": Card("mistral", "last", TAGGED, query_end="\n<response>"),
    "bge-multilingual-gemma2": Card("gemma2", "last", TAGGED),
    "bge-m3": Card("xlm-roberta", "cls"),
    **dict.fromkeys(
        [f"bge-{size}-{language}-v1.5" for language in ("en", "zh") for size in ("large", "base", "small")], BERT_CLS
    ),
    **dict.fromkeys(
        [f"bge-{size}-{language}" for language in ("en", "zh") for size in ("large", "base", "small")], BERT_CLS
    ),
    "e5-mistral-7b-instruct": MISTRAL,
    **dict.fromkeys(["e5-large-v2", "e5-base-v2", "e5-small-v2"], E5),
    "multilingual-e5-large-instruct": Card("xlm-roberta", "mean", INSTRUCT),
    **dict.fromkeys([f"multilingual-e5-{size}" for size in ("large", "base", "small")], E5_MULTILINGUAL),
    **dict.fromkeys(["e5-large", "e5-base", "e5-small"], E5),
    **dict.fromkeys(["gte-Qwen2-7B-instruct", "gte-Qwen2-1.5B-instruct", "gte-Qwen1.5-7B-instruct"], QWEN2),
    **dict.fromkeys(["gte-multilingual-base", "gte-large-en-v1.5", "gte-base-en-v1.5"], NEW),
    **dict.fromkeys(["gte-large", "gte-base", "gte-small"], BERT_MEAN),
    **dict.fromkeys(["gte-large-zh", "gte-base-zh", "gte-small-zh"], BERT_CLS),
    **dict.fromkeys(["SFR-Embedding-2_R", "SFR-Embedding-Mistral"], MISTRAL),
    "Linq-Embed-Mistral": Card("mistral", "last", WIKIPEDIA),
}


class Reference:
    """The vector of one text."""

    def __init__(self, folder: Path, card: Card) -> None:
        self.card = card
        file = str(folder / "tokenizer.json")
        bare = card.pooling == "last"  # what tokenizer.json itself says; the ending is put on by hand
        self.tokenizer = (
            transformers.PreTrainedTokenizerFast(tokenizer_file=file)
            if bare
            else transformers.AutoTokenizer.from_pretrained(folder)
        )
        if card.architecture == "new":
            config = transformers.GteConfig(**json.loads((folder / "reference.json").read_text(encoding="utf-8")))
        else:
            config = transformers.AutoConfig.from_pretrained(folder)
        if card.architecture == "qwen2":
            config.is_causal = False
        kind = transformers.GteModel if card.architecture == "new" else transformers.AutoModel
        self.model = kind.from_pretrained(folder, config=config, dtype=torch.float32).eval()

    def vector(self, text: str) -> np.ndarray:
        ids = self.tokenizer(text)["input_ids"]
        if self.card.pooling == "last":
            ids = [*ids, self.tokenizer.convert_tokens_to_ids("</s>")]
        with torch.no_grad():
            states = self.model(input_ids=torch.tensor([ids])).last_hidden_state[0].double().numpy()
        pooled = {"cls": states[0], "mean": states.mean(axis=0), "last": states[-1]}[self.card.pooling]
        return pooled / np.sqrt((pooled**2).sum())


@pytest.fixture
def hub(architectures: dict[str, Path]) -> Iterator[None]:
    """Every official hub id leads to the tiny checkpoint of its architecture."""

    class Locator:
        @hookimpl
        def flagembedding_locate_model(self, model_name: str) -> Path | None:
            return architectures[CARDS[model_name.partition("/")[2]].architecture]

    plugin_manager().register(Locator(), "hub-of-every-name")
    yield
    plugin_manager().unregister("hub-of-every-name")


def dense(output: Any) -> np.ndarray:
    return output["dense_vecs"] if isinstance(output, dict) else output


def test_the_table_has_all_names() -> None:
    assert len(CARDS) == 41


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("name", CARDS)
def test_the_vectors_are_what_the_card_means(name: str, architectures: dict[str, Path]) -> None:
    card = CARDS[name]
    reference = Reference(architectures[card.architecture], card)
    model = FlagAutoModel.from_finetuned(name, devices="cpu")
    queries = np.stack([reference.vector(card.query + query + card.query_end) for query in QUERIES])
    passages = np.stack([reference.vector(card.passage + passage) for passage in PASSAGES])
    assert np.abs(dense(model.encode_queries(QUERIES)) - queries).max() <= 1e-5
    assert np.abs(dense(model.encode_corpus(PASSAGES)) - passages).max() <= 1e-5
    assert np.abs(dense(model.encode_queries(QUERIES[1])) - queries[1]).max() <= 1e-5
