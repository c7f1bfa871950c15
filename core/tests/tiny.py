"""What the tests of the workspace share: the kit's tiny checkpoints, and what plain transformers makes of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
import transformers

from FlagEmbedding.testing.checkpoints import (
    SIZES,
    WIDTH,
    build,
    build_classifier,
    build_decoder,
    build_language_model,
    random_model,
    rename_weights,
)
from FlagEmbedding.testing.vocabularies import (
    POSITIONS,
    WORDS,
    byte_tokenizer,
    change_json,
    save_tokenizer,
    unigram_tokenizer,
    word_tokenizer,
    write_json,
)

__all__ = [
    "POSITIONS",
    "SIZES",
    "WIDTH",
    "WORDS",
    "Reference",
    "add_sentence_transformers_files",
    "build",
    "build_classifier",
    "build_decoder",
    "build_language_model",
    "byte_tokenizer",
    "change_json",
    "random_model",
    "rename_weights",
    "save_tokenizer",
    "unigram_tokenizer",
    "word_tokenizer",
    "write_json",
]


def add_sentence_transformers_files(folder: Path, pooling: str, max_length: int | None = None) -> Path:
    """Add the files that sentence-transformers 2 to 5 write beside a checkpoint."""
    kinds = [
        ("0", "", "models.Transformer"),
        ("1", "1_Pooling", "models.Pooling"),
        ("2", "2_Normalize", "models.Normalize"),
    ]
    modules = [
        {"idx": int(index), "name": index, "path": path, "type": f"sentence_transformers.{kind}"}
        for index, path, kind in kinds
    ]
    write_json(folder / "modules.json", modules)
    flags = {"cls": "cls_token", "mean": "mean_tokens", "last_token": "lasttoken", "max": "max_tokens"}
    modes = {f"pooling_mode_{flag}": name == pooling for name, flag in flags.items()}
    write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": WIDTH, **modes})
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": False})
    return folder


class Reference:
    """What the vectors of a checkpoint are: transformers' own calls, one text at a time, pooled by hand in float64."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self._model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()

    def states(self, text: str, max_length: int = POSITIONS) -> np.ndarray:
        inputs = self.tokenizer(text, truncation=True, max_length=max_length, return_tensors="pt")
        with torch.no_grad():
            return self._model(**inputs).last_hidden_state[0].double().numpy()

    def pooled(self, text: str, pooling: str = "cls", max_length: int = POSITIONS) -> np.ndarray:
        states = self.states(text, max_length)
        return {"cls": states[0], "mean": states.mean(axis=0), "last_token": states[-1]}[pooling]

    def vectors(self, texts: Iterable[str], pooling: str = "cls", max_length: int = POSITIONS) -> np.ndarray:
        rows = np.stack([self.pooled(text, pooling, max_length) for text in texts])
        return rows / np.sqrt((rows**2).sum(axis=1, keepdims=True))
