"""The options of a model and of its calls."""

from __future__ import annotations

import inspect
import logging

import pytest
import torch
from torch import Tensor
from transformers.utils import logging as log

from FlagEmbedding import FlagAutoModel, FlagModel
from FlagEmbedding.errors import DeviceError, FlagEmbeddingError, ModelClassError, OptionError

METHODS = ("encode", "encode_queries", "encode_corpus")


class Spy(FlagModel):
    """A FlagModel with the one method overridden that authors override."""

    def encode_single_device(self, sentences, *args, **kwargs):
        self.seen = sentences
        return super().encode_single_device(sentences, *args, **kwargs) * 2


def second_token(states: Tensor, mask: Tensor) -> Tensor:
    return states[:, 1]


def both_ends(states: Tensor, mask: Tensor) -> Tensor:
    return torch.cat([states[:, 0], states[:, -1]], dim=1)


@pytest.fixture
def path(checkpoint):
    return str(checkpoint("bert"))


@pytest.mark.parametrize(
    ("method", "instruction", "expected"),
    [
        ("encode_queries", None, "{text}"),
        ("encode_queries", "", "{text}"),
        ("encode_queries", "Find {it}.", "Instruct: Find {it}.\nQuery: {text}"),
        ("encode_corpus", "Find it.", "passage: {text}"),
        ("encode", "Find it.", "{text}"),
    ],
)
def test_instructions_byte_for_byte(path, method, instruction, expected):
    model = Spy(
        path,
        query_instruction_for_retrieval=instruction,
        query_instruction_format=r"Instruct: {}\nQuery: {}",
        passage_instruction_for_retrieval="passage:",
        passage_instruction_format="{} {}",
    )
    getattr(model, method)("{text}")
    assert model.seen == [expected]


def test_the_instruction_is_part_of_the_vector(path, bert):
    model = FlagModel(path, query_instruction_for_retrieval="search: ")
    assert model.encode_queries(["river"]).tolist() == bert.encode(["search: river"]).tolist()
    assert model.encode_corpus(["river"]).tolist() == bert.encode(["river"]).tolist()


def test_the_overridden_method_is_the_one_that_counts(path, bert):
    model = Spy(path)
    for method in METHODS:
        assert getattr(model, method)("river").tolist() == (bert.encode("river") * 2).tolist()


@pytest.mark.parametrize(("text", "count"), [("river", 1), (["river"], 1), (["river", "stone of"], 1), ([], 0)])
def test_no_forward_more_than_needed(path, text, count):
    model = FlagModel(path)
    calls = []
    model.model.register_forward_hook(lambda *_: calls.append(1))
    model.encode(text)
    assert len(calls) == count


@pytest.mark.parametrize(("batch_size", "rows"), [(1, [1, 1, 1]), (2, [2, 1]), (3, [3]), (256, [3])])
@pytest.mark.parametrize("where", ["constructor", "encode"])
def test_batch_size(path, batch_size, rows, where):
    option = {"batch_size": batch_size}
    model = FlagModel(path, **(option if where == "constructor" else {}))
    sizes = []
    model.model.register_forward_pre_hook(
        lambda _, __, inputs: sizes.append(len(inputs["input_ids"])), with_kwargs=True
    )
    model.encode(["river", "stone", "one of"], **(option if where == "encode" else {}))
    assert sizes == rows


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("option", ["batch_size", "max_length", "truncate_dim"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "8"])
def test_counts_of_a_call_are_checked(bert, method, option, value):
    with pytest.raises(OptionError, match=f"^{option} must be a positive"):
        getattr(bert, method)(["river"], **{option: value})


@pytest.mark.parametrize("option", ["batch_size", "query_max_length", "passage_max_length", "truncate_dim"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "8"])
def test_counts_of_the_constructor_are_checked(path, option, value):
    with pytest.raises(OptionError, match=f"^{option} must be a positive"):
        FlagModel(path, **{option: value})


def test_more_dimensions_than_there_are(path, bert):
    message = r"^truncate_dim=33 is more than the 32 dimensions of this model\.$"
    with pytest.raises(OptionError, match=message):
        FlagModel(path, truncate_dim=33)
    with pytest.raises(OptionError, match=message):
        bert.encode("river", truncate_dim=33)


