"""Model classes by key, and which class loads a model type: for embedders and for rerankers alike."""

from __future__ import annotations

from enum import Enum

import pytest

from FlagEmbedding.claims import Claim
from FlagEmbedding.config import EmbedderModelClass, ModelClass, RerankerModelClass
from FlagEmbedding.errors import ModelClassError, NameConflictError
from FlagEmbedding.plugins import builtin
from FlagEmbedding.registry.classes import EMBEDDER_CLASSES, RERANKER_CLASSES, ClassTable

ACME = ModelClass("json:JSONEncoder")
OTHER = ModelClass("json:JSONDecoder")

DECODERS = ["mistral", "llama", "qwen2", "qwen3", "gemma", "gemma2", "phi3", "gpt2", "opt"]


class Key(Enum):
    ACME = "encoder-only-acme"


@pytest.fixture(params=["embedder", "reranker"])
def kind(request):
    return request.param


@pytest.fixture
def table(kind):
    return {"embedder": EMBEDDER_CLASSES, "reranker": RERANKER_CLASSES}[kind]


@pytest.fixture
def add(register, kind):
    """Return a function that registers classes of the kind that is tested."""
    field = {"embedder": "classes", "reranker": "reranker_classes"}[kind]
    return lambda classes: register(**{field: classes})


def cores(kind):
    """Return the table of the core's own classes, whatever plugins are installed."""
    hook = getattr(builtin, f"flagembedding_{kind}_classes")
    return ClassTable(kind, lambda: {key: [Claim(value, builtin.OWNER)] for key, value in hook().items()})


class TestKeys:
    @pytest.mark.parametrize("key", ["encoder-only-acme", Key.ACME])
    def test_a_key_of_a_plugin(self, table, add, key):
        add({"encoder-only-acme": ACME})
        assert table.reference(key) == "json:JSONEncoder"

    @pytest.mark.parametrize(
        ("table", "key", "reference"),
        [
            (EMBEDDER_CLASSES, EmbedderModelClass.ENCODER_ONLY_BASE, "embedder.encoder_only.base:BaseEmbedder"),
            (EMBEDDER_CLASSES, EmbedderModelClass.DECODER_ONLY_BASE, "embedder.decoder_only.base:BaseLLMEmbedder"),
            (RERANKER_CLASSES, RerankerModelClass.ENCODER_ONLY_BASE, "reranker.encoder_only.base:BaseReranker"),
            (RERANKER_CLASSES, RerankerModelClass.DECODER_ONLY_BASE, "reranker.decoder_only.base:BaseLLMReranker"),
        ],
    )
    @pytest.mark.parametrize("write", [str, lambda key: key])
    def test_a_key_of_the_core_means_a_class_of_each_kind(self, table, key, write, reference):
        assert table.reference(write(key)) == f"FlagEmbedding.inference.{reference}"

    def test_a_reference_stands_for_itself(self, table):
        assert table.reference("acme.model:Class") == "acme.model:Class"

    def test_the_kinds_do_not_see_each_others_keys(self, register):
        register(classes={"encoder-only-acme": ACME}, reranker_classes={"encoder-only-other": OTHER})
        with pytest.raises(ModelClassError, match=r"^unknown reranker class 'encoder-only-acme'\."):
            RERANKER_CLASSES.reference("encoder-only-acme")
        with pytest.raises(ModelClassError, match=r"^unknown embedder class 'encoder-only-other'\."):
            EMBEDDER_CLASSES.reference("encoder-only-other")

    def test_an_unknown_key_names_the_near_and_the_known(self, table, kind, add):
        add({"encoder-only-acme": ACME})
        with pytest.raises(ModelClassError) as caught:
            table.reference("encoder_only_acme")
        message = str(caught.value)
        assert message.startswith(f"unknown {kind} class 'encoder_only_acme'. Did you mean 'encoder-only-acme'")
        assert "encoder-only-acme, encoder-only-base" in message.partition("Known: ")[2]

    def test_an_unknown_key_that_is_near_none(self, table, kind):
        with pytest.raises(ModelClassError, match=rf"^unknown {kind} class 'qqqqqqqqqqqqqqqqq'\. Known: "):
            table.reference("q" * 17)

    def test_a_key_that_a_distribution_would_bring(self, table, hint):
        hint(model_classes={"Encoder-Only-Hinted": "flagembedding-hinted"})
        with pytest.raises(ModelClassError) as caught:
            table.reference("encoder-only-hinted")
        assert str(caught.value) == (
            "the model class 'encoder-only-hinted' comes with flagembedding-hinted. "
            "Run: pip install flagembedding-hinted"
        )

    def test_a_key_that_two_plugins_register(self, table, kind, add):
        add({"encoder-only-acme": ACME})
        add({"encoder-only-acme": OTHER})
        with pytest.raises(
            NameConflictError, match=f"the {kind} class 'encoder-only-acme' is claimed by this process and"
        ):
            table.reference("encoder-only-acme")


