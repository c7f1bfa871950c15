"""gte-Qwen: transformers' Qwen2 without the causal mask, each text ended; none of the checkpoint's code is needed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
import transformers

from FlagEmbedding import FlagAutoModel, FlagLLMModel

NAMES = ["gte-Qwen2-7B-instruct", "gte-Qwen2-1.5B-instruct", "gte-Qwen1.5-7B-instruct"]
TEXTS = ["the river", "a stone, and the small light in the garden window of an engine", "Berlin"]
TASK = "Given a web search query, retrieve relevant passages that answer the query"


class Reference:
    """transformers' Qwen2Model, told to look both ways; ids from tokenizers alone, and the end by hand."""

    def __init__(self, folder: Any, end: int = 0) -> None:
        self._tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        config = transformers.Qwen2Config.from_pretrained(folder)
        config.is_causal = False
        self._model = transformers.Qwen2Model.from_pretrained(folder, config=config, dtype=torch.float32).eval()
        self._end = end

    def ids(self, text: str) -> list[int]:
        return [*self._tokenizer.encode(text).ids, self._end]

    def states(self, ids: list[int]) -> np.ndarray:
        with torch.no_grad():
            return self._model(input_ids=torch.tensor([ids])).last_hidden_state[0].double().numpy()

    def vectors(self, texts: list[str]) -> np.ndarray:
        rows = np.stack([self.states(self.ids(text))[-1] for text in texts])
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("name", NAMES)
def test_the_vectors_are_right(qwen2, tmp_path, name) -> None:
    folder = qwen2(tmp_path / name)
    model, reference = FlagAutoModel.from_finetuned(folder, devices="cpu"), Reference(folder)
    assert type(model) is FlagLLMModel
    assert type(model.model) is transformers.Qwen2Model
    assert abs(model.encode_corpus(TEXTS) - reference.vectors(TEXTS)).max() <= 1e-5
    asked = [f"Instruct: {TASK}\nQuery: {text}" for text in TEXTS]
    assert abs(model.encode_queries(TEXTS) - reference.vectors(asked)).max() <= 1e-5


def test_the_end_is_appended_once_and_survives_cutting(qwen2, tmp_path) -> None:
    folder = qwen2(tmp_path / NAMES[0])
    model, reference = FlagAutoModel.from_finetuned(folder, devices="cpu"), Reference(folder)
    ids = model.tokenizer("the river")["input_ids"]
    assert ids == reference.ids("the river")
    assert (ids[-1], ids.count(0)) == (0, 1)
    long = reference.states([*reference.ids(TEXTS[1])[:5], 0])[-1]
    assert abs(model.encode(TEXTS[1], max_length=6) - long / np.linalg.norm(long)).max() <= 1e-5


def test_the_first_token_sees_a_later_one(qwen2, tmp_path) -> None:
    model = FlagAutoModel.from_finetuned(qwen2(tmp_path / NAMES[0]), devices="cpu", pooling_method="cls")
    one, other = model.encode(["river stone", "river paper"])
    assert abs(one - other).max() > 1e-3
    causal = FlagAutoModel.from_finetuned(
        tmp_path / NAMES[0], devices="cpu", pooling_method="cls", is_causal=True, normalize_embeddings=False
    )
    one, other = causal.encode(["river stone", "river paper"])
    assert abs(one - other).max() == 0


def test_no_vector_depends_on_its_batch(qwen2, tmp_path) -> None:
    model = FlagAutoModel.from_finetuned(qwen2(tmp_path / NAMES[0]), devices="cpu")
    assert abs(np.stack([model.encode(text) for text in TEXTS]) - model.encode(TEXTS)).max() <= 1e-5


def test_a_config_that_states_its_direction_is_overruled(qwen2, tmp_path, tiny) -> None:
    folder = qwen2(tmp_path / NAMES[0])
    tiny.change_json(folder / "config.json", is_causal=True)
    model = FlagAutoModel.from_finetuned(folder, devices="cpu")
    assert abs(model.encode(TEXTS) - Reference(folder).vectors(TEXTS)).max() <= 1e-5
