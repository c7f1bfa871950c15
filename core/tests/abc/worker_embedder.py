"""Models that workers can import: an embedder and a reranker without weights, which say where they ran."""

from __future__ import annotations

import os

import numpy as np

from FlagEmbedding.abc.inference import AbsEmbedder, AbsReranker
from FlagEmbedding.errors import InputError


class LengthEmbedder(AbsEmbedder):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.factor = 1

    def encode_single_device(self, sentences, batch_size=256, max_length=None, convert_to_numpy=True, device=None):
        if "refused" in sentences:
            raise InputError(f"text {sentences.index('refused')} is refused")
        if "boom" in sentences:
            raise KeyError("boom")
        return np.array([[self.factor * len(text), os.getpid()] for text in sentences], float).reshape(-1, 2)


class PairLengths(AbsReranker):
    def compute_score_single_gpu(
        self,
        sentence_pairs,
        batch_size=None,
        query_max_length=None,
        max_length=None,
        normalize=None,
        device=None,
        layers=None,
    ):
        scores = [float(len(query) + 100 * len(passage)) for query, passage in sentence_pairs]
        return scores if layers is None else [[layer * score for score in scores] for layer in range(1, layers + 1)]
