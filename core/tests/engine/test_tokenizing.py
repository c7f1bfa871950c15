from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, processors
from transformers import AutoTokenizer

from FlagEmbedding.engine.tokenizing import TextTokenizer, bare_backend
from FlagEmbedding.errors import OptionError

TEXTS = [
    "",
    " ",
    "\t\n",
    "river",
    "The question in the garden window, and all of the answer.",
    "a [SEP] b [CLS] c [PAD] d [MASK] e [UNK] f",
    "<s> the </s> river <pad> stone <mask><mask>",
    "[SEP]" * 30,
    "zürich naïve straße москва 東京 北京 👩‍🔬 \0 \u200b",
    "unbelievablylongword" * 20,
    "one " * 200,
]


@pytest.fixture
def load(checkpoint, model_type):
    """Another tokenizer at each call, so that no settings are shared."""
    return lambda **settings: AutoTokenizer.from_pretrained(checkpoint(model_type), **settings)


@pytest.fixture
def bert(checkpoint):
    return AutoTokenizer.from_pretrained(checkpoint("bert"))


@pytest.mark.parametrize("side", ["left", "right"])
def test_cuts_exactly_as_transformers_does(load, side):
    ours, theirs = TextTokenizer(load(truncation_side=side)), load(truncation_side=side)
    for length in [*range(3, 20), 33, 64, 500]:
        expected = [theirs(text, truncation=True, max_length=length)["input_ids"] for text in TEXTS]
        assert ours(TEXTS, length).rows == expected


@pytest.mark.parametrize("template", ["$A [SEP]", "[CLS] $A", "$A", "[CLS] [CLS] $A [SEP] [SEP] [MASK]"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_any_frame_of_special_tokens_stays_whole(checkpoint, template, side):
    ours, theirs = (AutoTokenizer.from_pretrained(checkpoint("bert"), truncation_side=side) for _ in range(2))
    special = [(token, ours.convert_tokens_to_ids(token)) for token in ("[CLS]", "[SEP]", "[MASK]")]
    for tokenizer in (ours, theirs):
        tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single=template, pair=f"{template} $B", special_tokens=special
        )
    encode = TextTokenizer(ours)
    for length in range(template.count("[") + 1, 12):
        expected = [theirs(text, truncation=True, max_length=length)["input_ids"] for text in TEXTS]
        assert encode(TEXTS, length).rows == expected


@pytest.fixture(scope="module")
def pair(checkpoint):
    """Ours and transformers', from one folder but two objects."""
    folder = checkpoint("xlm-roberta")
    return TextTokenizer(AutoTokenizer.from_pretrained(folder)), AutoTokenizer.from_pretrained(folder)


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=60), max_size=5), st.integers(3, 30))
def test_any_text_and_length(pair, texts, length):
    ours, theirs = pair
    tokens = ours(texts, length)
    assert tokens.rows == [theirs(text, truncation=True, max_length=length)["input_ids"] for text in texts]
    assert tokens.cut == sum(len(theirs(text, truncation=False)["input_ids"]) > length for text in texts)


def test_the_texts_that_were_cut_are_counted(bert):
    texts = ["one", "one of", "one of the", "one of the more", ""]  # 3, 4, 5, 6 and 2 tokens
    tokens = [TextTokenizer(bert)(texts, length) for length in (6, 5, 4, 3)]
    assert [(one.cut, one.max_length) for one in tokens] == [(0, 6), (1, 5), (2, 4), (3, 3)]


@pytest.mark.parametrize(("truncate", "pad"), [(True, False), (False, True), (True, True)])
def test_settings_stored_in_the_file_do_not_count(folder, bert, truncate, pad):
    """MiniLM's ``tokenizer.json`` cuts at 128 tokens and pads to 128."""
    stored = Tokenizer.from_file(str(folder / "tokenizer.json"))
    if truncate:
        stored.enable_truncation(5)
    if pad:
        stored.enable_padding(length=20)
    stored.save(str(folder / "tokenizer.json"))
    ours = TextTokenizer(AutoTokenizer.from_pretrained(folder))
    assert ours(TEXTS, 12).rows == [bert(text, truncation=True, max_length=12)["input_ids"] for text in TEXTS]


def test_a_bare_backend_is_the_tokenizers_own_without_its_settings(bert):
    bert.backend_tokenizer.enable_truncation(5)
    bert.backend_tokenizer.enable_padding(length=20)
    backend = bare_backend(bert)
    assert (backend.truncation, backend.padding) == (None, None)
    assert backend.encode("one of the more garden windows").ids == bert("one of the more garden windows")["input_ids"]


@pytest.mark.parametrize("length", [2, 1])
def test_no_room_for_a_token_of_the_text(bert, length):
    with pytest.raises(OptionError, match=rf"^max_length={length} leaves no room: this tokenizer adds 2 special tok"):
        TextTokenizer(bert)(["river"], length)


def test_room_for_one_token_of_the_text(bert):
    expected = bert.convert_tokens_to_ids(["[CLS]", "river", "[SEP]"])
    assert TextTokenizer(bert)(["river stone"], 3).rows == [expected]


def test_no_texts(bert):
    tokens = TextTokenizer(bert)([], 5)
    assert (tokens.rows, tokens.cut) == ([], 0)


def test_threads_with_lengths_of_their_own(bert, checkpoint):
    """transformers' own call sets the length on the shared object: "Already borrowed", or another thread's length."""
    ours = TextTokenizer(bert)
    theirs = AutoTokenizer.from_pretrained(checkpoint("bert"))
    lengths = [3, 5, 8, 13, 21, 34, 55, 64]
    expected = {
        length: [theirs(text, truncation=True, max_length=length)["input_ids"] for text in TEXTS] for length in lengths
    }
    together = threading.Barrier(len(lengths))

    def encode(length):
        together.wait()
        return sum(ours(TEXTS, length).rows != expected[length] for _ in range(40))

    with ThreadPoolExecutor(len(lengths)) as pool:
        assert list(pool.map(encode, lengths)) == [0] * len(lengths)
