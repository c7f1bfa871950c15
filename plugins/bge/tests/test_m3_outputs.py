"""The three outputs are those of plain transformers: one text at a time, no padding, heads applied by hand."""

from __future__ import annotations

import json
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flagembedding_bge.m3 import M3Embedder
from flagembedding_bge.m3_outputs import unused_tokens

ALL = {"return_dense": True, "return_sparse": True, "return_colbert_vecs": True}
KEYS = ["dense_vecs", "lexical_weights", "colbert_vecs"]
TOLERANCE = 1e-5

TEXTS = [
    "The question in the garden window, and all of the answer.",
    "river river river stone river",
    "",
    "one of the </s> and <pad> tokens <s> in <unk> a text",
    "zürich naïve straße москва 東京 北京 👩‍🔬 ☃",
    "search engine learning machine " * 30,  # more than the model has positions for
    "unbelievablylongword" * 40,
]


def assert_vectors(found, expected):
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= TOLERANCE


def assert_weights(found, expected):
    """A weight within rounding of 0 may be there or not."""
    assert all(isinstance(weight, np.float32) and weight > 0 for weight in found.values())
    for token in found.keys() | expected.keys():
        assert found.get(token, 0) == pytest.approx(expected.get(token, 0), abs=TOLERANCE)


def assert_same(found, reference, texts, max_length=64):
    assert list(found) == KEYS
    assert [len(found[key]) for key in KEYS] == [len(texts)] * 3
    for row, text in enumerate(texts):
        assert_vectors(found["dense_vecs"][row], reference.dense(text, max_length))
        assert_weights(found["lexical_weights"][row], reference.lexical(text, max_length))
        assert_vectors(found["colbert_vecs"][row], reference.multi(text, max_length))


@pytest.mark.parametrize("method", ["encode", "encode_queries", "encode_corpus"])
@pytest.mark.parametrize("batch_size", [1, 2, 256])
def test_all_outputs(m3, m3_reference, method, batch_size):
    assert_same(getattr(m3, method)(TEXTS, batch_size=batch_size, **ALL), m3_reference, TEXTS)


def test_the_checkpoint_tests_something(m3_reference):
    weights = [m3_reference.lexical(text) for text in TEXTS]
    assert sum(map(bool, weights)) >= 3
    assert any(
        len(found) < len(set(m3_reference.ids(text)) - {0, 2}) for text, found in zip(TEXTS, weights, strict=True)
    )


@pytest.mark.parametrize("length", [3, 17, 64, 8192])
def test_any_length_up_to_what_the_model_has_positions_for(m3, m3_reference, length):
    assert_same(m3.encode(TEXTS, max_length=length, **ALL), m3_reference, TEXTS, min(length, 64))


def test_query_and_passage_lengths(m3_checkpoint, m3_reference):
    model = M3Embedder(str(m3_checkpoint), devices="cpu", query_max_length=5, passage_max_length=9)
    assert_same(model.encode_queries(TEXTS, **ALL), m3_reference, TEXTS, 5)
    assert_same(model.encode_corpus(TEXTS, **ALL), m3_reference, TEXTS, 9)
    assert_same(model.encode(TEXTS, **ALL), m3_reference, TEXTS, 9)


@given(st.permutations(range(len(TEXTS))), st.integers(1, 8))
@settings(max_examples=15)
def test_order_and_batch_size_do_not_matter(m3, m3_reference, order, batch_size):
    texts = [TEXTS[index] for index in order]
    assert_same(m3.encode(texts, batch_size=batch_size, **ALL), m3_reference, texts)


@given(st.lists(st.text(max_size=30), max_size=4))
@settings(max_examples=30)
def test_any_texts(m3, m3_reference, texts):
    assert_same(m3.encode(texts, **ALL), m3_reference, texts)


