"""Tiny M3 checkpoints: a random XLM-RoBERTa with a real tokenizer, and both heads beside it."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers

from FlagEmbedding.testing.checkpoints import WIDTH, build

_TEXT = "the question in a garden window, all of the answer"


def write(folder: Path) -> Path:
    """Write a checkpoint with such a bias that some tokens of a text have a weight and some have none."""
    build(folder, "xlm-roberta")
    generator = torch.Generator().manual_seed(5)
    colbert = {"weight": torch.randn(16, WIDTH, generator=generator), "bias": torch.randn(16, generator=generator)}
    torch.save(colbert, folder / "colbert_linear.pt")
    weight = torch.randn(1, WIDTH, generator=generator)
    bias = -(_states(folder) @ weight[0]).median().reshape(1)
    torch.save({"weight": weight, "bias": bias}, folder / "sparse_linear.pt")
    return folder


def _states(folder: Path) -> torch.Tensor:
    tokens = transformers.AutoTokenizer.from_pretrained(folder)(_TEXT, return_tensors="pt")
    with torch.no_grad():
        return transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()(**tokens).last_hidden_state[0]
