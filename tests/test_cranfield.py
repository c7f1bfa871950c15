"""Real weights on a real collection: the vectors and the ranking quality of sentence-transformers.

Of a seventh of it, which is half a minute's work; all of it runs through mteb in tests/adapters.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from FlagEmbedding import FlagAutoModel
from flagembedding_minilm.weights import packaged_folder

DATA = Path(__file__).resolve().parents[2] / "shared/data/cranfield"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason="the Cranfield collection is not beside this checkout"),
]


@pytest.fixture
def all_cores() -> Iterator[None]:
    """The other tests are of tiny models, and run with one thread each; this one is a minute's work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    yield
    torch.set_num_threads(threads)


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def relevance() -> dict[str, dict[str, int]]:
    judged: dict[str, dict[str, int]] = defaultdict(dict)
    for line in (DATA / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, document, grade = line.split("\t")
        judged[query][document] = max(0, int(grade))  # -1: judged, and not relevant
    return judged


def ndcg(queries: np.ndarray, corpus: np.ndarray, query_ids: list[str], document_ids: list[str], depth: int) -> float:
    """The mean over the judged queries of DCG@depth, gain by grade, over the best that could be had."""
    discounts = 1 / np.log2(np.arange(2, depth + 2))
    found = []
    for query_id, judged in relevance().items():
        order = np.argsort(-(corpus @ queries[query_ids.index(query_id)]), kind="stable")[:depth]
        gains = np.array([judged.get(document_ids[position], 0) for position in order])
        best = np.zeros(depth)
        best[: min(depth, len(judged))] = sorted(judged.values(), reverse=True)[:depth]
        found.append((gains @ discounts) / (best @ discounts))
    return float(np.mean(found))


@pytest.mark.usefixtures("all_cores")
def test_vectors_and_ranking_are_those_of_sentence_transformers() -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    corpus, queries = rows("corpus.jsonl")[::7], rows("queries.jsonl")
    texts, questions = [row["text"] for row in corpus], [row["text"] for row in queries]
    ours = FlagAutoModel.from_finetuned("all-MiniLM-L6-v2", devices="cpu")
    theirs = sentence_transformers.SentenceTransformer(str(packaged_folder()), device="cpu")
    our_corpus, our_queries = ours.encode_corpus(texts), ours.encode_queries(questions)
    their_corpus, their_queries = theirs.encode(texts), theirs.encode(questions)

    assert np.abs(our_corpus - their_corpus).max() <= 1e-5
    assert np.abs(our_queries - their_queries).max() <= 1e-5
    ids = [row["_id"] for row in queries], [row["_id"] for row in corpus]
    quality = ndcg(our_queries, our_corpus, *ids, depth=10)
    assert quality == pytest.approx(ndcg(their_queries, their_corpus, *ids, depth=10), abs=1e-12)
    assert quality > 10 * ndcg(our_queries[::-1], our_corpus, *ids, depth=10)  # and it is no accident
