"""How a pair is laid out for a language model: byte for byte, and cut as the published code cuts it."""

from __future__ import annotations

import logging

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from FlagEmbedding import FlagLLMReranker
from FlagEmbedding.errors import OptionError

PAIR = (
    "one of the more all can this",
    "river stone light seven garden window paper letter engine small answer question search vector",
)
QUERY, PASSAGE = map(str.split, PAIR)


class Seen:
    """The ids that a model is given, one list a row, without running it for long."""

    def __init__(self, model):
        self.model, self.rows = model, []
        model.model.base_model.register_forward_pre_hook(self._keep, with_kwargs=True)

    def _keep(self, _module, _inputs, options):
        lengths = options["attention_mask"].sum(dim=1).tolist()
        self.rows += [row[:length] for row, length in zip(options["input_ids"].tolist(), lengths, strict=True)]

    def __call__(self, pair, **options):
        self.rows.clear()
        self.model.compute_score(pair, **options)
        (row,) = self.rows
        return row


@pytest.fixture(scope="session")
def seen(language_model):
    """Of a model that begins its texts with ``<s>``, and of one that does not."""
    return {kind: Seen(FlagLLMReranker(str(language_model(kind)), devices="cpu")) for kind in ("mistral", "qwen2")}


KINDS = pytest.mark.parametrize("kind", ["mistral", "qwen2"])


@KINDS
def test_the_layout_in_words(seen, plain_llm, kind):
    found = plain_llm(kind).tokenizer.decode(seen[kind](("where?", "there.")))
    assert found == ("<s>" if kind == "mistral" else "") + (
        "A: where?\nB: there.\nGiven a query A and a passage B, determine whether the passage contains an answer to "
        "the query by providing a prediction of either 'Yes' or 'No'."
    )


@KINDS
@pytest.mark.parametrize("pair", [("", ""), (" ", "\n"), ("<s>river", "stone</s>"), ("zürich", "東京 👩‍🔬")])
def test_each_part_is_tokenised_alone(seen, plain_llm, kind, pair):
    query, passage = pair
    assert seen[kind](pair) == plain_llm(kind).pair(f"A: {query}", f"B: {passage}")


@KINDS
@given(
    query=st.integers(0, 12),
    passage=st.integers(1, 30),
    max_length=st.integers(4, 40),
    query_max_length=st.integers(1, 12) | st.none(),
    prompt=st.sampled_from(["", "?", "Yes or no?", None]),
)
def test_it_is_cut_as_in_the_published_code(
    seen, plain_llm, kind, query, passage, max_length, query_max_length, prompt
):
    """The prompt and the line break before it come on top of max_length, and count once more as room."""
    pair = (" ".join(QUERY * 2)[: 4 * query], " ".join(PASSAGE * 3)[: 6 * passage])
    limit = max_length * 3 // 4 if query_max_length is None else query_max_length
    plain, asked = plain_llm(kind), {} if prompt is None else {"prompt": prompt}
    room = max_length + len(plain.ids("\n")) + len(plain.ids(prompt or "")) - (kind == "mistral") - 1
    hypothesis.assume(prompt is None or room > min(limit, len(plain.ids(f"A: {pair[0]}"))))  # beyond it that code fails
    found = seen[kind](pair, max_length=max_length, query_max_length=query_max_length, **asked)
    assert found == plain.pair(f"A: {pair[0]}", f"B: {pair[1]}", max_length=max_length, query_max_length=limit, **asked)


@KINDS
@pytest.mark.parametrize(("prompt", "passage"), [("", {"mistral": 2, "qwen2": 3}), ("?", {"mistral": 3, "qwen2": 4})])
def test_a_pair_in_numbers(seen, plain_llm, kind, prompt, passage):
    """Of 12 tokens, nine are the query's; ``<s>`` and the line break count, and the end of the prompt makes room."""
    plain = plain_llm(kind)
    first, second = (plain.ids(f"{name}: {' '.join(words * 5)}") for name, words in (("A", QUERY), ("B", PASSAGE)))
    found = seen[kind]((" ".join(QUERY * 5), " ".join(PASSAGE * 5)), max_length=12, prompt=prompt)
    start = plain.ids("<s>") if kind == "mistral" else []
    line = plain.ids("\n")
    assert found == [*start, *first[:9], *line, *second[: passage[kind]], *line, *plain.ids(prompt)]


