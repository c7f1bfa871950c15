"""The options of a cross-encoder and of its calls."""

from __future__ import annotations

import inspect
import logging

import pytest
import torch

from FlagEmbedding import AbsReranker, FlagReranker
from FlagEmbedding.errors import DeviceError, OptionError

TOKENS = "river stone light seven garden window paper letter engine small"

PAIRS = [("river", "stone"), ("light of the", "seven garden window"), ("one", "of the more all")]


@pytest.fixture
def path(cross_encoder):
    return str(cross_encoder("bert"))


@pytest.fixture
def sizes(path):
    """``sizes(model)``: the numbers of rows of its forwards, as they come."""

    def watched(model):
        found = []
        model.model.register_forward_pre_hook(
            lambda _, __, inputs: found.append(tuple(inputs["input_ids"].shape)), with_kwargs=True
        )
        return found

    return watched


def near(found, expected):
    return max(abs(one - other) for one, other in zip(found, expected, strict=True)) <= 1e-5


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"query_instruction_for_rerank": "search: "}, "search: {query}|{passage}"),
        ({"passage_instruction_for_rerank": "answer: "}, "{query}|answer: {passage}"),
        (
            {"query_instruction_for_rerank": "Find {it}.", "query_instruction_format": r"Instruct: {}\nQuery: {}"},
            "Instruct: Find {it}.\nQuery: {query}|{passage}",
        ),
        (
            {"passage_instruction_for_rerank": "doc", "passage_instruction_format": "<{}> {}"},
            "{query}|<doc> {passage}",
        ),
        (
            {"query_instruction_for_rerank": "q ", "passage_instruction_for_rerank": "p "},
            "q {query}|p {passage}",
        ),
        ({"query_instruction_for_rerank": "", "query_instruction_format": "never {} {}"}, "{query}|{passage}"),
        ({"query_instruction_format": "never {} {}"}, "{query}|{passage}"),
    ],
)
def test_instructions(path, plain, options, expected):
    model = FlagReranker(path, **options)
    (found,) = model.compute_score(("{query}", "{passage}"))
    assert abs(found - plain("bert").score(*expected.split("|"))) <= 1e-5


def test_instructions_are_cut_with_their_texts(path, plain):
    model = FlagReranker(path, query_instruction_for_rerank="the ", max_length=20)
    (found,) = model.compute_score(("river stone light", "garden"), query_max_length=2)
    assert abs(found - plain("bert").score("the river", "garden")) <= 1e-5


@pytest.mark.parametrize(("batch_size", "rows"), [(1, [1, 1, 1]), (2, [2, 1]), (3, [3]), (128, [3])])
@pytest.mark.parametrize("where", ["constructor", "call"])
def test_batch_size(path, sizes, where, batch_size, rows):
    option = {"batch_size": batch_size}
    model = FlagReranker(path, **(option if where == "constructor" else {}))
    seen = sizes(model)
    model.compute_score(PAIRS, **(option if where == "call" else {}))
    assert [size for size, _ in seen] == rows


def test_batches_are_cut_by_tokens_and_the_longest_come_first(path, sizes):
    """2048 tokens on a CPU, padding counted; 64 is the longest pair there is."""
    model = FlagReranker(path, devices="cpu")
    seen = sizes(model)
    words = TOKENS.split()
    short = [(query, passage) for query in words for passage in words]
    model.compute_score([*short, *((query, f"{passage} " * 99) for query, passage in short[:40])])
    assert seen == [(32, 64), (32, 64), (76, 5)]


@pytest.mark.parametrize(("pairs", "count"), [(PAIRS[0], 1), (PAIRS[:1], 1), (PAIRS, 1), ([], 0)])
def test_no_forward_more_than_needed(path, sizes, pairs, count):
    model = FlagReranker(path)
    seen = sizes(model)
    model.compute_score(pairs)
    assert len(seen) == count


