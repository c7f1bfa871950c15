"""EmbedderConfig and its companions: plain frozen data that imports a model class only when it is read."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import re
import string
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from FlagEmbedding.config import EmbedderConfig, EmbedderModelClass, ModelClass, PoolingMethod, check_instruction_format
from FlagEmbedding.errors import ConfigError, ModelClassError

# No such package exists: whatever imports it, fails.
NEVER = "acme_never_imported.model:Embedder"

DEFAULTS = {
    "trust_remote_code": False,
    "query_instruction_format": "{}{}",
    "hub_id": None,
    "query_instruction": None,
    "query_instruction_required": True,
    "passage_instruction": None,
    "passage_instruction_format": "{}{}",
    "max_length": None,
    "dimension": None,
    "matryoshka_dims": (),
    "is_causal": None,
    "append_eos": False,
    "languages": (),
    "licence": None,
    "source": None,
    "unsupported": None,
    "options": {},
}

OTHER_VALUES = {
    "model_class": "acme_never_imported.model:Other",
    "pooling_method": PoolingMethod.MEAN,
    "trust_remote_code": True,
    "query_instruction_format": "<instruct>{}\n<query>{}",
    "hub_id": "acme/embed",
    "query_instruction": "query: ",
    "query_instruction_required": False,
    "passage_instruction": "passage: ",
    "passage_instruction_format": "{} {}",
    "max_length": 8192,
    "dimension": 1024,
    "matryoshka_dims": (512, 256),
    "is_causal": False,
    "append_eos": "<|endoftext|>",
    "languages": ("en",),
    "licence": "MIT",
    "source": "the model card",
    "unsupported": "its code needs transformers 4.",
    "options": {"modules": (("Dense", "2_Dense"),)},
}


def config(**changes: object) -> EmbedderConfig:
    return EmbedderConfig(**{"model_class": NEVER, "pooling_method": PoolingMethod.CLS, **changes})


class TestAttributes:
    def test_the_attributes_that_are_not_given_have_the_specified_defaults(self):
        expected = {"model_class": NEVER, "pooling_method": PoolingMethod.CLS, **DEFAULTS}
        assert EmbedderConfig(NEVER, PoolingMethod.CLS).as_dict() == expected

    def test_the_first_four_are_positional_in_the_order_of_the_specification(self):
        given = EmbedderConfig(NEVER, PoolingMethod.MEAN, True, "{} {}")
        assert list(given.as_dict().items())[:4] == [
            ("model_class", NEVER),
            ("pooling_method", PoolingMethod.MEAN),
            ("trust_remote_code", True),
            ("query_instruction_format", "{} {}"),
        ]

    @pytest.mark.parametrize("missing", ["model_class", "pooling_method"])
    def test_the_first_two_are_required(self, missing):
        arguments = {"model_class": NEVER, "pooling_method": "cls"}
        del arguments[missing]
        with pytest.raises(TypeError, match=f"missing 1 required positional argument: '{missing}'"):
            EmbedderConfig(**arguments)

    @pytest.mark.parametrize(("name", "value"), OTHER_VALUES.items())
    def test_every_attribute_keeps_what_it_was_given(self, name, value):
        assert config(**{name: value}).as_dict()[name] == value

    def test_the_cases_above_cover_every_attribute(self):
        assert list(OTHER_VALUES) == [field.name for field in dataclasses.fields(EmbedderConfig)]

    def test_an_attribute_that_does_not_exist_is_refused(self):
        with pytest.raises(TypeError, match="unexpected keyword argument 'pooling'"):
            config(pooling="cls")

    @pytest.mark.parametrize("name", OTHER_VALUES)
    def test_no_attribute_can_be_assigned_or_deleted(self, name):
        frozen = config()
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(frozen, name, OTHER_VALUES[name])
        with pytest.raises(dataclasses.FrozenInstanceError):
            delattr(frozen, name)
        assert frozen == config()


class TestPoolingMethod:
    @pytest.mark.parametrize(
        ("given", "kept"), [("cls", PoolingMethod.CLS), ("mean", "mean"), (PoolingMethod.MEAN, PoolingMethod.MEAN)]
    )
    def test_well_known_names_become_members(self, given, kept):
        assert config(pooling_method=given).pooling_method is PoolingMethod(kept)

    def test_other_names_stay_as_they_are(self):
        assert type(config(pooling_method="acme-max").pooling_method) is str
        assert config(pooling_method="acme-max").pooling_method == "acme-max"

    def test_members(self):
        assert {member.name: member.value for member in PoolingMethod} == {
            "LAST_TOKEN": "last_token",
            "CLS": "cls",
            "MEAN": "mean",
        }


def test_well_known_model_classes():
    assert {member.name: member.value for member in EmbedderModelClass} == {
        "ENCODER_ONLY_BASE": "encoder-only-base",
        "ENCODER_ONLY_M3": "encoder-only-m3",
        "DECODER_ONLY_BASE": "decoder-only-base",
        "DECODER_ONLY_ICL": "decoder-only-icl",
        "DECODER_ONLY_PSEUDO_MOE": "decoder-only-pseudo_moe",
    }


class TestModelClassAttribute:
    def test_reading_a_reference_imports_the_module_and_gives_the_class(self, tmp_path, monkeypatch):
        (tmp_path / "acme_read.py").write_text("class Embedder:\n    pass\n", encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        lazy = config(model_class="acme_read:Embedder")
        assert "acme_read" not in sys.modules
        found = lazy.model_class
        assert found is sys.modules.pop("acme_read").Embedder

    def test_a_class_is_given_back(self):
        assert config(model_class=Path).model_class is Path

    def test_a_reference_that_leads_nowhere_is_an_error_when_it_is_read(self):
        lazy = config()
        with pytest.raises(ModelClassError, match="package 'acme_never_imported' is not installed"):
            _ = lazy.model_class

    @pytest.mark.parametrize(("value", "reference"), [(NEVER, NEVER), (string.Formatter, "string:Formatter")])
    def test_the_reference_is_known_without_an_import(self, value, reference):
        assert config(model_class=value).model_class_reference == reference

    def test_the_class_has_no_default_to_show(self):
        assert not hasattr(EmbedderConfig, "model_class")


class TestRepr:
    def test_a_reference_is_shown_as_the_notebook_prints_the_class(self):
        shown = EmbedderConfig(
            "pkg.mod:Class", PoolingMethod.LAST_TOKEN, query_instruction_format="<instruct>{}\n<query>{}"
        )
        assert repr(shown) == (
            "EmbedderConfig(model_class=<class 'pkg.mod.Class'>, "
            "pooling_method=<PoolingMethod.LAST_TOKEN: 'last_token'>, trust_remote_code=False, "
            "query_instruction_format='<instruct>{}\\n<query>{}')"
        )

    def test_a_class_is_shown_like_its_reference(self):
        assert repr(config(model_class=string.Formatter)) == (
            "EmbedderConfig(model_class=<class 'string.Formatter'>, pooling_method=<PoolingMethod.CLS: 'cls'>, "
            "trust_remote_code=False, query_instruction_format='{}{}')"
        )
        assert repr(config(model_class=string.Formatter)) == repr(config(model_class="string:Formatter"))

    def test_str_is_repr(self):
        assert str(config()) == repr(config())


class TestWithoutImport:
    """Each of these would raise if it imported the class: ``NEVER`` cannot be imported."""

    def test_replace_changes_what_it_is_told_and_nothing_else(self):
        full = EmbedderConfig(**OTHER_VALUES)
        assert full.replace(max_length=512).as_dict() == {**OTHER_VALUES, "max_length": 512}
        assert full.as_dict() == OTHER_VALUES

    def test_replace_checks_the_new_values(self):
        with pytest.raises(ConfigError, match=r"max_length is a positive number.*, not 0"):
            config().replace(max_length=0)

    @pytest.mark.parametrize("name", OTHER_VALUES)
    def test_configs_are_equal_exactly_when_every_attribute_is(self, name):
        assert config() == config()
        assert hash(config()) == hash(config())
        assert config(**{name: OTHER_VALUES[name]}) != config()

    def test_a_class_equals_its_reference(self):
        by_class, by_reference = config(model_class=string.Formatter), config(model_class="string:Formatter")
        assert by_class == by_reference
        assert hash(by_class) == hash(by_reference)

    def test_a_config_equals_nothing_else(self):
        assert config() != config().as_dict()

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_pickle(self, protocol):
        full = EmbedderConfig(**OTHER_VALUES)
        assert pickle.loads(pickle.dumps(full, protocol)).as_dict() == OTHER_VALUES

    @pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
    def test_copy(self, duplicate):
        full = EmbedderConfig(**OTHER_VALUES)
        assert duplicate(full).as_dict() == OTHER_VALUES

    def test_building_and_showing_a_config_imports_no_torch(self):
        program = (
            "import sys; from FlagEmbedding.config import EmbedderConfig as C;"
            "c = C('FlagEmbedding.inference.embedder.encoder_only.base:BaseEmbedder', 'cls');"
            "repr(c), hash(c), c == c.replace(max_length=1);"
            "print([name for name in ('torch', 'transformers', 'numpy') if name in sys.modules])"
        )
        run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert run.stdout == "[]\n"


INVALID = [
    ("model_class", "no reference"),
    ("model_class", "module:"),
    ("model_class", ":Class"),
    ("model_class", "encoder-only-base"),
    ("model_class", EmbedderModelClass.ENCODER_ONLY_BASE),
    ("model_class", None),
    ("model_class", 3),
    ("pooling_method", ""),
    ("pooling_method", None),
    ("pooling_method", 3),
    ("trust_remote_code", None),
    ("trust_remote_code", 1),
    ("trust_remote_code", "yes"),
    ("query_instruction_format", "{}"),
    ("query_instruction_format", None),
    ("passage_instruction_format", "{}{}{}"),
    ("passage_instruction_format", 3),
    ("max_length", 0),
    ("max_length", -512),
    ("max_length", True),
    ("max_length", 512.0),
    ("max_length", "512"),
    ("dimension", 0),
    ("dimension", True),
    ("dimension", "1024"),
    ("hub_id", 3),
    ("query_instruction", 3),
    ("query_instruction_required", "no"),
    ("passage_instruction", ["passage: "]),
    ("matryoshka_dims", [512, 256]),
    ("matryoshka_dims", (512, 0)),
    ("matryoshka_dims", 512),
    ("is_causal", "no"),
    ("append_eos", None),
    ("append_eos", 1),
    ("languages", "en"),
    ("languages", ["en"]),
    ("licence", 3),
    ("source", 3),
    ("unsupported", True),
]


@pytest.mark.parametrize(("name", "value"), INVALID)
def test_an_invalid_value_is_named_in_the_error(name, value):
    with pytest.raises(ConfigError) as caught:
        config(**{name: value})
    assert name in str(caught.value)
    assert repr(value) in str(caught.value)


# Written independently of the code: outside of two {}, only doubled braces.
TWO_PLAIN_FIELDS = re.compile(r"(?:[^{}]|\{\{|\}\})*(?:\{\}(?:[^{}]|\{\{|\}\})*){2}")

PIECES = ["{}", "{}", "{{", "}}", "{", "}", "{0}", "{name}", "{:d}", "{!r}"]


class TestInstructionFormat:
    @pytest.mark.parametrize("text", ["{}{}", "{} {}", "<instruct>{}\n<query>{}", "{{literal}} {}{}", "{{}}{}{}"])
    def test_two_plain_fields(self, text):
        check_instruction_format(text, "query_instruction_format")

    @pytest.mark.parametrize(
        "text",
        [
            *("", "no field", "{}", "{}{}{}", "{{}}", "{{}}{}"),  # another number of fields
            *("{0}{1}", "{a}{b}", "{}{query}", "{}{:d}", "{}{!r}", "{}{0.__class__}"),  # fields that are not plain
            *("{", "}", "{}{", "{}}{}", "{}{}}"),  # no format at all
        ],
    )
    def test_anything_else_is_refused(self, text):
        with pytest.raises(ConfigError) as caught:
            check_instruction_format(text, "query_instruction_format")
        assert str(caught.value) == (
            f"query_instruction_format must have exactly two '{{}}' (instruction, then text), not {text!r}."
        )

    @given(st.text() | st.lists(st.sampled_from(PIECES) | st.text(max_size=2), max_size=8).map("".join))
    @example("{}{{")
    def test_a_text_is_accepted_exactly_when_it_has_two_plain_fields(self, text):
        if TWO_PLAIN_FIELDS.fullmatch(text):
            check_instruction_format(text, "format")
            with pytest.raises(IndexError):
                text.format("instruction")
        else:
            with pytest.raises(ConfigError) as caught:
                check_instruction_format(text, "format")
            assert repr(text) in str(caught.value)


class TestModelClass:
    def test_values(self):
        offered = ModelClass("acme.model:Embedder", exports=("AcmeModel",))
        assert (offered.reference, offered.exports) == ("acme.model:Embedder", ("AcmeModel",))
        assert ModelClass("acme.model:Embedder").exports == ()

    @pytest.mark.parametrize("reference", ["acme.model.Embedder", "", "acme:", "acme model:Embedder"])
    def test_what_is_no_reference_is_refused(self, reference):
        with pytest.raises(ConfigError, match=r"a model class is 'module:Class', not ") as caught:
            ModelClass(reference)
        assert repr(reference) in str(caught.value)