@KINDS
@pytest.mark.parametrize("prompt", ["Yes?", "", "Does B answer A?\nSay 'Yes' or 'No': "])
@pytest.mark.parametrize("where", ["constructor", "call"])
def test_a_prompt(language_model, plain_llm, kind, prompt, where):
    option = {"prompt": prompt}
    model = FlagLLMReranker(str(language_model(kind)), **(option if where == "constructor" else {"prompt": "never"}))
    found = Seen(model)(("river", "stone"), **(option if where == "call" else {}))
    assert found == plain_llm(kind).pair("A: river", "B: stone", prompt=prompt)


def test_a_call_without_a_prompt_has_the_models(language_model, plain_llm):
    model = FlagLLMReranker(str(language_model("qwen2")), prompt="Well?")
    found = Seen(model)(("river", "stone"), prompt=None)
    assert found == plain_llm("qwen2").pair("A: river", "B: stone", prompt="Well?")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"query_instruction_for_rerank": None}, ("river", "B: stone")),
        ({"passage_instruction_for_rerank": ""}, ("A: river", "stone")),
        ({"query_instruction_for_rerank": "Q", "query_instruction_format": r"{}:\n{}"}, ("Q:\nriver", "B: stone")),
        ({"passage_instruction_for_rerank": "P", "passage_instruction_format": "<{}>{}"}, ("A: river", "<P>stone")),
    ],
)
def test_other_instructions(language_model, plain_llm, options, expected):
    model = FlagLLMReranker(str(language_model("qwen2")), **options)
    assert Seen(model)(("river", "stone")) == plain_llm("qwen2").pair(*expected)


def test_a_first_token_that_is_also_the_padding_token_is_no_start(tiny, tmp_path, plain_llm):
    folder = tiny.build_language_model(tmp_path / "model", "mistral")
    tiny.change_json(folder / "tokenizer_config.json", pad_token="<s>")
    found = Seen(FlagLLMReranker(str(folder)))(("river", "stone"))
    assert found == plain_llm("mistral").pair("A: river", "B: stone")[1:]


@pytest.mark.parametrize("kind", ["mistral", "gpt2", "opt"])
@pytest.mark.parametrize("max_length", [None, 512, 10_000])
def test_never_more_than_the_model_has_positions_for(language_model, plain_llm, kind, max_length):
    """With the prompt whole: it is the passage that gives way."""
    found = Seen(FlagLLMReranker(str(language_model(kind))))(("river", "stone " * 900), max_length=max_length)
    whole = plain_llm(kind).pair("A: river", "B: " + "stone " * 900)
    prompt = plain_llm(kind).pair("", "")[2:]
    assert len(found) == 512
    assert found == [*whole[: 512 - len(prompt)], *prompt]


def test_a_long_query_leaves_a_token_of_the_passage(seen, plain_llm):
    plain = plain_llm("qwen2")
    found = seen["qwen2"]((" ".join(QUERY) * 99, "stone"), max_length=512, query_max_length=1000)
    end = [*plain.ids("\n"), *plain.ids("B: stone")[:1], *plain.pair("", "")[1:]]
    assert len(found) == 512
    assert found[-len(end) :] == end


def test_a_prompt_that_leaves_no_room(llm_reranker):
    with pytest.raises(OptionError, match=r"^max_length=512 leaves no room for a query and a passage: \d+ tokens are"):
        llm_reranker("qwen2").compute_score(("river", "stone"), prompt="question " * 600)


def test_how_many_pairs_were_cut_is_said_once(llm_reranker, caplog):
    caplog.set_level(logging.INFO, "FlagEmbedding")
    pairs = [("river " * 30, "stone"), ("river", "stone"), ("river", "stone " * 300)]
    llm_reranker("qwen2").compute_score(pairs, max_length=20)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("2 of 3 ")
    assert line.endswith("pairs were cut to 20 tokens")
