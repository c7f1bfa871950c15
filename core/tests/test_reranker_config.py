"""RerankerConfig: what it has beside the behaviour that EmbedderConfig's tests show."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import string
import subprocess
import sys

import pytest

from FlagEmbedding.config import EmbedderConfig, ModelClass, RerankerConfig, RerankerModelClass
from FlagEmbedding.errors import ConfigError, ModelClassError

# No such package exists: whatever imports it, fails.
NEVER = "acme_never_imported.model:Reranker"

DEFAULTS = {
    "trust_remote_code": False,
    "hub_id": None,
    "max_length": None,
    "options": {},
    "languages": (),
    "licence": None,
    "source": None,
    "unsupported": None,
}

OTHER_VALUES = {
    "model_class": "acme_never_imported.model:Other",
    "trust_remote_code": True,
    "hub_id": "acme/rerank",
    "max_length": 8192,
    "options": {"truncation": "longest_first", "normalize": True},
    "languages": ("en", "zh"),
    "licence": "MIT",
    "source": "the model card",
    "unsupported": "its code needs transformers 4.",
}


def config(**changes: object) -> RerankerConfig:
    return RerankerConfig(**{"model_class": NEVER, **changes})


def test_the_attributes_that_are_not_given_have_the_specified_defaults():
    assert RerankerConfig(NEVER).as_dict() == {"model_class": NEVER, **DEFAULTS}


def test_the_cases_above_cover_every_attribute():
    assert list(OTHER_VALUES) == [field.name for field in dataclasses.fields(RerankerConfig)]
    assert list(DEFAULTS) == list(OTHER_VALUES)[1:]


def test_the_first_two_are_positional():
    assert RerankerConfig(NEVER, True).as_dict()["trust_remote_code"] is True


@pytest.mark.parametrize(("name", "value"), OTHER_VALUES.items())
def test_every_attribute_keeps_what_it_was_given_and_counts_for_equality(name, value):
    changed = config(**{name: value})
    assert changed.as_dict()[name] == value
    assert changed != config()
    assert config() == config()
    assert hash(config()) == hash(config())


@pytest.mark.parametrize("name", OTHER_VALUES)
def test_no_attribute_can_be_assigned(name):
    frozen = config()
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(frozen, name, OTHER_VALUES[name])
    assert frozen == config()


def test_each_has_options_of_its_own():
    assert config().options is not config().options


def test_the_attributes_of_an_embedder_are_refused():
    with pytest.raises(TypeError, match="unexpected keyword argument 'pooling_method'"):
        config(pooling_method="cls")


def test_it_equals_no_configuration_of_an_embedder():
    assert config() != EmbedderConfig(NEVER, "cls")
    assert config() != config().as_dict()


def test_reading_the_class():
    assert config(model_class="string:Formatter").model_class is string.Formatter
    assert config(model_class=string.Formatter).model_class_reference == "string:Formatter"
    with pytest.raises(ModelClassError, match="package 'acme_never_imported' is not installed"):
        _ = config().model_class


def test_it_is_shown_without_an_import():
    assert repr(config(hub_id="acme/rerank")) == (
        "RerankerConfig(model_class=<class 'acme_never_imported.model.Reranker'>, trust_remote_code=False)"
    )


def test_replace_changes_what_it_is_told_and_nothing_else():
    full = RerankerConfig(**OTHER_VALUES)
    assert full.replace(max_length=512).as_dict() == {**OTHER_VALUES, "max_length": 512}
    with pytest.raises(ConfigError, match=r"max_length is a positive number.*, not 0"):
        full.replace(max_length=0)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda config: pickle.loads(pickle.dumps(config))])
def test_copy_and_pickle(duplicate):
    assert duplicate(RerankerConfig(**OTHER_VALUES)).as_dict() == OTHER_VALUES


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model_class", "no reference"),
        ("model_class", "encoder-only-base"),
        ("model_class", RerankerModelClass.ENCODER_ONLY_BASE),
        ("model_class", None),
        ("trust_remote_code", 1),
        ("trust_remote_code", None),
        ("hub_id", 3),
        ("max_length", 0),
        ("max_length", True),
        ("max_length", "512"),
        ("options", None),
        ("options", ["truncation"]),
        ("options", {"not a name": 1}),
        ("options", {3: 1}),
        ("languages", "en"),
        ("languages", ["en"]),
        ("licence", 3),
        ("source", 3),
        ("unsupported", True),
    ],
)
def test_an_invalid_value_is_named_in_the_error(name, value):
    with pytest.raises(ConfigError) as caught:
        config(**{name: value})
    assert str(caught.value).startswith(f"{name} is ")
    assert repr(value) in str(caught.value)


def test_building_and_showing_it_imports_no_torch():
    program = (
        "import sys; from FlagEmbedding.config import RerankerConfig as C;"
        "c = C('FlagEmbedding.inference.reranker.encoder_only.base:BaseReranker');"
        "repr(c), hash(c), c == c.replace(max_length=1);"
        "print([name for name in ('torch', 'transformers', 'numpy') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_well_known_model_classes():
    assert {member.name: member.value for member in RerankerModelClass} == {
        "ENCODER_ONLY_BASE": "encoder-only-base",
        "DECODER_ONLY_BASE": "decoder-only-base",
        "DECODER_ONLY_LAYERWISE": "decoder-only-layerwise",
        "DECODER_ONLY_LIGHTWEIGHT": "decoder-only-lightweight",
    }


def test_a_model_class_is_for_language_models_unless_it_says_otherwise():
    assert ModelClass(NEVER).architecture == "ForCausalLM"
    assert ModelClass(NEVER, architecture="ForSequenceClassification").architecture == "ForSequenceClassification"