@pytest.mark.parametrize("option", ["batch_size", "max_length", "query_max_length"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "8"])
def test_counts_are_checked(path, reranker, option, value):
    with pytest.raises(OptionError, match=f"^{option} must be a positive"):
        FlagReranker(path, **{option: value})
    with pytest.raises(OptionError, match=f"^{option} must be a positive"):
        reranker("bert").compute_score(PAIRS, **{option: value})


@pytest.mark.parametrize(
    ("option", "nearest"),
    [
        ("normalise", "normalize"),
        ("batchsize", "batch_size"),
        ("max_lenght", "max_length"),
        ("query_instruction", "query_instruction_format"),
        ("trunctaion", "truncation"),
        ("trust_remote", "trust_remote_code"),
        ("revison", "revision"),
        ("use_fp61", "use_fp16"),
    ],
)
def test_an_unknown_option_of_the_constructor(path, option, nearest):
    with pytest.raises(OptionError, match=rf"got an unknown option '{option}'\. Did you mean .*'{nearest}'"):
        FlagReranker(path, **{option: 1})


@pytest.mark.parametrize(
    ("option", "nearest"),
    [
        ("normalise", "normalize"),
        ("batchsize", "batch_size"),
        ("max_lenght", "max_length"),
        ("query_max_len", "query_max_length"),
        ("trunctaion", "truncation"),
        ("show_progres", "show_progress"),
    ],
)
@pytest.mark.parametrize("pairs", [PAIRS, []])
def test_an_unknown_option_of_a_call(reranker, pairs, option, nearest):
    with pytest.raises(
        OptionError, match=rf"^compute_score got an unknown option '{option}'\. Did you mean .*'{nearest}'"
    ):
        reranker("bert").compute_score(pairs, **{option: 1})


def test_an_unknown_option_that_is_near_to_none_names_them_all(reranker):
    with pytest.raises(OptionError) as caught:
        reranker("bert").compute_score(PAIRS, xyzzy=1)
    assert str(caught.value) == (
        "compute_score got an unknown option 'xyzzy'. Known: batch_size, max_length, normalize, query_max_length, "
        "show_progress, show_progress_bar, truncation."
    )


def test_the_options_of_the_other_kind_of_reranker_are_unknown(reranker):
    with pytest.raises(OptionError, match="unknown option 'prompt'"):
        reranker("bert").compute_score(PAIRS, prompt="Yes?")


@pytest.mark.parametrize("option", ["show_progress", "show_progress_bar"])
def test_a_progress_bar_when_wanted(reranker, capfd, option):
    reranker("bert").compute_score(PAIRS, **{option: True})
    out, err = capfd.readouterr()
    assert out == ""
    assert "scoring: 100%" in err
    assert "3/3" in err


@pytest.mark.parametrize(
    "option", [{}, {"show_progress": False}, {"show_progress": None}, {"show_progress_bar": False}]
)
def test_silence(reranker, capfd, option):
    reranker("bert").compute_score(PAIRS * 20, **option)
    assert capfd.readouterr() == ("", "")


def test_loading_prints_nothing_and_what_was_loaded_is_one_line(path, caplog, capfd):
    caplog.set_level(logging.INFO, "FlagEmbedding")
    model = FlagReranker(path, devices="cpu")
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [f"loaded {path!r}: bert, torch.float32, on cpu, {model.engine}"]
    assert capfd.readouterr() == ("", "")


def test_devices_are_checked_before_anything_is_loaded():
    with pytest.raises(DeviceError, match="'invalid:0' is no device that torch knows"):
        FlagReranker("/no/such/folder", devices="invalid:0")
    with pytest.raises(OptionError, match=r"^give devices= or device=, not both\.$"):
        FlagReranker("/no/such/folder", devices="cpu", device="cpu")


@pytest.mark.parametrize("option", ["device", "devices"])
@pytest.mark.parametrize("value", ["cpu", ["cpu"], torch.device("cpu")])
def test_a_device(path, reranker, option, value):
    model = FlagReranker(path, **{option: value})
    assert model.target_devices == ["cpu"]
    assert model.compute_score(PAIRS) == reranker("bert").compute_score(PAIRS)