@pytest.mark.parametrize("method", ["encode", "encode_queries", "encode_corpus"])
def test_one_text_gives_the_objects_themselves(m3, m3_reference, method):
    found = getattr(m3, method)(np.str_(TEXTS[0]), **ALL)
    assert_vectors(found["dense_vecs"], m3_reference.dense(TEXTS[0]))
    assert_weights(found["lexical_weights"], m3_reference.lexical(TEXTS[0]))
    assert_vectors(found["colbert_vecs"], m3_reference.multi(TEXTS[0]))


def test_no_texts(m3):
    found = m3.encode([], **ALL)
    assert found["dense_vecs"].shape == (0, 32)
    assert found["dense_vecs"].dtype == np.float32
    assert found["lexical_weights"] == found["colbert_vecs"] == []


def test_no_row_for_the_first_token_nor_for_padding(m3, m3_reference):
    found = m3.encode(TEXTS, return_colbert_vecs=True)["colbert_vecs"]
    assert [len(rows) for rows in found] == [len(m3_reference.ids(text)) - 1 for text in TEXTS]


@pytest.mark.parametrize("asked", KEYS)
@pytest.mark.parametrize("texts", [TEXTS, TEXTS[0]], ids=["list", "str"])
def test_keys_stay_with_none_when_not_asked_for(m3, asked, texts):
    options = dict(zip(ALL, [key == asked for key in KEYS], strict=True))
    found = m3.encode(texts, **options)
    assert list(found) == KEYS
    assert [key for key in KEYS if found[key] is not None] == [asked]


def test_dense_alone_by_default(m3):
    assert [m3.encode(TEXTS[0])[key] is None for key in KEYS] == [False, True, True]


@pytest.mark.parametrize("method", ["encode", "encode_queries", "encode_corpus"])
def test_the_constructor_sets_what_is_given_by_default(m3_checkpoint, method):
    model = M3Embedder(str(m3_checkpoint), devices="cpu", return_dense=False, return_sparse=True)
    encode = getattr(model, method)
    assert [encode(TEXTS)[key] is None for key in KEYS] == [True, False, True]
    assert [encode(TEXTS, 2, 20, True, False, True)[key] is None for key in KEYS] == [False, True, False]


def test_one_forward_for_all_kinds(m3_checkpoint):
    model = M3Embedder(str(m3_checkpoint), devices="cpu")
    calls = []
    model.model.model.register_forward_hook(lambda *_: calls.append(1))
    model.encode(TEXTS, batch_size=4, **ALL)
    assert len(calls) == 2


def test_lexical_weights_go_into_json_through_float(m3):
    weights = m3.encode(TEXTS[0], return_sparse=True)["lexical_weights"]
    text = json.dumps({token: float(weight) for token, weight in weights.items()})
    assert json.loads(text).keys() == weights.keys()
    assert all(token.isdecimal() for token in weights)


def test_special_tokens_have_no_weight_wherever_they_stand(tiny, m3_folder):
    head = torch.load(m3_folder / "sparse_linear.pt", weights_only=True)
    torch.save({**head, "bias": torch.tensor([1000.0])}, m3_folder / "sparse_linear.pt")
    model = M3Embedder(str(m3_folder), devices="cpu")
    found = model.encode(TEXTS, return_sparse=True)["lexical_weights"]
    assert not {"0", "1", "2", "3"} & set().union(*found)
    tokenizer = tiny.Reference(m3_folder).tokenizer
    expected = set(map(str, tokenizer(TEXTS[0])["input_ids"])) - {"0", "1", "2", "3"}
    assert set(found[0]) == expected  # everything else has, and "the" once only


def test_every_special_token_is_unused_but_the_mask():
    names = ["bos_token_id", "cls_token_id", "eos_token_id", "sep_token_id", "pad_token_id", "unk_token_id"]
    tokenizer = SimpleNamespace(**{name: index for index, name in enumerate(names)}, mask_token_id=6)
    assert unused_tokens(tokenizer) == set(range(6))
    tokenizer.eos_token_id = None
    assert unused_tokens(tokenizer) == {0, 1, 3, 4, 5}


