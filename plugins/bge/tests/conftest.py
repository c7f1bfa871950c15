"""Tiny M3 checkpoints: a random XLM-RoBERTa with a real tokenizer and both heads, and what its outputs should be."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path

import m3_checkpoints
import pytest
import torch

SPECIAL = {0, 1, 2, 3}  # <s>, <pad>, </s> and <unk> of the tiny tokenizer


class M3Reference:
    """All outputs of one text: transformers' own calls, nothing padded, the heads applied by hand in float64."""

    def __init__(self, tiny, folder):
        self.backbone = tiny.Reference(folder)
        self.backbone.states = functools.cache(self.backbone.states)
        heads = [torch.load(folder / f"{name}_linear.pt", weights_only=True) for name in ("sparse", "colbert")]
        self.sparse, self.colbert = ({key: value.double().numpy() for key, value in head.items()} for head in heads)

    def ids(self, text, max_length=64):
        return self.backbone.tokenizer(text, truncation=True, max_length=max_length)["input_ids"]

    def dense(self, text, max_length=64):
        return self.backbone.vectors([text], "cls", max_length)[0]

    def lexical(self, text, max_length=64):
        weights = self.backbone.states(text, max_length) @ self.sparse["weight"][0] + self.sparse["bias"][0]
        found = {}
        for token, weight in zip(self.ids(text, max_length), weights, strict=True):
            if token not in SPECIAL and weight > 0:
                found[str(token)] = max(weight, found.get(str(token), 0))
        return found

    def multi(self, text, max_length=64, width=None, normalize=True):
        states = self.backbone.states(text, max_length)[1:]
        vectors = (states @ self.colbert["weight"].T + self.colbert["bias"])[:, :width]
        return vectors / (vectors**2).sum(axis=1, keepdims=True) ** 0.5 if normalize else vectors


@pytest.fixture(scope="session")
def m3_checkpoint(tmp_path_factory):
    """The folder of the model, built once; nobody may change it."""
    return m3_checkpoints.write(tmp_path_factory.mktemp("tiny") / "m3")


@pytest.fixture
def m3_folder(m3_checkpoint, tmp_path):
    """A copy of it, to be changed."""
    return Path(shutil.copytree(m3_checkpoint, tmp_path / "model"))


@pytest.fixture(scope="session")
def m3_reference(tiny, m3_checkpoint):
    return M3Reference(tiny, m3_checkpoint)


@pytest.fixture(scope="session")
def m3(m3_checkpoint):
    """The model, loaded once; nobody may change it."""
    from flagembedding_bge.m3 import M3Embedder  # noqa: PLC0415 - not while other tests of this folder are collected

    return M3Embedder(str(m3_checkpoint), devices="cpu")
