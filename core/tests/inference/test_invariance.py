"""A text has one vector, whatever it is encoded with and however."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

PASSAGE = "the river of stone, light seven garden. window paper (letter) zürich 東京 [SEP] <pad> q"
WORDS = PASSAGE.split()

# Up to some 150 tokens, so that many a text is cut; and every now and then not words at all.
a_text = st.lists(st.sampled_from(WORDS), max_size=120).map(" ".join) | st.text(
    st.characters(codec="utf-8"), max_size=80
)
some_texts = st.lists(a_text, min_size=1, max_size=12)

MODELS = pytest.mark.parametrize(
    ("model_type", "pooling"),
    [("bert", "cls"), ("xlm-roberta", "mean"), ("roberta", "cls"), ("mpnet", "mean"), ("modernbert", "last_token")],
)


def alone(model, texts):
    return np.stack([model.encode(text) for text in texts])


def distance(one, other):
    assert one.shape == other.shape
    return np.abs(one - other).max()


@MODELS
@settings(max_examples=20)
@given(texts=some_texts, batch_size=st.integers(1, 12), data=st.data())
def test_company_batch_size_and_order(flag_model, model_type, pooling, texts, batch_size, data):
    model = flag_model(model_type, pooling)
    order = data.draw(st.permutations(range(len(texts))))
    together = model.encode([texts[index] for index in order], batch_size=batch_size)
    assert distance(together, alone(model, texts)[order]) <= 1e-5


@MODELS
@settings(max_examples=15)
@given(texts=some_texts, copies=st.integers(2, 40), data=st.data())
def test_duplicates(flag_model, model_type, pooling, texts, copies, data):
    model = flag_model(model_type, pooling)
    place = data.draw(st.integers(0, len(texts)))
    found = model.encode([*texts[:place], *[texts[0]] * copies, *texts[place:]])
    expected = np.stack([model.encode(texts[0])] * copies)
    assert distance(found[place : place + copies], expected) <= 1e-5
    assert distance(np.delete(found, range(place, place + copies), axis=0), alone(model, texts)) <= 1e-5


@MODELS
@settings(max_examples=10)
@given(text=a_text, length=st.integers(3, 70), others=some_texts)
def test_company_at_any_length(flag_model, model_type, pooling, text, length, others):
    model = flag_model(model_type, pooling)
    found = model.encode([*others, text], max_length=length)[-1]
    assert distance(found, model.encode(text, max_length=length)) <= 1e-5


@pytest.fixture
def restored_threads():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@MODELS
@pytest.mark.usefixtures("restored_threads")
def test_torchs_threads(flag_model, model_type, pooling):
    texts = [" ".join(WORDS[:length]) * repeats for length in range(1, len(WORDS)) for repeats in (1, 5)]
    vectors = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        vectors.append(flag_model(model_type, pooling).encode(texts))
    assert max(distance(vectors[0], other) for other in vectors[1:]) <= 1e-5


def test_hundreds_of_texts_come_back_in_their_order(bert):
    """More than one batch at any setting, lengths up and down."""
    texts = [" ".join(WORDS[(index * 7 + word) % len(WORDS)] for word in range(index % 23)) for index in range(150)]
    expected = alone(bert, texts)
    for batch_size in (1, 7, 256):
        assert distance(bert.encode(texts, batch_size=batch_size), expected) <= 1e-5


def test_the_callers_tokenizer_changes_nothing(bert):
    texts = ["the river", "the garden window, and all of the letter " * 5]
    before = bert.encode(texts)
    bert.tokenizer(texts, padding="max_length", truncation=True, max_length=5)
    bert.tokenizer.truncation_side = "left"
    assert bert.encode(texts).tolist() == before.tolist()


def test_threads_that_share_a_model(bert):
    """Long texts cut short: most of the time goes to the tokenizer, where threads could meet."""
    texts = [" ".join(WORDS[:length]) * 100 for length in range(1, len(WORDS))]
    lengths = [3, 4, 5, 6, 7, 8, 9, 10]
    expected = {length: bert.encode(texts, max_length=length) for length in lengths}
    together = threading.Barrier(len(lengths))

    def encode(length):
        together.wait()
        return max(distance(bert.encode(texts, max_length=length), expected[length]) for _ in range(5))

    with ThreadPoolExecutor(len(lengths)) as pool:
        assert max(pool.map(encode, lengths)) <= 1e-5
