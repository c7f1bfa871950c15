"""Configurations of any content: refused by a ConfigError, or data that can be used, shown, copied and loaded by."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import inspect
import pickle
import shutil

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from FlagEmbedding import FlagAutoModel, FlagAutoReranker, temporary_registration
from FlagEmbedding.config import EmbedderConfig, RerankerConfig
from FlagEmbedding.errors import ConfigError, FlagEmbeddingError, ModelClassError
from FlagEmbedding.registry.mapping import EMBEDDERS, RERANKERS

BASE = "FlagEmbedding.inference.{}.encoder_only.base:{}"
MINIMAL = {
    EmbedderConfig: {"model_class": BASE.format("embedder", "BaseEmbedder"), "pooling_method": "cls"},
    RerankerConfig: {"model_class": BASE.format("reranker", "BaseReranker")},
}
FIELDS = [(kind, field.name) for kind in MINIMAL for field in dataclasses.fields(kind)]

text = st.text(st.characters(exclude_categories=()), max_size=8)
values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | text
anything = (
    values
    | st.lists(values, max_size=2)
    | st.lists(values, max_size=2).map(tuple)
    | st.dictionaries(text | st.sampled_from(["use_fp16", "batch_size", "modules"]), values, max_size=2)
    | st.sampled_from(
        ["cls", "mean", "a:b", "json:loads", "{}{}", "Query: {}\n{}", "nobody/nothing", 512, ("en",), (8, 16)]
    )
)


@pytest.mark.parametrize(("kind", "field"), FIELDS, ids=lambda value: getattr(value, "__name__", value))
@settings(max_examples=60)
@given(value=anything)
def test_a_value_of_any_kind(kind, field, value):
    try:
        config = kind(**{**MINIMAL[kind], field: value})
    except ConfigError as error:
        assert field in str(error)  # noqa: PT017 - most values are refused, and by whichever rule
        return
    assert config.as_dict()[field] == value
    assert copy.deepcopy(config) == pickle.loads(pickle.dumps(config)) == config.replace() == config
    assert hash(config) == hash(config.replace())
    assert kind.__name__ in repr(config)
    with contextlib.suppress(ModelClassError):
        _ = config.model_class


FACTORIES = {EmbedderConfig: FlagAutoModel, RerankerConfig: FlagAutoReranker}


@pytest.mark.parametrize("kind", FACTORIES, ids=lambda kind: kind.__name__)
def test_no_option_is_an_argument_of_the_factory(kind):
    """It would be given twice; and one of them says whether code may run, which is for the caller to say."""
    parameters = inspect.signature(FACTORIES[kind].from_finetuned).parameters.values()
    named = [parameter.name for parameter in parameters if parameter.kind is not inspect.Parameter.VAR_KEYWORD]
    assert "trust_remote_code" in named
    for name in named:
        with pytest.raises(ConfigError, match=rf"^options is a mapping of argument names, none of .*\b{name}\b"):
            kind(**MINIMAL[kind], options={name: True})


fields_of_embedders = st.fixed_dictionaries(
    {"pooling_method": st.sampled_from(["cls", "mean", "last_token", "max+mean", "nonsense"])},
    optional={
        "query_instruction": st.none() | text,
        "query_instruction_required": st.booleans(),
        "query_instruction_format": st.sampled_from(["{}{}", "Instruct: {}\nQuery: {}", "{{{}}} {}"]),
        "passage_instruction": st.none() | text,
        "max_length": st.none() | st.integers(1, 100),
        "is_causal": st.none() | st.booleans(),
        "append_eos": st.booleans() | text,
        "options": st.dictionaries(
            st.sampled_from(["batch_size", "truncate_dim", "lower_case", "default_instruction", "modules", "strange"]),
            values,
            max_size=2,
        ),
    },
)


@pytest.fixture(scope="module")
def named_folders(tiny, checkpoint, tmp_path_factory):
    """Folders that have the name of a registered model, so that its configuration counts."""
    root = tmp_path_factory.mktemp("named")
    shutil.copytree(checkpoint("bert"), root / "acme-embed")
    tiny.build_classifier(root / "acme-rerank", "bert")
    return root


@contextlib.contextmanager
def refused_in_words():
    """Most of them are refused."""
    try:
        yield
    except FlagEmbeddingError as error:
        assert str(error)  # noqa: PT017


@settings(max_examples=60)
@given(fields=fields_of_embedders)
@example(fields={"pooling_method": "cls", "query_instruction": "\ud800"})
@example(fields={"pooling_method": "cls", "options": {"modules": 5}})
def test_an_embedder_by_any_configuration(named_folders, fields):
    options = fields.get("options", {})
    assume("batch_size" not in options or options["batch_size"] is not None)  # a TypeError at the first call
    with refused_in_words(), temporary_registration():
        EMBEDDERS["acme-embed"] = EmbedderConfig(**{**MINIMAL[EmbedderConfig], **fields})
        model = FlagAutoModel.from_finetuned(named_folders / "acme-embed", devices="cpu")
        texts = ["the river", "", "one of the more " * 30]
        for method in (model.encode, model.encode_queries, model.encode_corpus):
            found = method(texts, batch_size=2)
            assert np.abs(found - np.stack([method(text) for text in texts])).max() <= 1e-5
            assert np.abs(np.linalg.norm(found, axis=1) - 1).max() <= 1e-5


@settings(max_examples=40)
@given(
    max_length=st.none() | st.integers(1, 100),
    options=st.dictionaries(
        st.sampled_from(["batch_size", "normalize", "truncation", "query_max_length", "prompt"]), values, max_size=2
    ),
)
def test_a_reranker_by_any_configuration(named_folders, max_length, options):
    assume("batch_size" not in options or options["batch_size"] is not None)  # a TypeError at the first call
    with refused_in_words(), temporary_registration():
        config = RerankerConfig(**MINIMAL[RerankerConfig], max_length=max_length, options=options)
        RERANKERS["acme-rerank"] = config
        model = FlagAutoReranker.from_finetuned(named_folders / "acme-rerank", devices="cpu")
        pairs = [("the river", "stone"), ("", ""), ("one " * 50, "two " * 50)]
        found = model.compute_score(pairs, batch_size=2)
        assert np.allclose(found, [model.compute_score(pair)[0] for pair in pairs], rtol=0, atol=1e-5)
