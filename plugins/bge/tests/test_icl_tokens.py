"""QueryTokenizer against the tokenizer's own ids of the whole string."""

from __future__ import annotations

import functools

import pytest
import test_icl_checkpoints as icl
import transformers
from hypothesis import example, given, settings
from hypothesis import strategies as st

from FlagEmbedding.errors import OptionError
from flagembedding_bge.icl_tokens import QueryTokenizer

PREFIX = icl.query_text("", icl.EXAMPLES, None).removesuffix("\n<response>")
SUFFIX = "\n<response>"
TEXT = st.text("the rivsw ?\n\t.,é日<>", max_size=40)
quick = settings(deadline=None, derandomize=True, database=None, max_examples=100)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    def build(kind):
        folder = icl.build(tmp_path_factory.mktemp("tokens") / kind, kind)
        return transformers.AutoTokenizer.from_pretrained(folder)

    return functools.cache(build)


def whole(tokenizer, text, prefix=PREFIX, suffix=SUFFIX):
    return tokenizer(prefix + text + suffix)["input_ids"]


@pytest.mark.parametrize("kind", icl.KINDS)
def test_ids_are_those_of_the_whole_string(kind, plain):
    tokenizer = plain(kind)
    queries = QueryTokenizer(tokenizer, PREFIX, SUFFIX, None)

    @quick
    @given(st.lists(TEXT, min_size=1, max_size=3))
    @example(["the river?"])  # "?\n" is one token of the byte pairs
    def check(texts):
        tokens = queries(texts, 10_000)
        assert tokens.rows == [whole(tokenizer, text) for text in texts]
        assert tokens.cut == 0

    check()


@pytest.mark.parametrize("kind", icl.KINDS)
def test_a_cut_query_is_a_beginning_of_it(kind, plain):
    """Its ids are those of the whole string with a beginning of the query, and within the bounds."""
    tokenizer = plain(kind)
    queries = QueryTokenizer(tokenizer, PREFIX, SUFFIX, None)
    prefix = len(tokenizer(PREFIX, add_special_tokens=False)["input_ids"])
    overhead = tokenizer.num_special_tokens_to_add() + len(tokenizer(SUFFIX, add_special_tokens=False)["input_ids"])

    @quick
    @given(TEXT, st.integers(1, 12))
    @example("日本日本日本", 1)  # one character is three bytes, each a token
    @example("日本日本日本", 4)
    @example("the   \n\n  \n", 3)
    def check(text, room):
        (ids,) = queries([text], overhead + room).rows
        kept = next(text[:end] for end in range(len(text), -1, -1) if whole(tokenizer, text[:end]) == ids)
        alone = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert len(ids) <= prefix + overhead + room
        assert (kept == text) or len(alone) > room or len(whole(tokenizer, text)) > prefix + overhead + room
        # At most one token is given up beside those that do not fit, or the bytes of one character.
        assert kept == text or len(tokenizer(kept, add_special_tokens=False)["input_ids"]) >= room - 2

    check()


@pytest.mark.parametrize("kind", icl.KINDS)
def test_first_and_last_token_stay(kind, plain):
    tokenizer = plain(kind)
    ids = QueryTokenizer(tokenizer, PREFIX, SUFFIX, None)(["river " * 100], 20).rows[0]
    assert ids[-1] == tokenizer.eos_token_id
    assert kind == "qwen2" or ids[0] == tokenizer.bos_token_id
    text = tokenizer.decode(ids, skip_special_tokens=False)
    assert text.count("<response>") == len(icl.EXAMPLES) + 1
    assert text.count("<query>") == len(icl.EXAMPLES)


def test_the_space_before_a_dropped_word_is_dropped(plain):
    tokenizer = plain("mistral")
    queries = QueryTokenizer(tokenizer, "", SUFFIX, None)
    overhead = 2 + len(tokenizer(SUFFIX, add_special_tokens=False)["input_ids"])
    one = len(tokenizer("the", add_special_tokens=False)["input_ids"])
    tokens = queries(["the river", "the"], overhead + one)
    assert tokens.rows[0] == tokens.rows[1] == whole(tokenizer, "the", "")
    assert tokens.cut == 1


def test_the_limit_of_the_model_counts_the_prefix(plain):
    tokenizer = plain("mistral")
    length = len(whole(tokenizer, "river"))
    assert len(QueryTokenizer(tokenizer, PREFIX, SUFFIX, length + 4)(["river " * 100], 8192).rows[0]) <= length + 4
    assert len(QueryTokenizer(tokenizer, PREFIX, SUFFIX, None)(["river " * 100], 8192).rows[0]) > length + 4


def test_growth_beside_the_suffix_stays_within_the_bounds(plain):
    """``ca`` and ``lo`` are a token each, ``calo`` is three: ``c al o``."""
    from tokenizers import Tokenizer, models  # noqa: PLC0415

    tokens = ["a", "c", "l", "o", "al", "ca", "lo"]
    merges = [("a", "l"), ("c", "a"), ("l", "o")]
    backend = Tokenizer(models.BPE({token: index for index, token in enumerate(tokens)}, merges))
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=backend)
    queries = QueryTokenizer(tokenizer, "", "lo", None)
    assert [len(backend.encode(text)) for text in ("ca", "lo", "calo")] == [1, 1, 3]
    assert queries(["ca"], 3).rows == [[backend.token_to_id(token) for token in ("c", "al", "o")]]
    short = queries(["ca"], 2)
    assert [backend.id_to_token(index) for index in short.rows[0]] == ["c", "lo"]


@pytest.mark.parametrize(
    ("limit", "max_length", "message"),
    [
        (None, 4, "max_length=4 also holds the suffix and special tokens .* any number of positions"),
        (60, 512, "the model has 60 positions, of which the examples take"),
    ],
)
def test_no_room(limit, max_length, message, plain):
    queries = QueryTokenizer(plain("mistral"), PREFIX, SUFFIX, limit)
    with pytest.raises(OptionError, match=message):
        queries(["river"], max_length)