@pytest.mark.parametrize("length", [1, 2])
def test_a_length_that_leaves_no_room(bert, length):
    with pytest.raises(OptionError, match=rf"^max_length={length} leaves no room"):
        bert.encode("river", max_length=length)


@pytest.mark.parametrize(
    ("settings", "queries", "passages"),
    [
        ({}, None, None),
        ({"query_max_length": 4}, 4, None),
        ({"passage_max_length": 5}, None, 5),
        ({"query_max_length": 4, "passage_max_length": 5}, 4, 5),
        ({"query_max_length": 10_000}, 64, None),
    ],
)
def test_lengths_of_queries_and_passages(path, bert, settings, queries, passages):
    model = FlagModel(path, **settings)
    text = "one of the more garden window paper letter " * 20
    assert model.encode_queries(text).tolist() == bert.encode(text, max_length=queries).tolist()
    assert model.encode_corpus(text).tolist() == bert.encode(text, max_length=passages).tolist()
    assert model.encode(text).tolist() == bert.encode(text, max_length=passages).tolist()


def test_a_model_without_a_limit_of_its_own_is_not_run_on_tens_of_thousands_of_tokens(tiny, tmp_path):
    folder = tiny.build(tmp_path / "long", "modernbert", max_position_embeddings=20_000)
    model, seen = FlagModel(str(folder)), []
    model._engine.run = lambda *_, max_length, **__: seen.append(max_length)
    model._check_finite = lambda _: None  # nothing was computed
    for length in (None, 100, 8192, 9000, 30_000):
        model.encode(["river"], max_length=length)
    assert seen == [8192, 100, 8192, 9000, 20_000]


@pytest.mark.parametrize(
    ("option", "nearest"),
    [
        ("normalise_embeddings", "normalize_embeddings"),
        ("pooling", "pooling_method"),
        ("batchsize", "batch_size"),
        ("trust_remote", "trust_remote_code"),
        ("query_instruction", "query_instruction_format"),
        ("max_length", "query_max_length"),
        ("truncate_dims", "truncate_dim"),
    ],
)
@pytest.mark.parametrize("load", [FlagModel, FlagAutoModel.from_finetuned])
def test_an_unknown_option_of_the_constructor(path, load, option, nearest):
    with pytest.raises(OptionError, match=rf"got an unknown option '{option}'\. Did you mean .*'{nearest}'"):
        load(path, **{option: 1})


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("option", "nearest"),
    [
        ("show_progres", "show_progress"),
        ("truncate_dimension", "truncate_dim"),
        ("batchsize", "batch_size"),
        ("max_lenght", "max_length"),
        ("convert_to_nump", "convert_to_numpy"),
    ],
)
def test_an_unknown_option_of_a_call(bert, method, option, nearest):
    with pytest.raises(OptionError, match=rf"got an unknown option '{option}'\. Did you mean .*'{nearest}'"):
        getattr(bert, method)("river", **{option: 1})


@pytest.mark.parametrize("method", METHODS)
def test_an_unknown_option_of_a_call_is_refused_for_no_texts_too(bert, method):
    with pytest.raises(OptionError, match=r"got an unknown option 'xyzzy'\. Known: "):
        getattr(bert, method)([], xyzzy=1)


@pytest.mark.parametrize("pooling", ["men", "CLS", "", "mean+", "cls+men", "+", None, 5, ["cls"], "math:pi"])
def test_an_unknown_pooling(path, pooling):
    with pytest.raises(ModelClassError, match="pooling"):
        FlagModel(path, pooling_method=pooling)


def test_the_nearest_pooling_is_named(path):
    with pytest.raises(ModelClassError, match=r"^unknown pooling method 'men'\. Did you mean 'mean'"):
        FlagModel(path, pooling_method="men")


@pytest.mark.parametrize("reference", ["no_such_package_xyz:pool", "FlagEmbedding.engine.pooling:nothing"])
def test_a_pooling_reference_that_leads_nowhere(path, reference):
    with pytest.raises(ModelClassError, match=f"^'{reference}' "):
        FlagModel(path, pooling_method=reference)


