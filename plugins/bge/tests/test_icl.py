"""ICLLLMEmbedder against plain transformers: the whole string, one text at a time, no cache, no padding."""

from __future__ import annotations

import functools
import inspect
import logging

import numpy as np
import pytest
import test_icl_checkpoints as icl
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from FlagEmbedding.errors import ConfigError, InputError, OptionError
from flagembedding_bge.icl import ICLLLMEmbedder

TOLERANCE = 1e-5
ROUNDING = 1e-6  # of the same tokens in two calls: what they begin with may be computed apart
OTHERS = [{"instruct": "Find the letter.", "query": "who wrote it?", "response": "The small engine."}]
QUERIES = ["what is a stone?", "", " light  ", "why\n\nis the window seven?\n", "日本 naïve", "a" * 40, "</s> in it"]
PASSAGES = ["A stone is small.", "light", "The river of the garden.\n\n"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return functools.cache(lambda kind: icl.build(tmp_path_factory.mktemp("icl") / kind, kind))


@pytest.fixture(scope="module")
def reference(folder):
    return functools.cache(lambda kind: icl.Reference(folder(kind)))


@pytest.fixture
def load(folder):
    def load(kind="mistral", **options):
        return ICLLLMEmbedder(
            str(folder(kind)), devices="cpu", **{"query_instruction_for_retrieval": icl.INSTRUCTION, **options}
        )

    return load


def differ(vectors, expected):
    return np.abs(np.asarray(vectors, dtype=np.float64) - expected).max()


@pytest.mark.parametrize("kind", icl.KINDS)
def test_queries_with_examples(kind, load, reference):
    model = load(kind, examples_for_task=icl.EXAMPLES)
    texts = [icl.query_text(query) for query in QUERIES]
    assert differ(model.encode_queries(QUERIES), reference(kind).vectors(texts)) <= TOLERANCE


@pytest.mark.parametrize("kind", icl.KINDS)
@pytest.mark.parametrize("instruction", [None, "", "Find the letter."])
@pytest.mark.parametrize("examples", [None, icl.EXAMPLES])
def test_queries_with_other_instructions(kind, instruction, examples, load, reference):
    model = load(kind, examples_for_task=examples, query_instruction_for_retrieval=instruction)
    texts = [icl.query_text(query, examples or [], instruction) for query in QUERIES]
    assert differ(model.encode_queries(QUERIES), reference(kind).vectors(texts)) <= TOLERANCE


@pytest.mark.parametrize("kind", icl.KINDS)
@pytest.mark.parametrize("method", ["encode", "encode_corpus"])
def test_passages_are_taken_as_they_are(kind, method, load, reference):
    model = load(kind, examples_for_task=icl.EXAMPLES)
    assert differ(getattr(model, method)(PASSAGES), reference(kind).vectors(PASSAGES)) <= TOLERANCE


@functools.cache
def _shared(folder, kind):
    model = ICLLLMEmbedder(
        str(folder),
        devices="cpu",
        query_instruction_for_retrieval=icl.INSTRUCTION,
        examples_for_task=icl.EXAMPLES,
        suffix="\n<response>",
    )
    return model, icl.Reference(folder)


@pytest.mark.parametrize("kind", icl.KINDS)
def test_any_queries_in_any_batches(kind, folder):
    model, reference = _shared(folder(kind), kind)
    text = st.text("abc ?\n\t.é日<>", max_size=12) | st.sampled_from(QUERIES)

    @settings(deadline=None, derandomize=True, database=None, max_examples=10)
    @given(st.lists(text, min_size=1, max_size=6), st.integers(1, 7))
    def check(queries, batch_size):
        vectors = model.encode_queries(queries, batch_size=batch_size)
        assert differ(vectors, reference.vectors([icl.query_text(query) for query in queries])) <= TOLERANCE

    check()


def test_set_examples_counts_at_once(load, reference):
    model = load(examples_for_task=icl.EXAMPLES)
    for examples in (icl.EXAMPLES, OTHERS, [], icl.EXAMPLES[:1], None, OTHERS):
        model.set_examples(examples)
        vectors = model.encode_queries(QUERIES)
        texts = [icl.query_text(query, examples or []) for query in QUERIES]
        assert differ(vectors, reference("mistral").vectors(texts)) <= TOLERANCE
        assert model.examples_for_task == examples


def test_the_prefix_is_shown(load):
    model = load()
    assert model.prefix == ""
    model.set_examples(icl.EXAMPLES)
    assert icl.query_text("q", icl.EXAMPLES, None) == model.prefix + "q" + model.suffix
    model.set_examples()
    assert model.prefix == ""


def test_a_faulty_example_changes_nothing(load):
    model = load(examples_for_task=OTHERS)
    before = model.encode_queries(QUERIES), model.prefix
    with pytest.raises(OptionError):
        model.set_examples([{"query": 3}])
    assert (model.encode_queries(QUERIES) == before[0]).all()
    assert (model.prefix, model.examples_for_task) == (before[1], OTHERS)


def test_own_formats_and_suffix(load, reference):
    model = load(
        examples_for_task=OTHERS,
        examples_instruction_format=r"{}\n{} = {}",
        query_instruction_format=r"{}:\n{}",
        suffix="!",
    )
    prefix = "Find the letter.\nwho wrote it? = The small engine.\n\n"
    texts = [f"{prefix}{icl.INSTRUCTION}:\n{query}!" for query in QUERIES]
    assert differ(model.encode_queries(QUERIES), reference("mistral").vectors(texts)) <= TOLERANCE


def test_without_a_suffix(load, reference):
    model = load("qwen2", suffix="", query_instruction_for_retrieval=None)
    assert differ(model.encode_queries(["the river"]), reference("qwen2").vectors(["the river"])) <= TOLERANCE


@pytest.mark.parametrize("kind", icl.KINDS)
@pytest.mark.parametrize("max_length", [64, 40, 37])
def test_a_long_query_loses_its_end_alone(kind, max_length, load, reference, caplog):
    """What is kept is a beginning of the query, as many of its tokens as there is room for."""
    model = load(kind, examples_for_task=OTHERS, query_instruction_for_retrieval="Find it.")
    query = "what is the answer of a search? the river is a stone, seven gardens\n" * 5
    tokenizer = reference(kind).tokenizer
    asked = f"<instruct>Find it.\n<query>{query}"
    specials = tokenizer.num_special_tokens_to_add()
    room = max_length - specials - len(tokenizer("\n<response>", add_special_tokens=False)["input_ids"])
    offsets = tokenizer(asked, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    kept = asked[: offsets[room - 1][1]]
    expected = icl.query_text("", OTHERS, None).removesuffix("\n<response>") + kept + "\n<response>"
    with caplog.at_level(logging.INFO):
        vectors = model.encode_queries(["stone", query], max_length=max_length)
    short = icl.query_text("stone", OTHERS, "Find it.")
    assert differ(vectors, reference(kind).vectors([short, expected])) <= TOLERANCE
    assert f"1 of 2 different texts were cut to {max_length} tokens" in caplog.text


def test_query_max_length_is_the_default_for_queries_alone(load):
    model = load(query_max_length=50, passage_max_length=200)
    long = "the river " * 60
    assert differ(model.encode_queries([long]), model.encode_queries([long], max_length=50)) <= ROUNDING
    assert differ(model.encode_queries([long]), model.encode_queries([long], max_length=51)) > TOLERANCE
    assert differ(model.encode_corpus([long]), model.encode_corpus([long], max_length=200)) <= ROUNDING
    assert differ(model.encode([long]), model.encode([long], max_length=50)) > TOLERANCE


@pytest.mark.parametrize("max_length", [None, 512, 100_000])
def test_examples_and_query_share_the_positions(max_length, load):
    """A query without bounds is cut so that examples, query and suffix fit the model."""
    model = load(examples_for_task=icl.EXAMPLES, query_max_length=max_length)
    long, longer, short = ("stone garden " * count for count in (300, 450, 20))
    assert differ(model.encode_queries([long]), model.encode_queries([longer])) <= ROUNDING
    assert differ(model.encode_queries([long]), model.encode_queries([short])) > TOLERANCE


def test_examples_that_leave_no_room(load):
    model = load(examples_for_task=icl.EXAMPLES * 12)
    with pytest.raises(OptionError, match=r"has 512 positions, of which the examples take \d+\..*fewer or shorter"):
        model.encode_queries(["stone"])
    assert model.encode_corpus(["stone"]).shape == (1, 32)


def test_a_length_that_leaves_no_room(load):
    model = load()
    with pytest.raises(OptionError, match="max_length=5 also holds"):
        model.encode_queries(["stone"], max_length=5)
    assert model.encode_queries(["stone"], max_length=6).shape == (1, 32)


def test_shapes_and_types(load):
    model = load(examples_for_task=OTHERS)
    assert model.encode_queries("stone").shape == (32,)
    assert model.encode_queries([]).shape == (0, 32)
    rows = model.encode_queries(["stone", "light"], convert_to_numpy=False, truncate_dim=8)
    assert isinstance(rows, torch.Tensor)
    assert (rows.shape, rows.dtype) == ((2, 8), torch.float32)
    assert rows.norm(dim=1).tolist() == pytest.approx([1, 1])


def test_the_order_is_kept(load):
    model = load(examples_for_task=OTHERS)
    queries = ["stone " * (index % 5 + 1) + str(index) for index in range(12)]
    rows = model.encode_queries(queries, batch_size=3)
    alone = np.stack([model.encode_queries(query) for query in queries])
    assert differ(rows, alone) <= TOLERANCE


def test_on_one_device(load):
    """``encode_queries_single_device`` takes the queries raw, as the package on PyPI has it."""
    model = load(examples_for_task=OTHERS)
    rows = model.encode_queries_single_device(QUERIES, batch_size=2, device="cpu")
    assert differ(rows, model.encode_queries(QUERIES)) <= TOLERANCE


def test_after_a_move(load):
    model = load(examples_for_task=OTHERS)
    rows, passages = model.encode_queries(QUERIES), model.encode_corpus(PASSAGES)
    for _ in range(2):
        model._place("cpu", model._to_place())
        assert differ(model.encode_queries_single_device(QUERIES, device="cpu"), rows) <= TOLERANCE
    assert differ(model.encode_single_device(PASSAGES, device="cpu"), passages) <= TOLERANCE
    assert differ(model.encode_queries(QUERIES), rows) <= TOLERANCE


def test_the_keys_and_values_do_not_outlive_a_move(load):
    model = load(examples_for_task=OTHERS)
    model.encode_queries(QUERIES)
    before = vars(model)["_query_engine"]
    model.encode_queries(QUERIES)
    assert vars(model)["_query_engine"] is before
    model._place("cpu", model._to_place())
    model.encode_queries(QUERIES)
    assert vars(model)["_query_engine"] is not before


def test_the_examples_are_computed_once(load, reference, monkeypatch):
    model = load(examples_for_task=icl.EXAMPLES)
    packed, tokens = model._forward.packed, []
    body = packed.body
    monkeypatch.setattr(packed, "body", lambda ids, *rest: tokens.append(len(ids)) or body(ids, *rest))
    monkeypatch.setattr(packed, "_step", lambda _: 1)
    ids = [reference("mistral").tokenizer(icl.query_text(query))["input_ids"] for query in ("xxxx", "yy", "a b")]
    beginning = max(length for length in range(len(ids[0])) if ids[0][:length] == ids[1][:length])
    model.encode_queries(["xxxx", "yy"])
    model.encode_queries(["a b"])
    behind = [len(row) - beginning for row in ids]
    assert tokens == [beginning, behind[0] + behind[1], behind[2]]


def test_a_query_leaves_the_engine_of_passages_alone(load):
    model = load(examples_for_task=OTHERS)
    before = vars(model)["_engine"]
    model.encode_queries(QUERIES)
    assert vars(model)["_engine"] is before


def test_get_detailed_example():
    assert ICLLLMEmbedder.get_detailed_example(r"{}\n{}|{}", "i", "q", "r") == "i\nq|r"


def test_unnormalised(load):
    normal, raw = load(examples_for_task=OTHERS), load(examples_for_task=OTHERS, normalize_embeddings=False)
    vectors = raw.encode_queries(QUERIES)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    assert np.abs(norms - 1).min() > 0.01
    assert differ(normal.encode_queries(QUERIES), vectors / norms) <= TOLERANCE


def test_positional_arguments_are_in_the_order_of_the_package_on_pypi():
    names = list(inspect.signature(ICLLLMEmbedder).parameters)
    assert names[:18] == [
        "model_name_or_path",
        "normalize_embeddings",
        "use_fp16",
        "use_bf16",
        "query_instruction_for_retrieval",
        "query_instruction_format",
        "suffix",
        "devices",
        "examples_for_task",
        "examples_instruction_format",
        "trust_remote_code",
        "cache_dir",
        "batch_size",
        "query_max_length",
        "passage_max_length",
        "convert_to_numpy",
        "truncate_dim",
        "pooling_method",
    ]


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_another_pooling_is_refused(pooling, load):
    with pytest.raises(OptionError, match=f"'last_token' for this class, not '{pooling}'"):
        load(pooling_method=pooling)


def test_a_suffix_that_is_no_text(load):
    with pytest.raises(OptionError, match="suffix must be a string, not 3"):
        load(suffix=3)


def test_faults_show_before_the_weights_are_read():
    with pytest.raises(OptionError, match=r"examples_for_task\[0\]"):
        ICLLLMEmbedder("no/such/folder", examples_for_task=[3])
    with pytest.raises(ConfigError, match="examples_instruction_format"):
        ICLLLMEmbedder("no/such/folder", examples_instruction_format="{}{}")


def test_unknown_options(load):
    with pytest.raises(OptionError, match=r"'example_for_task'\. Did you mean 'examples_for_task'"):
        load(example_for_task=[])
    with pytest.raises(OptionError, match="'show_progess'"):
        load().encode_queries(["stone"], show_progess=True)


def test_queries_that_are_no_texts(load):
    with pytest.raises(InputError):
        load().encode_queries(["stone", None])
