from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch

from FlagEmbedding import AbsEmbedder
from FlagEmbedding.errors import ConfigError, DeviceError, InputError, OptionError


class LengthEmbedder(AbsEmbedder):
    """What the smallest plugin writes: the vector of a text is its length. It keeps what it was called with."""

    def __init__(self, *args, offset=0.0, **kwargs):
        super().__init__(*args, **kwargs)
        self.offset = offset
        self.calls = []

    def encode_single_device(
        self, sentences, batch_size=256, max_length=None, convert_to_numpy=True, device=None, **kw
    ):
        self.calls.append((sentences, batch_size, max_length, convert_to_numpy, device, kw))
        rows = np.array([[len(text) + self.offset] for text in sentences], dtype=np.float32).reshape(-1, 1)
        return rows if convert_to_numpy else torch.from_numpy(rows)


def model(**options):
    return LengthEmbedder("toy", devices="cpu", **options)


def given_texts(embedder):
    return embedder.calls[-1][0]


METHODS = ("encode", "encode_queries", "encode_corpus")


@pytest.mark.parametrize("method", METHODS)
def test_a_subclass_with_one_method_is_a_model(method):
    encode = getattr(model(offset=0.5), method)
    assert encode(["a", "abc"]).tolist() == [[1.5], [3.5]]
    assert encode("ab").tolist() == [2.5]
    assert encode([]).shape == (0, 1)


def test_without_that_method_it_is_none():
    with pytest.raises(TypeError, match=r"abstract.*encode_single_device"):
        type("Incomplete", (AbsEmbedder,), {})("toy")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", [list, tuple, iter, np.array])
def test_the_author_always_gets_a_list_of_texts(method, kind):
    embedder = model()
    getattr(embedder, method)(kind(["a", "b"]))
    assert given_texts(embedder) == ["a", "b"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("texts", [None, 5, ["a", None], {"a": "b"}, b"a"])
def test_what_is_no_text_reaches_no_author(method, texts):
    embedder = model()
    with pytest.raises(InputError):
        getattr(embedder, method)(texts)
    assert embedder.calls == []


@pytest.mark.parametrize(
    ("instruction", "expected"), [(None, "{text}"), ("", "{text}"), ("Find it.", "Instruct: Find it.\nQuery: {text}")]
)
def test_the_query_instruction(instruction, expected):
    embedder = model(
        query_instruction_for_retrieval=instruction,
        query_instruction_format=r"Instruct: {}\nQuery: {}",
        passage_instruction_for_retrieval="not for queries",
    )
    embedder.encode_queries(["{text}"])
    assert given_texts(embedder) == [expected]


@pytest.mark.parametrize(
    ("instruction", "expected"), [(None, "{text}"), ("", "{text}"), ("passage:", "passage: {text}")]
)
def test_the_passage_instruction(instruction, expected):
    embedder = model(
        passage_instruction_for_retrieval=instruction,
        passage_instruction_format="{} {}",
        query_instruction_for_retrieval="not for passages",
    )
    embedder.encode_corpus("{text}")
    assert given_texts(embedder) == [expected]


def test_encode_adds_none_of_them():
    embedder = model(query_instruction_for_retrieval="query", passage_instruction_for_retrieval="passage")
    embedder.encode("text")
    assert given_texts(embedder) == ["text"]


@pytest.mark.parametrize(("template", "expected"), [(None, "Find: text"), ("{}|{}", "Find: |text")])
def test_encode_takes_an_instruction_of_its_own(template, expected):
    embedder = model(query_instruction_format="unused {} {}")
    embedder.encode("text", instruction="Find: ", instruction_format=template)
    assert given_texts(embedder) == [expected]


def test_an_instruction_can_be_changed_later():
    embedder = model(query_instruction_for_retrieval="before: ")
    embedder.query_instruction_for_retrieval = "after: "
    embedder.encode_queries("text")
    assert given_texts(embedder) == ["after: text"]


def test_get_detailed_instruct():
    assert AbsEmbedder.get_detailed_instruct("Instruct: {}\nQuery: {}", "Find it.", "text") == (
        "Instruct: Find it.\nQuery: text"
    )


@pytest.mark.parametrize("option", ["query_instruction_format", "passage_instruction_format"])
def test_a_format_is_checked_when_the_model_is_made(option):
    with pytest.raises(ConfigError, match=f"^{option} must have exactly two"):
        model(**{option: "{}"})


def test_a_format_is_checked_when_it_is_given_to_encode():
    with pytest.raises(ConfigError, match=r"^instruction_format must have exactly two"):
        model().encode("text", instruction="Find: ", instruction_format="{}")


LENGTHS = {"query_max_length": 11, "passage_max_length": 22}


@pytest.mark.parametrize(
    ("method", "settings", "arguments", "expected"),
    [
        ("encode_queries", LENGTHS, {}, 11),
        ("encode_corpus", LENGTHS, {}, 22),
        ("encode", LENGTHS, {}, 22),
        ("encode_queries", LENGTHS, {"max_length": 33}, 33),
        ("encode_corpus", LENGTHS, {"max_length": 33}, 33),
        ("encode", LENGTHS, {"max_length": 33}, 33),
        ("encode_queries", {}, {}, None),
        ("encode_corpus", {}, {}, None),
        ("encode_queries", {"passage_max_length": 22}, {}, None),  # None is the model's own limit
        ("encode_corpus", {"query_max_length": 11}, {}, None),
    ],
)
def test_the_length_that_counts(method, settings, arguments, expected):
    embedder = model(**settings)
    getattr(embedder, method)("text", **arguments)
    assert embedder.calls[-1][2] == expected


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("settings", "argument", "expected"), [({}, None, 256), ({"batch_size": 8}, None, 8), ({}, 3, 3)]
)
def test_the_batch_size_that_counts(method, settings, argument, expected):
    embedder = model(**settings)
    getattr(embedder, method)("text", batch_size=argument)
    assert embedder.calls[-1][1] == expected


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("texts", ["a", ["a", "b"]], ids=["one", "two"])
@pytest.mark.parametrize(
    ("setting", "argument", "kind"),
    [
        (True, None, np.ndarray),
        (False, None, torch.Tensor),
        (True, False, torch.Tensor),
        (False, True, np.ndarray),
    ],
)
def test_numpy_or_torch(method, texts, setting, argument, kind):
    rows = getattr(model(convert_to_numpy=setting), method)(texts, convert_to_numpy=argument)
    assert isinstance(rows, kind)
    assert tuple(rows.shape) == ((1,) if isinstance(texts, str) else (2, 1))


