"""Tiny checkpoints of the models' architecture, with a tokenizer like theirs, through their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
import transformers
from tokenizers import processors

from FlagEmbedding import FlagAutoModel, FlagLLMModel
from FlagEmbedding.errors import CheckpointError

NAMES = ["Qwen3-Embedding-0.6B", "Qwen3-Embedding-4B", "Qwen3-Embedding-8B"]
TEXTS = ["the river", "a stone, and the small light in the garden window of an engine", "Berlin"]
TASK = "Given a web search query, retrieve relevant passages that answer the query"
END = "<|endoftext|>"
TURN = "<|im_end|>"
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "intermediate_size": 48,
    "max_position_embeddings": 512,
}


@pytest.fixture
def qwen3(tiny: Any) -> Any:
    """``qwen3(folder)`` writes a checkpoint; its texts end in ``end``, its end-of-sequence token ends a turn."""

    def write(folder: Path, end: str | None = END) -> Path:
        special = {"eos": TURN, "pad": END}
        tokenizer = tiny.byte_tokenizer(special, END, END)
        bytes_only = processors.ByteLevel(trim_offsets=False)
        frame = [(token, tokenizer.token_to_id(token)) for token in special.values()]
        ending = processors.TemplateProcessing(single=f"$A {end}" if end else "$A", special_tokens=frame)
        tokenizer.post_processor = processors.Sequence([bytes_only, ending])
        tiny.save_tokenizer(folder, tokenizer, special, "Qwen2Tokenizer")
        config = transformers.Qwen3Config(
            **SIZES, vocab_size=tokenizer.get_vocab_size(), eos_token_id=0, pad_token_id=1
        )
        tiny.random_model(config).save_pretrained(folder)
        return folder

    return write


def reference(folder: Path, texts: list[str]) -> np.ndarray:
    """transformers' Qwen3Model, one text at a time; ids from tokenizers alone."""
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    model = transformers.Qwen3Model.from_pretrained(folder, dtype=torch.float32).eval()
    rows = []
    for text in texts:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        with torch.no_grad():
            states = model(input_ids=torch.tensor([[*ids, tokenizer.token_to_id(END)]])).last_hidden_state
        rows.append(states[0, -1].double().numpy())
    return np.stack(rows) / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("name", NAMES)
def test_the_vectors_are_right(qwen3, tmp_path, name) -> None:
    folder = qwen3(tmp_path / name)
    model = FlagAutoModel.from_finetuned(folder, devices="cpu")
    assert type(model) is FlagLLMModel
    assert abs(model.encode_corpus(TEXTS) - reference(folder, TEXTS)).max() <= 1e-5
    asked = [f"Instruct: {TASK}\nQuery:{text}" for text in TEXTS]
    assert abs(model.encode_queries(TEXTS) - reference(folder, asked)).max() <= 1e-5
    with_a_space = [f"Instruct: {TASK}\nQuery: {text}" for text in TEXTS]
    assert abs(model.encode_queries(TEXTS) - reference(folder, with_a_space)).max() > 1e-3


def test_a_shorter_vector_is_the_beginning(qwen3, tmp_path) -> None:
    folder = qwen3(tmp_path / NAMES[0])
    model = FlagAutoModel.from_finetuned(folder, devices="cpu", truncate_dim=8)
    beginning = reference(folder, TEXTS)[:, :8]
    wanted = beginning / np.linalg.norm(beginning, axis=1, keepdims=True)
    assert abs(model.encode(TEXTS) - wanted).max() <= 1e-5


def test_it_reads_one_way(qwen3, tmp_path) -> None:
    model = FlagAutoModel.from_finetuned(qwen3(tmp_path / NAMES[0]), devices="cpu", pooling_method="cls")
    one, other = model.encode(["river stone", "river paper"])
    assert abs(one - other).max() <= 1e-6


@pytest.mark.parametrize("end", [None, TURN])
def test_a_tokenizer_that_ends_texts_otherwise_is_refused(qwen3, tmp_path, end) -> None:
    with pytest.raises(CheckpointError, match=r"must end in '<\|endoftext\|>'"):
        FlagAutoModel.from_finetuned(qwen3(tmp_path / NAMES[0], end), devices="cpu")
