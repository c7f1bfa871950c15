"""Any texts, any options, any names: the right vectors, or one of our errors; never another one, never NaN."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from FlagEmbedding import FlagAutoModel, FlagAutoReranker, FlagLLMModel, FlagModel, FlagReranker
from FlagEmbedding.errors import FlagEmbeddingError, InputError

SPECIAL = ["[CLS]", "[SEP]", "[PAD]", "[MASK]", "[UNK]", "<s>", "</s>", "<pad>", "<mask>", "<unk>", "##ed", "▁", "Ġ"]
ODD = ["\0", "\x7f", "\x1b[2J", "\r\n", "\u202e", "\u200b", "\ufeff", "\uffff", "\U0010ffff", "e\u0301", "👩‍🔬", "{}"]

everything = st.text(st.characters(exclude_categories=()))  # lone surrogates among it
pieces = st.lists(st.sampled_from([*SPECIAL, *ODD, "river", "the ", " ", "東京"]) | everything, max_size=12).map(
    "".join
)
long = st.builds(
    lambda piece, times: piece * times, st.sampled_from(["x", "river ", "[SEP]", "\0", "é"]), st.just(3000)
)
a_text = everything | pieces | long

values = st.none() | st.booleans() | st.integers() | st.floats() | everything | st.binary(max_size=3)
anything = values | st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=2), values, max_size=2)


def is_valid(text):
    return not any("\ud800" <= character <= "\udfff" for character in text)


@pytest.fixture(scope="module")
def models(checkpoint, tiny, tmp_path_factory):
    root = tmp_path_factory.mktemp("properties")
    encoders = {kind: FlagModel(str(checkpoint(kind)), devices="cpu") for kind in ("bert", "xlm-roberta", "roberta")}
    decoder = FlagLLMModel(str(tiny.build_decoder(root / "decoder", "mistral")), devices="cpu")
    reranker = FlagReranker(str(tiny.build_classifier(root / "reranker", "bert")), devices="cpu")
    return {**encoders, "decoder": decoder, "reranker": reranker}


def check(model, texts, found):
    """Each is finite, of length 1, and what it is alone."""
    assert found.shape == (len(texts), 32)
    assert np.isfinite(found).all()
    if texts:
        assert np.abs(np.linalg.norm(found, axis=1) - 1).max() <= 1e-5
        assert np.abs(found - np.stack([model.encode(text) for text in texts])).max() <= 1e-5


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta", "roberta", "decoder"])
@settings(max_examples=60)
@given(texts=st.lists(a_text, max_size=6), batch_size=st.integers(1, 8))
@example(texts=["fine", "\ud800"], batch_size=1)
def test_texts(models, kind, texts, batch_size):
    model = models[kind]
    if all(map(is_valid, texts)):
        check(model, texts, model.encode(texts, batch_size=batch_size))
    else:
        with pytest.raises(InputError, match=r"sentences\[\d\] holds a lone surrogate"):
            model.encode(texts, batch_size=batch_size)


@settings(max_examples=60)
@given(pairs=st.lists(st.tuples(a_text, a_text), max_size=5), batch_size=st.integers(1, 8))
def test_pairs(models, pairs, batch_size):
    model = models["reranker"]
    if all(is_valid(text) for pair in pairs for text in pair):
        scores = model.compute_score(pairs, batch_size=batch_size)
        assert len(scores) == len(pairs)
        alone = [model.compute_score(pair)[0] for pair in pairs]
        assert np.allclose(scores, alone, rtol=0, atol=1e-5)
    else:
        with pytest.raises(InputError, match=r"sentence_pairs\[\d\]\[\d\] holds a lone surrogate"):
            model.compute_score(pairs, batch_size=batch_size)


@pytest.mark.parametrize("method", ["encode", "encode_queries", "encode_corpus"])
@settings(max_examples=40)
@given(texts=anything)
def test_what_may_be_no_text(models, method, texts):
    with contextlib.suppress(FlagEmbeddingError):
        found = getattr(models["bert"], method)(texts)
        assert np.isfinite(found).all()
        assert found.shape == ((32,) if isinstance(texts, str) else (len(texts), 32))


@settings(max_examples=40)
@given(pairs=anything | st.lists(st.lists(values, max_size=3), max_size=3))
def test_what_may_be_no_pair(models, pairs):
    with contextlib.suppress(FlagEmbeddingError):
        assert np.isfinite(models["reranker"].compute_score(pairs)).all()


CALL = ("batch_size", "max_length", "truncate_dim", "instruction", "instruction_format", "convert_to_numpy", "nonsense")


@pytest.mark.parametrize("option", CALL)
@settings(max_examples=40)
@given(value=anything)
@example(value="\ud800")
@example(value="{}\ud800{}")
@example(value=10**30)
@example(value=2)
def test_options_of_a_call(models, option, value):
    with contextlib.suppress(FlagEmbeddingError):
        options = {"instruction": "q: ", option: value}
        found = models["bert"].encode(["the river", ""], **options)
        assert np.isfinite(np.asarray(found)).all()
        assert len(found) == 2


CONSTRUCTOR = (
    *("normalize_embeddings", "use_fp16", "query_instruction_for_retrieval", "query_instruction_format", "devices"),
    *("batch_size", "query_max_length", "passage_max_length", "truncate_dim", "pooling_method", "lower_case"),
    *("default_instruction", "attn_implementation", "device", "modules", "model_class", "trust_remote_code"),
)


@pytest.mark.parametrize("option", CONSTRUCTOR)
@settings(max_examples=12)
@given(value=anything)
@example(value="\ud800")
@example(value="cuda:99999999999999999999")
@example(value=-1)
@example(value="mean+")
def test_options_of_the_constructor(checkpoint, option, value):
    with contextlib.suppress(FlagEmbeddingError):
        options = {option: value} if option == "device" else {"devices": "cpu", option: value}
        model = FlagAutoModel.from_finetuned(str(checkpoint("bert")), **options)
        for method in (model.encode, model.encode_queries):
            assert np.isfinite(method(["the river", "", "one of the more"])).all()


LOADERS = [FlagAutoModel.from_finetuned, FlagAutoReranker.from_finetuned, FlagModel, FlagReranker]


@pytest.mark.parametrize("load", LOADERS)
@settings(max_examples=30)
@given(name=anything | a_text | pieces.map(lambda text: f"acme/{text}") | pieces.map(lambda text: f"/{text}"))
@example(name="a" * 5000)
@example(name="/" + "a" * 5000)
@example(name="acme/a\0b")
@example(name="\ud800")
@example(name="~nobody/model")
def test_names(load, name):
    with pytest.raises(FlagEmbeddingError):
        load(name)