def test_a_device_of_a_call(path):
    model = FlagReranker(path, devices="cpu")
    before = model.compute_score(PAIRS)
    assert model.compute_score(PAIRS, device="cpu") == before
    for _ in range(2):
        with pytest.raises(DeviceError, match="there is no device 'meta'"):
            model.compute_score(PAIRS, device="meta")
    assert model.compute_score(PAIRS) == before


@pytest.mark.parametrize("use_fp16", [True, False])
def test_use_fp16_is_for_accelerators(path, reranker, use_fp16):
    model = FlagReranker(path, use_fp16=use_fp16, devices="cpu")
    assert model.model.dtype == torch.float32
    assert model.compute_score(PAIRS) == pytest.approx(reranker("bert").compute_score(PAIRS), abs=1e-6)


def test_bfloat16_on_a_cpu_when_asked_for(path, reranker):
    model = FlagReranker(path, use_bf16=True, devices="cpu")
    found, expected = model.compute_score(PAIRS), reranker("bert").compute_score(PAIRS)
    assert model.model.dtype == torch.bfloat16
    assert 1e-5 < max(abs(one - other) for one, other in zip(found, expected, strict=True)) < 0.05


def test_attention_of_the_callers_choice(path, reranker):
    model = FlagReranker(path, attn_implementation="eager")
    assert model.model.config._attn_implementation == "eager"
    assert near(model.compute_score(PAIRS), reranker("bert").compute_score(PAIRS))


def test_ready_made_pairs_on_one_device(path, reranker):
    """What programs and subclasses call: positional, no instruction added."""
    model = FlagReranker(path, query_instruction_for_rerank="never: ", normalize=True, batch_size=1)
    found = model.compute_score_single_gpu(PAIRS, 2, 50, 60, False, "cpu")
    assert near(found, reranker("bert").compute_score(PAIRS))
    assert near(model.compute_score_single_gpu(PAIRS), reranker("bert").compute_score(PAIRS, normalize=True))
    assert near(model.compute_score_single_gpu([list(pair) for pair in PAIRS], normalize=False), found)


class Doubled(FlagReranker):
    """A FlagReranker with the one method overridden that authors override."""

    def compute_score_single_gpu(self, sentence_pairs, *args, **kwargs):
        return [2 * score for score in super().compute_score_single_gpu(sentence_pairs, *args, **kwargs)]


def test_the_overridden_method_is_the_one_that_counts(path, reranker):
    assert Doubled(path).compute_score(PAIRS) == [2 * score for score in reranker("bert").compute_score(PAIRS)]


def test_the_signatures_that_programs_rely_on():
    assert list(inspect.signature(FlagReranker.__init__).parameters)[:14] == [
        "self",
        "model_name_or_path",
        "use_fp16",
        "query_instruction_for_rerank",
        "query_instruction_format",
        "passage_instruction_for_rerank",
        "passage_instruction_format",
        "trust_remote_code",
        "cache_dir",
        "devices",
        "batch_size",
        "query_max_length",
        "max_length",
        "normalize",
    ]
    for owner in (FlagReranker, AbsReranker):
        assert list(inspect.signature(owner.compute_score_single_gpu).parameters)[:7] == [
            "self",
            "sentence_pairs",
            "batch_size",
            "query_max_length",
            "max_length",
            "normalize",
            "device",
        ]


def test_rank(reranker, plain):
    documents = ["stone", "the river", "garden window", "stone"]
    scores = plain("bert").scores([("river", document) for document in documents])
    found = reranker("bert").rank("river", documents)
    assert [one["index"] for one in found] == sorted(range(4), key=lambda index: -scores[index])
    assert [one["text"] for one in found] == [documents[one["index"]] for one in found]
    assert near([one["score"] for one in found], [scores[one["index"]] for one in found])
