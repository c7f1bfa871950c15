"""FlagAutoModel on folders that nobody registered: what their files say, and what the caller says instead."""

from __future__ import annotations

import pytest

from FlagEmbedding import EmbedderModelClass, FlagAutoModel, FlagModel
from FlagEmbedding.errors import ModelClassError

TEXT = "the river, and all of the garden window paper letter " * 5


@pytest.fixture
def described(tiny, folder):
    """A folder with all the files that sentence-transformers writes."""
    tiny.add_sentence_transformers_files(folder, "mean", max_length=9)
    prompts = {"query": "search: ", "document": "answer: "}
    tiny.write_json(folder / "config_sentence_transformers.json", {"prompts": prompts})
    return str(folder)


def same(one, other):
    return abs(one - other).max() <= 1e-6


def test_the_factory_makes_models_and_is_none():
    with pytest.raises(ModelClassError, match="from_finetuned"):
        FlagAutoModel()


def test_the_files_decide(described, flag_model):
    model, mean = FlagAutoModel.from_finetuned(described), flag_model("bert", "mean")
    assert type(model) is FlagModel
    assert same(model.encode(TEXT), mean.encode(TEXT, max_length=9))
    assert same(model.encode_queries(TEXT), mean.encode(f"search: {TEXT}", max_length=9))
    assert same(model.encode_corpus(TEXT), mean.encode(f"answer: {TEXT}", max_length=9))


def test_the_caller_decides_otherwise(described, flag_model):
    model = FlagAutoModel.from_finetuned(
        described,
        pooling_method="last_token",
        query_instruction_for_retrieval="find",
        query_instruction_format="{}: {}",
        query_max_length=7,
        passage_max_length=8,
        passage_instruction_for_retrieval="",
    )
    last = flag_model("bert", "last_token")
    assert same(model.encode_queries(TEXT), last.encode(f"find: {TEXT}", max_length=7))
    assert same(model.encode_corpus(TEXT), last.encode(TEXT, max_length=8))


def test_no_instruction_when_the_caller_wants_none(described, flag_model):
    model = FlagAutoModel.from_finetuned(described, query_instruction_for_retrieval="")
    assert same(model.encode_queries(TEXT), flag_model("bert", "mean").encode(TEXT, max_length=9))


@pytest.mark.parametrize("key", ["encoder-only-base", EmbedderModelClass.ENCODER_ONLY_BASE])
def test_a_model_class_replaces_the_class_only(described, flag_model, key):
    model = FlagAutoModel.from_finetuned(described, model_class=key)
    assert same(model.encode(TEXT), flag_model("bert", "mean").encode(TEXT, max_length=9))


def test_options_of_the_class_are_passed_on(described, flag_model):
    model = FlagAutoModel.from_finetuned(
        described, normalize_embeddings=False, batch_size=3, convert_to_numpy=False, truncate_dim=5, device="cpu"
    )
    assert (model.batch_size, model.truncate_dim, model.target_devices) == (3, 5, ["cpu"])
    assert tuple(model.encode(TEXT).shape) == (5,)
    assert FlagAutoModel.from_finetuned(described, use_bf16=True).model.dtype.itemsize == 2


def test_without_such_files_the_fallback_is_said_once(folder, flag_model, caplog):
    model = FlagAutoModel.from_finetuned(str(folder))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "assuming BaseEmbedder with pooling 'cls'" in caplog.text
    assert same(model.encode(TEXT), flag_model("bert", "cls").encode(TEXT))
