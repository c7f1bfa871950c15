"""Detection: what the files of a reranker that nobody registered say of it."""

from __future__ import annotations

import logging

import pytest

from FlagEmbedding.claims import Claim
from FlagEmbedding.config import ModelClass, RerankerConfig
from FlagEmbedding.errors import CheckpointError, NameConflictError
from FlagEmbedding.registry import reranker_detection
from FlagEmbedding.registry.classes import ClassTable
from FlagEmbedding.registry.files import ModelFiles
from FlagEmbedding.registry.reranker_detection import detect_reranker

CORE, ACME, OTHER = "flagembedding-core", "acme 1.0", "other 1.0"

CLASSIFIERS = ModelClass("core.encoder:Reranker", architecture="ForSequenceClassification")
DECODERS = ModelClass("core.decoder:LLMReranker", model_types=("mistral", "qwen2", "gemma"))


@pytest.fixture
def claims(monkeypatch):
    """The classes that are known, whatever is installed."""
    known = {"encoder-only-base": [Claim(CLASSIFIERS, CORE)], "decoder-only-base": [Claim(DECODERS, CORE)]}
    monkeypatch.setattr(reranker_detection, "RERANKER_CLASSES", ClassTable("reranker", lambda: known))
    return known


@pytest.fixture
def detect(model_folder, claims):
    """Return a function that detects a reranker from its ``config.json`` and other files."""

    def detected(config: object, files: dict[str, object] | None = None, **wanted: object) -> RerankerConfig:
        folder = model_folder({"config.json": config, **(files or {})})
        return detect_reranker(ModelFiles(str(folder), folder), wanted)

    return detected


def describe(model_type: object, *architectures: str) -> dict[str, object]:
    return {"model_type": model_type, "architectures": list(architectures)}


CLASSIFIER = describe("xlm-roberta", "XLMRobertaForSequenceClassification")


class TestClassifiers:
    @pytest.mark.parametrize(
        "config",
        [
            CLASSIFIER,
            describe("bert", "BertForSequenceClassification"),
            describe("qwen2", "Qwen2ForSequenceClassification"),  # a decoder's classifier is no language model
            describe("nobodys", "NobodysForSequenceClassification"),
            describe(None, "XForSequenceClassification"),
            describe("bert", "BertModel", "BertForSequenceClassification"),
        ],
    )
    def test_any_backbone_will_do_and_nothing_is_assumed(self, detect, model_folder, caplog, config):
        source = f"detected from the files of {model_folder({})}"
        assert detect(config) == RerankerConfig("core.encoder:Reranker", source=source)
        assert caplog.messages == []

    def test_a_class_that_claims_the_type(self, detect, claims):
        acme = ModelClass("acme:New", model_types=("new",), architecture="ForSequenceClassification")
        claims["encoder-only-acme"] = [Claim(acme, ACME)]
        assert detect(describe("new", "NewForSequenceClassification")).model_class_reference == "acme:New"
        assert detect(CLASSIFIER).model_class_reference == "core.encoder:Reranker"

    def test_a_class_for_language_models_of_that_type_is_none_for_classifiers(self, detect, claims):
        claims["decoder-only-acme"] = [Claim(ModelClass("acme:Chat", model_types=("new",)), ACME)]
        found = detect(describe("new", "NewForSequenceClassification"))
        assert found.model_class_reference == "core.encoder:Reranker"

    def test_two_that_claim_it(self, detect, claims):
        acme = ModelClass("acme:New", model_types=("new",), architecture="ForSequenceClassification")
        claims["encoder-only-acme"] = [Claim(acme, ACME), Claim(acme, OTHER)]
        with pytest.raises(NameConflictError, match=r"the model type 'new' is claimed by acme 1\.0 and other 1\.0"):
            detect(describe("new", "NewForSequenceClassification"))


class TestLanguageModels:
    @pytest.mark.parametrize("model_type", ["mistral", "qwen2", "gemma"])
    def test_one_warning_says_what_is_assumed(self, detect, model_folder, caplog, model_type):
        caplog.set_level(logging.DEBUG, logger="FlagEmbedding")
        found = detect(describe(model_type, "AcmeForCausalLM"))
        assert found.model_class_reference == "core.decoder:LLMReranker"
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        (message,) = caplog.messages
        assert message == (
            f"{str(model_folder({}))!r} is not registered: assuming the prompt and the layout of LLMReranker. "
            "Set model_class= if it was trained otherwise."
        )

    def test_a_plugins_class_goes_before_the_cores(self, detect, claims, caplog):
        claims["decoder-only-acme"] = [Claim(ModelClass("acme:Chat", model_types=("qwen2",)), ACME)]
        assert detect(describe("qwen2", "Qwen2ForCausalLM")).model_class_reference == "acme:Chat"
        assert "the layout of Chat." in caplog.text
        assert detect(describe("mistral", "MistralForCausalLM")).model_class_reference == "core.decoder:LLMReranker"

    def test_a_class_for_classifiers_of_that_type_is_none_for_language_models(self, detect, claims):
        acme = ModelClass("acme:New", model_types=("new",), architecture="ForSequenceClassification")
        claims["encoder-only-acme"] = [Claim(acme, ACME)]
        with pytest.raises(CheckpointError, match="is no reranker that is known here"):
            detect(describe("new", "NewForCausalLM"))


