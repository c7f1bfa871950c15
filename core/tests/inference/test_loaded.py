"""What embedders and rerankers have in common once they are loaded."""

from __future__ import annotations

import pytest

from FlagEmbedding import FlagLLMModel, FlagLLMReranker, FlagModel, FlagReranker

TEXT = "the river, and all of the garden window paper letter " * 3


@pytest.fixture(scope="module")
def folders(tiny, checkpoint, tmp_path_factory):
    root = tmp_path_factory.mktemp("loaded")
    return {
        FlagModel: checkpoint("bert"),
        FlagLLMModel: tiny.build_decoder(root / "decoder", "qwen2", start=False),
        FlagReranker: tiny.build_classifier(root / "classifier", "bert"),
        FlagLLMReranker: tiny.build_language_model(root / "language-model", "mistral"),
    }


@pytest.fixture(params=[FlagModel, FlagLLMModel, FlagReranker, FlagLLMReranker])
def model(request, folders):
    return request.param(str(folders[request.param]), devices="cpu")


def result(model):
    if hasattr(model, "encode"):
        return model.encode([TEXT, "river"]).tolist()
    return model.compute_score([(TEXT, "river"), ("river", TEXT)])


def test_the_callers_tokenizer_is_a_copy_that_shares_nothing(model):
    before, ids = result(model), model.tokenizer("the river")["input_ids"]
    model.tokenizer(TEXT, padding="max_length", truncation=True, max_length=5)
    model.tokenizer.add_tokens(["the river"])
    model.tokenizer.truncation_side = "left"
    assert model.tokenizer("the river")["input_ids"] != ids
    assert result(model) == before


def test_the_callers_tokenizer_is_one_and_the_same(model):
    """Settings that a program makes stay made."""
    assert model.tokenizer is model.tokenizer


def test_the_model_is_ready_and_keeps_no_gradients(model):
    assert not model.model.training
    assert not any(weight.requires_grad for weight in model.model.parameters())
    assert model.model.config.use_cache is False