@pytest.mark.parametrize("pooling", [second_token, "pooling_of_the_test:second_token"])
def test_a_pooling_of_the_callers_own(path, bert, monkeypatch, pooling):
    monkeypatch.setitem(__import__("sys").modules, "pooling_of_the_test", inspect.getmodule(second_token))
    texts = ["river", "one of the more"]
    found = FlagModel(path, pooling_method=pooling).encode(texts)
    inputs = [torch.tensor([bert.tokenizer(text)["input_ids"]]) for text in texts]
    with torch.no_grad():
        expected = [bert.model(input_ids=ids).last_hidden_state[0, 1] for ids in inputs]
    expected = torch.nn.functional.normalize(torch.stack(expected), dim=-1)
    assert abs(found - expected.numpy()).max() <= 1e-5


def test_a_pooling_that_changes_the_width_is_refused(path):
    """Not cut to the width of the model: the second half would be lost and nothing said."""
    model = FlagModel(path, pooling_method=both_ends)
    with pytest.raises(FlagEmbeddingError, match="64"):
        model.encode(["river"])


@pytest.mark.parametrize("load", [FlagModel, FlagAutoModel.from_finetuned])
def test_devices_are_checked_before_anything_is_loaded(load, path):
    with pytest.raises(DeviceError, match="'invalid:0' is no device that torch knows"):
        load(path, devices=["cpu", "invalid:0"])
    with pytest.raises(OptionError, match=r"^give devices= or device=, not both\.$"):
        load(path, devices="cpu", device="cpu")


@pytest.mark.parametrize("option", ["device", "devices"])
@pytest.mark.parametrize("value", ["cpu", ["cpu"], torch.device("cpu")])
def test_a_device(path, bert, option, value):
    model = FlagModel(path, **{option: value})
    assert model.target_devices == ["cpu"]
    assert model.encode("river") == pytest.approx(bert.encode("river"), abs=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("option", ["show_progress", "show_progress_bar"])
def test_a_progress_bar_when_wanted(bert, capfd, method, option):
    getattr(bert, method)(["river", "stone"], **{option: True})
    out, err = capfd.readouterr()
    assert out == ""
    assert "2/2" in err


@pytest.mark.parametrize(
    "option", [{}, {"show_progress": False}, {"show_progress": None}, {"show_progress_bar": False}]
)
def test_silence(bert, capfd, option):
    bert.encode(["river", "stone"] * 20, **option)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("load", [FlagModel, FlagAutoModel.from_finetuned])
def test_loading_prints_nothing(path, capfd, load):
    load(path)
    out, err = capfd.readouterr()
    assert out == ""
    assert [line for line in err.splitlines() if "is not registered" not in line] == []


def test_what_was_loaded_is_one_line(path, caplog):
    caplog.set_level(logging.INFO, "FlagEmbedding")
    model = FlagModel(path, devices="cpu")
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [f"loaded {path!r}: bert, torch.float32, on cpu, {model.engine}"]


def test_loading_leaves_the_logging_of_transformers_as_it_was(path):
    level, bar = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_info()
    log.enable_progress_bar()
    try:
        FlagModel(path)
        assert (log.get_verbosity(), log.is_progress_bar_enabled()) == (log.INFO, True)
        log.disable_progress_bar()
        FlagModel(path)
        assert log.is_progress_bar_enabled() is False
    finally:
        log.set_verbosity(level)
        (log.enable_progress_bar if bar else log.disable_progress_bar)()


def test_the_signature_that_programs_rely_on():
    assert list(inspect.signature(FlagModel.__init__).parameters) == [
        "self",
        "model_name_or_path",
        "normalize_embeddings",
        "use_fp16",
        "use_bf16",
        "query_instruction_for_retrieval",
        "query_instruction_format",
        "devices",
        "pooling_method",
        "trust_remote_code",
        "cache_dir",
        "batch_size",
        "query_max_length",
        "passage_max_length",
        "convert_to_numpy",
        "truncate_dim",
        "kwargs",
    ]