@pytest.mark.parametrize("method", METHODS)
def test_further_options_reach_the_author_and_so_does_the_device(method):
    embedder = model()
    getattr(embedder, method)("text", flavour="sweet")
    assert embedder.calls[-1][4:] == ("cpu", {"flavour": "sweet"})


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("option", ["batch_size", "max_length"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "8"])
def test_counts_given_to_encode_are_checked(method, option, value):
    embedder = model()
    with pytest.raises(OptionError, match=f"^{option} must be a positive"):
        getattr(embedder, method)("text", **{option: value})
    assert embedder.calls == []


@pytest.mark.parametrize("option", ["batch_size", "query_max_length", "passage_max_length", "truncate_dim"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "8"])
def test_counts_given_to_the_constructor_are_checked(option, value):
    with pytest.raises(OptionError, match=f"^{option} must be a positive"):
        model(**{option: value})


@pytest.mark.parametrize(
    ("option", "nearest"),
    [
        ("normalise_embeddings", "normalize_embeddings"),
        ("batchsize", "batch_size"),
        ("offsett", "offset"),  # an option of the subclass
        ("Device", "device"),
    ],
)
def test_an_unknown_option_names_the_nearest(option, nearest):
    with pytest.raises(
        OptionError, match=rf"^LengthEmbedder got an unknown option '{option}'\. Did you mean '{nearest}'"
    ):
        model(**{option: 1})


def test_an_unknown_option_that_is_near_to_none_names_them_all():
    with pytest.raises(
        OptionError, match=r"'xyzzy'\. Known: batch_size, convert_to_numpy, device, devices, model_name_or"
    ):
        model(xyzzy=1)


@pytest.mark.parametrize(
    ("options", "devices"),
    [
        ({}, ["cpu"]),
        ({"devices": "cpu"}, ["cpu"]),
        ({"device": "cpu"}, ["cpu"]),
        ({"devices": ["cpu", "cpu"]}, ["cpu"] * 2),
    ],
)
@pytest.mark.usefixtures("no_accelerator")
def test_device_is_another_word_for_devices(options, devices):
    assert LengthEmbedder("toy", **options).target_devices == devices


def test_one_of_the_two_words_is_enough():
    with pytest.raises(OptionError, match=r"^give devices= or device=, not both\.$"):
        LengthEmbedder("toy", devices="cpu", device="cpu")


@pytest.mark.parametrize("word", ["device", "devices"])
def test_a_wrong_device(word):
    with pytest.raises(DeviceError, match="'invalid:0' is no device"):
        LengthEmbedder("toy", **{word: ["cpu", "invalid:0"]})


def test_the_signature_that_programs_rely_on():
    parameters = inspect.signature(AbsEmbedder.__init__).parameters.values()
    assert [parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD] == [
        "self",
        "model_name_or_path",
        "normalize_embeddings",
        "use_fp16",
        "use_bf16",
        "query_instruction_for_retrieval",
        "query_instruction_format",
        "devices",
        "batch_size",
        "query_max_length",
        "passage_max_length",
        "convert_to_numpy",
        "truncate_dim",
    ]