class TestNoRerankers:
    @pytest.mark.parametrize(
        ("config", "said"),
        [
            (describe("bert", "BertModel"), "BertModel of type 'bert'"),
            (describe("mistral", "MistralModel"), "MistralModel of type 'mistral'"),
            (describe("bert", "BertForMaskedLM", "BertModel"), "BertForMaskedLM, BertModel of type 'bert'"),
            (describe("bert", "BertLMHeadModelForCausalLM"), "BertLMHeadModelForCausalLM of type 'bert'"),
            (describe("nobodys", "NobodysForCausalLM"), "NobodysForCausalLM of type 'nobodys'"),
            (describe("mistral"), "no architecture of type 'mistral'"),
            ({"model_type": "mistral", "architectures": None}, "no architecture of type 'mistral'"),
            ({"model_type": "mistral"}, "no architecture of type 'mistral'"),
            ({}, "no architecture of type 'None'"),
            (describe("bert", "BertForSequenceClassificationX"), "BertForSequenceClassificationX of type 'bert'"),
        ],
    )
    def test_what_the_files_say_and_where_an_embedder_is_loaded(self, detect, model_folder, config, said):
        with pytest.raises(CheckpointError) as caught:
            detect(config)
        assert str(caught.value) == (
            f"{str(model_folder({}))!r} is no reranker that is known here: its config.json names {said}, and a "
            "reranker is a SequenceClassification model or a language model of a known type. An embedding model is "
            "loaded with FlagAutoModel; for anything else say model_class=."
        )

    def test_without_config_json_it_is_no_model_folder(self, model_folder, claims):
        with pytest.raises(CheckpointError) as caught:
            detect_reranker(ModelFiles("acme/acme-rerank", model_folder({"README.json": {}})), {})
        assert str(caught.value) == "'acme/acme-rerank' has no config.json, so it is no model folder."


class TestTheCallersClass:
    @pytest.mark.parametrize("config", [CLASSIFIER, describe("bert", "BertModel"), describe("nobodys"), {}])
    def test_it_counts_whatever_the_files_say(self, detect, caplog, config):
        found = detect(config, {"tokenizer_config.json": {"model_max_length": 77}}, model_class="mine:Reranker")
        assert (found.model_class_reference, found.max_length) == ("mine:Reranker", 77)
        assert caplog.messages == []

    def test_nothing_is_assumed_about_a_language_model(self, detect, caplog):
        assert detect(describe("mistral", "MistralForCausalLM"), model_class="mine:Reranker").max_length is None
        assert caplog.messages == []

    def test_a_trust_of_the_caller_is_not_detections_business(self, detect):
        assert detect(CLASSIFIER, trust_remote_code=True).trust_remote_code is False


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"tokenizer_config.json": {}}, None),
        ({"tokenizer_config.json": {"model_max_length": 512}}, 512),
        ({"tokenizer_config.json": {"model_max_length": 8192}}, 8192),
        ({"tokenizer_config.json": {"model_max_length": None}}, None),
        ({"tokenizer_config.json": {"model_max_length": 0}}, None),
        ({"tokenizer_config.json": {"model_max_length": -1}}, None),
        ({"tokenizer_config.json": {"model_max_length": True}}, None),
        ({"tokenizer_config.json": {"model_max_length": "512"}}, None),
        ({"tokenizer_config.json": {"model_max_length": 512.0}}, None),
        # What is beyond 8192 is left to the class, which goes there only when it is asked to.
        ({"tokenizer_config.json": {"model_max_length": 131_072}}, None),
        ({"tokenizer_config.json": {"model_max_length": 10**30}}, None),
        ({"tokenizer_config.json": {"model_max_length": 1e30}}, None),
        ({"sentence_bert_config.json": {"max_seq_length": 9}}, None),
    ],
)
def test_max_length(detect, files, expected):
    assert detect(CLASSIFIER, files).max_length == expected


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", ["", "{", "[1]", '"text"', "null"])
def test_damaged_files_are_named(model_folder, claims, name, content):
    folder = model_folder({"config.json": CLASSIFIER, "tokenizer_config.json": {}, name: content})
    with pytest.raises(CheckpointError, match=rf"^{name.replace('.', r'[.]')} of "):
        detect_reranker(ModelFiles("acme/acme-rerank", folder), {})
