"""FlagAutoReranker: on folders that nobody registered, and on names with what the catalogue says of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from FlagEmbedding import FlagAutoModel, FlagAutoReranker, FlagLLMReranker, FlagReranker, RerankerModelClass
from FlagEmbedding.config import RerankerConfig
from FlagEmbedding.errors import (
    CheckpointError,
    DownloadError,
    ModelClassError,
    OptionError,
    UnknownModelError,
    UnsupportedModelError,
)
from FlagEmbedding.registry import resolution
from FlagEmbedding.registry.mapping import RERANKERS

SAID = {"use_fp16": False, "trust_remote_code": False}
PAIRS = [("river", "stone"), ("light of the", "seven garden window " * 9)]


class Recording:
    """A model class that keeps what it was constructed with."""

    def __init__(self, *arguments, **options):
        self.arguments, self.options = arguments, options


@pytest.fixture
def classifier(tiny, tmp_path):
    return str(tiny.build_classifier(tmp_path / "classifier", "bert"))


@pytest.fixture
def assigned(registering):
    """Return a function that registers a reranker ``acme-rerank`` for the test."""

    def assign(model_class=Recording, **values):
        RERANKERS["acme-rerank"] = RerankerConfig(model_class, hub_id="acme/acme-rerank", **values)

    return assign


def load(**options):
    return FlagAutoReranker.from_finetuned("acme-rerank", **options).options


def same(one, other):
    return max(abs(first - second) for first, second in zip(one, other, strict=True)) <= 1e-6


def test_the_factory_makes_rerankers_and_is_none():
    with pytest.raises(ModelClassError, match=r"call FlagAutoReranker\.from_finetuned\(name\)\.$"):
        FlagAutoReranker()


def test_a_classifier_is_a_cross_encoder(classifier, caplog):
    model = FlagAutoReranker.from_finetuned(classifier, devices="cpu")
    assert type(model) is FlagReranker
    assert same(model.compute_score(PAIRS), FlagReranker(classifier).compute_score(PAIRS))
    assert caplog.messages == []


def test_a_language_model_says_yes_and_a_warning_says_that_it_does(tiny, tmp_path, caplog):
    folder = tiny.build_language_model(tmp_path / "model", "gemma2")
    tiny.change_json(folder / "tokenizer_config.json", model_max_length=10**30)
    model = FlagAutoReranker.from_finetuned(folder, prompt="Well?")
    assert type(model) is FlagLLMReranker
    assert same(model.compute_score(PAIRS), FlagLLMReranker(str(folder), prompt="Well?").compute_score(PAIRS))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "assuming the prompt and the layout of BaseLLMReranker" in caplog.text


def test_the_length_in_the_files_counts(tiny, classifier):
    tiny.change_json(Path(classifier) / "tokenizer_config.json", model_max_length=9)
    found = FlagAutoReranker.from_finetuned(classifier)
    assert found.max_length == 9
    assert same(found.compute_score(PAIRS), FlagReranker(classifier).compute_score(PAIRS, max_length=9))
    assert FlagAutoReranker.from_finetuned(classifier, max_length=11).max_length == 11


@pytest.mark.parametrize("key", ["encoder-only-base", RerankerModelClass.ENCODER_ONLY_BASE])
def test_a_class_of_the_callers(tiny, tmp_path, key, caplog):
    folder = tiny.build_classifier(tmp_path / "model", "bert")
    tiny.change_json(folder / "config.json", architectures=["BertModel"])
    with pytest.raises(CheckpointError, match="is no reranker that is known here"):
        FlagAutoReranker.from_finetuned(str(folder))
    assert type(FlagAutoReranker.from_finetuned(str(folder), key)) is FlagReranker
    assert caplog.messages == []


def test_options_of_the_class_are_passed_on(classifier):
    model = FlagAutoReranker.from_finetuned(
        classifier, use_fp16=True, normalize=True, batch_size=3, query_max_length=5, device="cpu", use_bf16=True
    )
    assert (model.normalize, model.batch_size, model.query_max_length, model.use_fp16) == (True, 3, 5, True)
    assert model.model.dtype.itemsize == 2


def test_an_unknown_option_of_the_class(classifier):
    with pytest.raises(
        OptionError, match=r"^BaseReranker got an unknown option 'normalise'\. Did you mean 'normalize'"
    ):
        FlagAutoReranker.from_finetuned(classifier, normalise=True)


class TestTheCatalogue:
    def test_the_class_gets_the_source_and_what_is_known(self, assigned):
        assigned(max_length=384, options={"truncation": "longest_first", "normalize": True})
        model = FlagAutoReranker.from_finetuned("acme-rerank")
        assert model.arguments == ("acme/acme-rerank",)
        expected = {"max_length": 384, "truncation": "longest_first", "normalize": True}
        assert model.options == {**SAID, **expected}

    def test_what_the_catalogue_leaves_open_is_left_to_the_class(self, assigned):
        assigned()
        assert load() == SAID

    def test_what_the_caller_says_goes_before(self, assigned):
        assigned(max_length=384, options={"truncation": "longest_first", "normalize": True})
        found = load(max_length=7, normalize=False, use_fp16=True, batch_size=3)
        assert found == {
            "trust_remote_code": False,
            "use_fp16": True,
            "max_length": 7,
            "truncation": "longest_first",
            "normalize": False,
            "batch_size": 3,
        }

    def test_options_of_the_hub_are_passed_on(self, assigned):
        assigned()
        hub = {"cache_dir": "/cache", "revision": "v1", "token": "secret", "local_files_only": True}
        assert load(**hub) == {**SAID, **hub}

    def test_the_hub_is_asked_for_an_unknown_model_with_the_callers_options(self, monkeypatch):
        asked = []

        def fetch(*arguments):
            asked.append(arguments)
            raise DownloadError("no network")

        monkeypatch.setattr(resolution, "fetch_settings", fetch)
        with pytest.raises(DownloadError, match=r"^no network$"):
            FlagAutoReranker.from_finetuned("acme/unknown", revision="v1", token=None, batch_size=3)
        assert asked == [("acme/unknown", {"revision": "v1", "token": None})]

    @pytest.mark.parametrize(
        ("registered", "wanted", "expected"),
        [(True, None, True), (True, False, False), (False, None, False), (False, True, True)],
    )
    def test_remote_code(self, assigned, registered, wanted, expected):
        assigned(trust_remote_code=registered)
        assert load(trust_remote_code=wanted)["trust_remote_code"] is expected

    def test_options_reach_a_real_class(self, assigned, classifier):
        assigned(FlagReranker, options={"truncation": "longest_first", "normalize": True}, max_length=12)
        RERANKERS["classifier"] = RERANKERS["acme-rerank"]  # the name of the folder
        model = FlagAutoReranker.from_finetuned(classifier)
        expected = FlagReranker(classifier).compute_score(
            PAIRS, truncation="longest_first", normalize=True, max_length=12
        )
        assert same(model.compute_score(PAIRS), expected)

    def test_options_that_the_class_does_not_know(self, assigned, classifier):
        assigned(FlagReranker, options={"prompt": "?"})
        RERANKERS["classifier"] = RERANKERS["acme-rerank"]
        with pytest.raises(OptionError, match="unknown option 'prompt'"):
            FlagAutoReranker.from_finetuned(classifier)

    def test_a_model_that_cannot_be_run(self, assigned):
        assigned(unsupported="Its code is old.")
        with pytest.raises(UnsupportedModelError, match=r"^'acme-rerank' cannot be run here: Its code is old\.$"):
            FlagAutoReranker.from_finetuned("acme-rerank")

    def test_a_reranker_given_to_the_factory_of_embedders(self, assigned):
        assigned()
        with pytest.raises(UnknownModelError, match=r"FlagAutoReranker\.from_finetuned\('acme-rerank'\)\.$"):
            FlagAutoModel.from_finetuned("acme-rerank")


def test_an_embedder_given_to_the_factory_of_rerankers(checkpoint, tmp_path):
    folder = shutil.copytree(checkpoint("xlm-roberta"), tmp_path / "model")
    with pytest.raises(CheckpointError, match="An embedding model is loaded with FlagAutoModel"):
        FlagAutoReranker.from_finetuned(str(folder))
