"""What a program registers is what runs: poolings, classes, names; here and in workers."""

from __future__ import annotations

import importlib
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from FlagEmbedding import (
    AbsEmbedder,
    EmbedderConfig,
    FlagAutoModel,
    FlagModel,
    register_embedder,
    register_locator,
    register_model_class,
    register_pooling,
    temporary_registration,
)
from FlagEmbedding.cli.main import cli
from FlagEmbedding.errors import ModelClassError, WorkerError

pytestmark = pytest.mark.usefixtures("registering")

TEXTS = ["river", "the garden of light", "stone"]
MANY = [f"{text} {number % 5}" for number in range(43) for text in TEXTS]  # as many as workers are started for


@pytest.fixture
def poolings(monkeypatch):
    """A module that stands where workers find it, too: they inherit the path."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    yield importlib.import_module("registered_poolings")
    sys.modules.pop("registered_poolings", None)


@pytest.fixture
def source(checkpoint):
    return str(checkpoint("bert"))


def test_a_pooling_of_a_function(source):
    register_pooling("acme-twice", lambda states, mask: states[:, 0] * 2)
    options = {"devices": "cpu", "normalize_embeddings": False}
    once, twice = (FlagModel(source, pooling_method=name, **options) for name in ("cls", "acme-twice"))
    assert np.abs(twice.encode(TEXTS) - 2 * once.encode(TEXTS)).max() <= 1e-5
    joined = FlagModel(source, pooling_method="cls+acme-twice", **options).encode(TEXTS)
    assert np.abs(joined - np.hstack([once.encode(TEXTS), twice.encode(TEXTS)])).max() <= 1e-5


def test_an_embedder_with_all_that_is_registered(source, bert):
    """A name, its alias, its pooling, its class and its folder, none of which any plugin knows."""

    class Doubling(FlagModel):
        def encode_single_device(self, sentences, *args, **kwargs):
            return 2 * super().encode_single_device(sentences, *args, **kwargs)

    register_pooling("acme-first", lambda states, mask: states[:, 0])
    register_model_class("encoder-only-acme", Doubling)
    register_locator({"acme/acme-embed": source}.get)
    config = EmbedderConfig(
        "FlagEmbedding:FlagModel", "acme-first", hub_id="acme/acme-embed", query_instruction="find: "
    )
    register_embedder("acme-embed", config, aliases=["acme"])
    plain = FlagAutoModel.from_finetuned("acme", devices="cpu")
    assert np.abs(plain.encode(TEXTS) - bert.encode(TEXTS)).max() <= 1e-6
    assert np.abs(plain.encode_query("river") - bert.encode("find: river")).max() <= 1e-6
    forced = FlagAutoModel.from_finetuned("acme/acme-embed", model_class="encoder-only-acme", devices="cpu")
    assert np.abs(forced.encode(TEXTS) - 2 * bert.encode(TEXTS)).max() <= 1e-6


def test_a_registered_pooling_is_sent_to_workers(source, poolings):
    """A worker is sent the model, and looks up no name."""
    with temporary_registration():
        register_pooling("acme-half", poolings.first_and_a_half)
        model = FlagModel(source, devices="cpu", pooling_method="acme-half", normalize_embeddings=False)
        sent = pickle.dumps(model)
    there = pickle.loads(sent)
    assert there._pool is poolings.first_and_a_half
    assert np.array_equal(there.encode(TEXTS), model.encode(TEXTS))
    with pytest.raises(ModelClassError, match="unknown pooling method 'acme-half'"):
        FlagModel(source, pooling_method="acme-half")


def test_a_lambda_is_not_and_the_error_says_what_to_do(source):
    register_pooling("acme-lambda", lambda states, mask: states[:, 0])
    with FlagModel(source, pooling_method="acme-lambda", devices=["cpu", "cpu"]) as model:
        assert model.encode(TEXTS).shape == (3, 32)  # too few for workers
        with pytest.raises(WorkerError, match=r"the model for a worker .*lambda.* must stand at the top level of a"):
            model.encode(MANY)


class Bare(AbsEmbedder):
    """It has no constructor, so that it takes no pooling."""

    def encode_single_device(self, sentences, batch_size=256, max_length=None, convert_to_numpy=True, device=None):
        return np.array([[len(text), 1] for text in sentences], dtype=np.float32)


def test_a_class_that_pools_in_a_way_of_its_own(source):
    register_embedder("acme-embed", EmbedderConfig(Bare, "mean", hub_id="acme/acme-embed"))
    model = FlagAutoModel.from_finetuned("acme-embed", devices="cpu")
    assert model.encode_query(["abc"]).tolist() == [[3, 1]]
    assert model.get_embedding_dimension() == 2


class TestTheCommand:
    def test_show_says_where_an_entry_comes_from(self, capsys):
        register_embedder("acme-embed", EmbedderConfig(Bare, "mean", hub_id="acme/acme-embed"))
        cli(["show", "acme-embed"], standalone_mode=False)
        shown = capsys.readouterr().out
        assert f"this process ({__file__}:" in shown
        assert "acme/acme-embed" in shown

    def test_models_lists_it(self, capsys):
        register_embedder("acme-embed", EmbedderConfig(Bare, "mean", hub_id="acme/acme-embed"))
        cli(["models", "--kind", "embedder"], standalone_mode=False)
        [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("acme-embed ")]
        assert "this process" in line
        assert "/test_registered.py" not in line
        cli(["models", "--json"], standalone_mode=False)
        assert f'"registered_by": "this process ({__file__}:' in capsys.readouterr().out
