"""What compare.py asks of the rerankers, and what the published rule makes of texts that upstream changes.

FlagEmbedding 1.4.2's cross-encoder cuts query and passage as ids; on transformers 5 it then writes both out as text and
tokenises that again. Tokens that do not survive this (unknown characters in a sentencepiece vocabulary) become others,
and a passage that is empty loses its separators. Ours puts the ids together, as 1.4.2 itself does on transformers 4.
Such texts are shown apart: ours is held to the rule, upstream's distance is printed and not counted.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

PAIRS = [
    ["river", "the river of light is in the garden of paris."],
    ["where is the seven stone garden?", "a small engine"],
    ["what is a question?", "not one answer"],
]
LONG = [
    ["river", "the river of light is in the garden of paris and in the window of an engine. " * 3],
    ["where is the seven stone garden? " * 8, "a small engine " * 8],
    ["seven stone engine " * 20, "one letter"],
]
ODD = [
    ["what is a Zebra?", "stones, ~ and Ω: not one answer"],
    ["river", ""],
    ["東京 Ω", "Don't  stop. " * 9],
]
PROMPT = "Predict whether passages A and B have the same meaning."
MAX_LENGTH = 32


def reranker_cases(build: Any, folder: Path, case: Callable[..., dict[str, Any]]) -> list[dict[str, Any]]:
    """Build the checkpoints, and return what is asked of each class; ``case`` puts one into words."""
    xlm = str(build.build_classifier(folder / "xlm-reranker", "xlm-roberta", max_position_embeddings=514))
    bert = str(build.build_classifier(folder / "bert-reranker", "bert", max_position_embeddings=512))
    gemma = str(build.build_language_model(folder / "gemma", "gemma"))
    short, long, odd = ({"compute_score": pairs} for pairs in (PAIRS, LONG, ODD))
    cut = {"max_length": MAX_LENGTH}
    instructed = {"query_instruction_for_rerank": "query: ", "passage_instruction_for_rerank": "passage: "}
    return [
        case("reranker, xlm-roberta", "FlagReranker", xlm, short, {}),
        case("reranker, bert", "FlagReranker", bert, short, {}),
        case("reranker, normalized", "FlagReranker", xlm, short, {"normalize": True}),
        case("reranker, instructions", "FlagReranker", bert, short, instructed),
        case("reranker, cut", "FlagReranker", xlm, long, {}, cut),
        case("reranker, bert, cut", "FlagReranker", bert, long, cut, {"query_max_length": 7}),
        case("llm reranker, gemma", "FlagLLMReranker", gemma, short, {}),
        case("llm reranker, normalized", "FlagLLMReranker", gemma, short, {}, {"normalize": True}),
        case("llm reranker, prompt", "FlagLLMReranker", gemma, short, {**instructed, "prompt": PROMPT}),
        case("llm reranker, cut", "FlagLLMReranker", gemma, long, {}, cut),
        case("llm reranker, odd, cut", "FlagLLMReranker", gemma, odd, cut, {"query_max_length": 5}),
        {**case("reranker, tokens changed", "FlagReranker", xlm, odd, {}, cut), "by_the_rule": True},
    ]


def by_the_rule(case: dict[str, Any]) -> np.ndarray:
    """Return the scores of a cross-encoder, one pair at a time: ids cut, put between XLM-RoBERTa's special tokens."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(case["folder"])
    kind = transformers.AutoModelForSequenceClassification
    model = kind.from_pretrained(case["folder"], dtype=torch.float32).eval()
    start, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    scores = []
    for pair in case["calls"]["compute_score"]:
        query, passage = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in pair)
        query = query[: MAX_LENGTH * 3 // 4]
        passage = passage[: MAX_LENGTH - 4 - len(query)]
        with torch.no_grad():
            scores.append(model(torch.tensor([[start, *query, end, end, *passage, end]])).logits.item())
    return np.array(scores)