class TestModelTypes:
    @pytest.mark.parametrize("model_type", DECODERS)
    def test_decoders_of_the_core(self, model_type):
        embedder, reranker = (found.of_model_type(model_type) for found in (cores("embedder"), cores("reranker")))
        assert embedder.reference == "FlagEmbedding.inference.embedder.decoder_only.base:BaseLLMEmbedder"
        assert embedder.pooling == "last_token"
        assert reranker.reference == "FlagEmbedding.inference.reranker.decoder_only.base:BaseLLMReranker"
        assert reranker.architecture == "ForCausalLM"

    @pytest.mark.parametrize("model_type", ["bert", "nobodys", "None", "mistral3"])
    def test_every_other_type_is_nobodys(self, table, model_type):
        assert table.of_model_type(model_type) is None

    def test_the_cores_own_class_is_there_for_those(self):
        own = EMBEDDER_CLASSES.own("encoder-only-base")
        assert own.reference == "FlagEmbedding.inference.embedder.encoder_only.base:BaseEmbedder"
        assert own.pooling == "cls"

    def test_the_cores_own_class_is_its_own_though_a_plugin_claims_the_key(self, table, add, kind):
        add({"encoder-only-base": ACME})
        assert table.own("encoder-only-base").reference.startswith(f"FlagEmbedding.inference.{kind}.encoder_only.")

    def test_a_type_that_a_plugin_claims(self, table, add):
        acme = ModelClass("json:JSONEncoder", model_types=("acme", "acme2"), pooling="mean")
        add({"encoder-only-acme": acme})
        assert table.of_model_type("acme2") == acme

    def test_a_type_that_two_plugins_claim(self, table, add):
        add({"encoder-only-acme": ModelClass("json:JSONEncoder", model_types=("bert",))})
        add({"encoder-only-other": ModelClass("json:JSONEncoder", model_types=("bert",))})
        with pytest.raises(
            NameConflictError, match="the model type 'bert' is claimed by this process and this process"
        ):
            table.of_model_type("bert")

    def test_the_cores_claim_gives_way_to_a_plugins(self, table, add):
        acme = ModelClass("json:JSONEncoder", model_types=("mistral",))
        add({"decoder-only-acme": acme})
        assert table.of_model_type("mistral") == acme
        assert table.of_model_type("qwen2") == table.own("decoder-only-base")

    def test_to_two_plugins_it_does_not_give_way(self, table, add):
        for _ in range(2):
            add({"decoder-only-acme": ModelClass("json:JSONEncoder", model_types=("mistral",))})
        with pytest.raises(
            NameConflictError, match=r"the model type 'mistral' is claimed by this process and this process\."
        ):
            table.of_model_type("mistral")


class TestArchitectures:
    CLASSIFIER = ModelClass("json:JSONEncoder", model_types=("acme", "bert"), architecture="ForSequenceClassification")
    LANGUAGE_MODEL = ModelClass("json:JSONDecoder", model_types=("acme",))

    @pytest.fixture
    def acme(self):
        claims = {"a": [Claim(self.CLASSIFIER, "acme 1.0")], "b": [Claim(self.LANGUAGE_MODEL, "other 1.0")]}
        return ClassTable("reranker", lambda: claims)

    def test_one_type_may_have_a_class_for_each(self, acme):
        assert acme.of_model_type("acme", "ForSequenceClassification") == self.CLASSIFIER
        assert acme.of_model_type("acme", "ForCausalLM") == self.LANGUAGE_MODEL

    def test_a_class_for_another_architecture_is_none(self, acme):
        assert acme.of_model_type("bert", "ForSequenceClassification") == self.CLASSIFIER
        assert acme.of_model_type("bert", "ForCausalLM") is None

    def test_without_one_any_counts(self, acme):
        assert acme.of_model_type("bert") == self.CLASSIFIER
        with pytest.raises(NameConflictError, match=r"'acme' is claimed by acme 1\.0 and other 1\.0"):
            acme.of_model_type("acme")


def test_every_claim_of_every_key_in_order():
    claims = {"b": [Claim(OTHER, "other 1.0"), Claim(ACME, "acme 1.0")], "a": [Claim(ACME, "this process")]}
    assert ClassTable("embedder", lambda: claims).claims() == [*claims["b"], *claims["a"]]