def test_half_precision_head_files_are_computed_in_float32(m3_folder):
    for name in ("sparse_linear.pt", "colbert_linear.pt"):
        head = torch.load(m3_folder / name, weights_only=True)
        torch.save({key: value.half() for key, value in head.items()}, m3_folder / name)
    model = M3Embedder(str(m3_folder), devices="cpu", use_bf16=True)
    assert {weight.dtype for weight in model.model.colbert_linear.parameters()} == {torch.float32}
    assert {weight.dtype for weight in model.model.sparse_linear.parameters()} == {torch.float32}
    assert {weight.dtype for weight in model.model.model.parameters()} == {torch.bfloat16}
    found = model.encode(TEXTS, **ALL)
    assert found["dense_vecs"].dtype == found["colbert_vecs"][0].dtype == np.float32


def test_without_normalising(m3_checkpoint, m3_reference):
    found = M3Embedder(str(m3_checkpoint), False, devices="cpu").encode(TEXTS[0], **ALL)
    assert np.allclose(found["dense_vecs"], m3_reference.backbone.pooled(TEXTS[0]), atol=1e-4)
    assert np.allclose(found["colbert_vecs"], m3_reference.multi(TEXTS[0], normalize=False), atol=1e-4)


def test_truncated_vectors_have_length_1(m3, m3_checkpoint, m3_reference):
    model = M3Embedder(str(m3_checkpoint), devices="cpu", truncate_dim=8)
    for found in (model.encode(TEXTS[0], **ALL), m3.encode(TEXTS[0], truncate_dim=8, **ALL)):
        dense = m3_reference.dense(TEXTS[0])[:8]
        assert_vectors(found["dense_vecs"], dense / np.linalg.norm(dense))
        assert_vectors(found["colbert_vecs"], m3_reference.multi(TEXTS[0], width=8))
        assert_weights(found["lexical_weights"], m3_reference.lexical(TEXTS[0]))


def test_torch_instead_of_numpy(m3, m3_reference):
    for found in (
        m3.encode(TEXTS, convert_to_numpy=False, **ALL),
        m3.encode_corpus(TEXTS, convert_to_numpy=False, **ALL),
    ):
        assert isinstance(found["dense_vecs"], torch.Tensor)
        assert_vectors(found["colbert_vecs"][0].numpy(), m3_reference.multi(TEXTS[0]))


def test_a_text_does_not_keep_its_batch_alive(m3):
    rows = m3.encode(TEXTS, return_colbert_vecs=True, convert_to_numpy=False)["colbert_vecs"][2]
    assert rows.untyped_storage().nbytes() == rows.numel() * 4


def test_query_instruction(m3_checkpoint, m3_reference):
    model = M3Embedder(
        str(m3_checkpoint),
        devices="cpu",
        query_instruction_for_retrieval="question",
        query_instruction_format="{}: {}",
    )
    texts = TEXTS[:2]
    assert_same(model.encode_queries(texts, **ALL), m3_reference, [f"question: {text}" for text in texts])
    assert_same(model.encode_corpus(texts, **ALL), m3_reference, texts)
    assert_same(
        model.encode(texts, instruction="question", instruction_format="{}: {}", **ALL),
        m3_reference,
        [f"question: {text}" for text in texts],
    )


def test_an_overridden_encode_single_device_is_what_runs(m3_checkpoint):
    class Loud(M3Embedder):
        def encode_single_device(self, sentences, **kwargs):
            return super().encode_single_device([text.upper() for text in sentences], **kwargs)

    plain, loud = M3Embedder(str(m3_checkpoint), devices="cpu"), Loud(str(m3_checkpoint), devices="cpu")
    assert np.array_equal(loud.encode("river")["dense_vecs"], plain.encode("RIVER")["dense_vecs"])


def test_a_pickled_model_gives_the_same(m3, m3_reference):
    copy = pickle.loads(pickle.dumps(m3))
    assert_same(copy.encode(TEXTS, **ALL), m3_reference, TEXTS)
