"""Two workers on the CPU say what one model says, for every class of the core; a plugin's contract tests its own."""

from __future__ import annotations

import functools
import multiprocessing

import numpy as np
import pytest

from FlagEmbedding import FlagAutoModel, FlagAutoReranker
from FlagEmbedding.inference.embedder.model_mapping import AUTO_EMBEDDER_MAPPING
from FlagEmbedding.inference.reranker.model_mapping import AUTO_RERANKER_MAPPING
from FlagEmbedding.testing.answers import apart

WORDS = ["the", "river", "of", "light", "garden", "seven", "stones", "where", "is", "a", "blue", "house", "on", "hill"]
COUNT = 140  # more than the fewest that workers are started for
TEXTS = [" ".join(WORDS[(index * step) % len(WORDS)] for step in range(1 + index % 9)) for index in range(COUNT)]


def one_of_each_class(mapping):
    """Return a name for each model class of the core that can run."""
    runs = {name: config for name, config in mapping.items() if not config.unsupported}
    kinds = {name: config.model_class_reference for name, config in reversed(runs.items())}
    names = {kind.rpartition(":")[2]: name for name, kind in kinds.items() if kind.startswith("FlagEmbedding.")}
    return [pytest.param(name, id=kind) for kind, name in sorted(names.items())]


@functools.cache
def devices(count):
    return {"devices": ["cpu"] * count, "use_fp16": False}


def scale(scores):
    """Return the size of logits: float32 has seven digits, wherever the point is."""
    return max(1.0, float(np.abs(np.asarray(scores)).max()))


@pytest.mark.parametrize("name", one_of_each_class(AUTO_EMBEDDER_MAPPING))
def test_every_embedder(name, tiny_hub):
    alone = FlagAutoModel.from_finetuned(name, **devices(1))
    with FlagAutoModel.from_finetuned(name, **devices(2)) as shared:
        for encode in ("encode_queries", "encode_corpus"):
            assert apart(getattr(alone, encode)(TEXTS), getattr(shared, encode)(TEXTS)) <= 1e-6
        assert len(multiprocessing.active_children()) == 2
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("name", one_of_each_class(AUTO_RERANKER_MAPPING))
def test_every_reranker(name, tiny_hub):
    pairs = [(TEXTS[-index], text) for index, text in enumerate(TEXTS)]
    alone = FlagAutoReranker.from_finetuned(name, **devices(1))
    with FlagAutoReranker.from_finetuned(name, **devices(2)) as shared:
        found, wanted = shared.compute_score(pairs), alone.compute_score(pairs)
        assert isinstance(found, list)
        assert apart(wanted, found) <= 1e-6 * scale(wanted)
        assert len(multiprocessing.active_children()) == 2
    assert not multiprocessing.active_children()


def test_the_examples_of_a_task_reach_live_workers(tiny_hub):
    """Upstream's set_examples() changes nothing in workers that run."""
    alone = FlagAutoModel.from_finetuned("bge-en-icl", **devices(1))
    examples = [{"instruct": "find", "query": "a river", "response": "the river of light"}]
    with FlagAutoModel.from_finetuned("bge-en-icl", **devices(2)) as shared:
        before = shared.encode_queries(TEXTS)
        for model in (alone, shared):
            model.set_examples(examples)
        after = shared.encode_queries(TEXTS)
        assert apart(before, after) > 1e-3
        assert apart(alone.encode_queries(TEXTS), after) <= 1e-6


def test_several_layers_are_joined_layer_by_layer(tiny_hub):
    """Upstream concatenates them along the wrong axis."""
    pairs = [(TEXTS[-index], text) for index, text in enumerate(TEXTS)]
    name = next(name for name, config in AUTO_RERANKER_MAPPING.items() if "LayerWise" in config.model_class.__name__)
    alone = FlagAutoReranker.from_finetuned(name, **devices(1))
    layers = list(range(8, 10))
    with FlagAutoReranker.from_finetuned(name, **devices(2)) as shared:
        found = shared.compute_score(pairs, cutoff_layers=layers)
        assert [len(scores) for scores in found] == [COUNT, COUNT]
        assert apart(alone.compute_score(pairs, cutoff_layers=layers), found) <= 1e-6 * scale(found)
