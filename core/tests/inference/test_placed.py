"""Where a model is: devices of a call, moves that fail, dtypes, and a network that its caller holds."""

from __future__ import annotations

import multiprocessing

import numpy as np
import pytest
import torch

from FlagEmbedding import FlagModel, FlagReranker
from FlagEmbedding.errors import DeviceError

TEXTS = ["river", "the seven stone garden of light, and paper", "a small engine", "river", "one letter"]


@pytest.fixture
def model(checkpoint):
    return FlagModel(str(checkpoint("bert")), pooling_method="mean", devices="cpu")


@pytest.mark.parametrize("spelt", ["cpu:0", torch.device("cpu"), torch.device("cpu", 0)])
def test_the_same_device_spelt_otherwise_moves_nothing(model, spelt):
    before = model._engine
    expected = model.encode(TEXTS)
    np.testing.assert_array_equal(model.encode_single_device(TEXTS, device=spelt), expected)
    assert model._engine is before


def test_a_device_that_is_not_there_is_named_each_time(model):
    expected = model.encode(TEXTS)
    for _ in range(2):
        with pytest.raises(DeviceError, match="no device 'meta'"):
            model.encode(TEXTS, device="meta")
    np.testing.assert_array_equal(model.encode(TEXTS), expected)


@pytest.mark.parametrize("step", ["_to_place", "_set_up"])
def test_a_move_that_fails_is_not_taken_for_done(model, step, monkeypatch):
    expected, real, failures = model.encode(TEXTS), getattr(model, step), []

    def scarce(*arguments):
        if len(failures) < 2:
            failures.append(step)
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(*arguments)

    monkeypatch.setattr(model, step, scarce)
    for _ in range(2):
        with pytest.raises(torch.OutOfMemoryError):
            model._place("cpu", model._to_place())
    np.testing.assert_allclose(model.encode(TEXTS), expected, rtol=0, atol=1e-6)


def test_the_dtype_is_that_of_each_device(checkpoint):
    model = FlagModel(str(checkpoint("bert")), devices="cpu", use_fp16=True)
    assert model._dtype == torch.float32
    model._compute_as_on("cuda:1")
    assert (model._dtype, model._network) == (torch.float16, None)
    model._on("cpu")
    assert model._dtype == torch.float32


def test_who_holds_the_network_is_heard_at_once(checkpoint):
    model = FlagModel(str(checkpoint("bert")), devices=["cpu", "cpu"])
    network, texts = model.model, TEXTS * 40
    before = model.encode(texts)
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(0.5)
    assert np.abs(model.encode(texts) - before).max() > 1e-3
    assert multiprocessing.active_children() == []


def test_calls_share_what_one_has_found_out_about_the_memory(tiny, tmp_path):
    reranker = FlagReranker(str(tiny.build_classifier(tmp_path / "model", "bert")), devices="cpu")
    pairs, sizes, forward = [("river", f"stone {index}") for index in range(64)], [], reranker._scoring

    def scoring(*arguments, **options):
        made = forward(*arguments, **options)
        run = made.forward

        def scarce(rows):
            sizes.append(len(rows))
            if len(rows) > 16:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return run(rows)

        object.__setattr__(made, "forward", scarce)
        return made

    reranker._scoring = scoring
    reranker.compute_score(pairs)
    assert max(sizes) == 64
    sizes.clear()
    reranker.compute_score(pairs)
    assert max(sizes) <= 16
