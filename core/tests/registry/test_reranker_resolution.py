"""Resolution of rerankers: the same steps as for embedders, and what becomes of a name of the other kind."""

from __future__ import annotations

import pytest

from FlagEmbedding.config import EmbedderConfig, ModelClass, RerankerConfig, RerankerModelClass
from FlagEmbedding.errors import (
    CheckpointError,
    ConfigError,
    InputError,
    ModelClassError,
    NameConflictError,
    PluginError,
    UnknownModelError,
    UnsupportedModelError,
)
from FlagEmbedding.registry import resolution
from FlagEmbedding.registry.mapping import EMBEDDERS, RERANKERS
from FlagEmbedding.registry.resolution import Resolution, resolve_embedder, resolve_reranker

HASH = "5617a9f61b028005a4858fdac845db406aefb181"
BASE = "FlagEmbedding.inference.reranker.encoder_only.base:BaseReranker"
LLM = "FlagEmbedding.inference.reranker.decoder_only.base:BaseLLMReranker"

RERANK = RerankerConfig(
    "acme.model:Reranker", hub_id="acme/acme-rerank", max_length=384, options={"truncation": "longest_first"}
)
REMOTE = RerankerConfig("acme.model:Reranker", trust_remote_code=True, hub_id="acme/acme-remote")
NOWHERE = RerankerConfig("acme.model:Reranker")
BROKEN = RerankerConfig("acme.model:Reranker", hub_id="acme/acme-broken", unsupported="Its code is old. Use another.")
EMBED = EmbedderConfig("acme.model:Embedder", "cls", hub_id="acme/acme-embed")
OLD = EmbedderConfig("acme.model:Embedder", "cls", hub_id="acme/acme-old", unsupported="Its code is old.")

CLASSIFIER = {"config.json": {"model_type": "bert", "architectures": ["BertForSequenceClassification"]}}
ENCODER = {"config.json": {"model_type": "bert", "architectures": ["BertModel"]}}
DECODER = {"config.json": {"model_type": "gpt2", "architectures": ["GPT2LMHeadModelForCausalLM"]}}


@pytest.fixture(autouse=True)
def registered(register, monkeypatch, tmp_path):
    """Register models of both kinds; stand in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return register(
        rerankers={"acme-rerank": RERANK, "acme-remote": REMOTE, "acme-nowhere": NOWHERE, "acme-broken": BROKEN},
        embedders={"acme-embed": EMBED, "acme-old": OLD},
    )


class TestSource:
    @pytest.mark.parametrize(
        ("name", "source"),
        [
            ("acme-rerank", "acme/acme-rerank"),
            ("ACME-Rerank/", "acme/acme-rerank"),
            ("acme/acme-rerank", "acme/acme-rerank"),
            ("someone/acme-rerank", "someone/acme-rerank"),
        ],
    )
    def test_a_bare_name_stands_for_the_official_hub_id_and_others_for_themselves(self, name, source):
        assert resolve_reranker(name) == Resolution(source, RERANK, "acme-rerank")

    @pytest.mark.parametrize(
        "folder",
        ["acme-rerank", "out/acme-rerank/checkpoint-500", f"models--acme--acme-rerank/snapshots/{HASH}"],
    )
    def test_a_local_folder_stands_for_itself_whatever_it_holds(self, model_folder, folder):
        path = model_folder({"config.json": "{"}, folder)
        assert resolve_reranker(path) == Resolution(str(path), RERANK, "acme-rerank")

    def test_a_classifier_that_nobody_registered(self, model_folder, caplog):
        path = model_folder({**CLASSIFIER, "tokenizer_config.json": {"model_max_length": 12}}, "acme-unknown")
        expected = RerankerConfig(BASE, max_length=12, source=f"detected from the files of {path}")
        assert resolve_reranker(path) == Resolution(str(path), expected, None)
        assert caplog.messages == []

    def test_a_language_model_that_nobody_registered(self, model_folder, caplog):
        path = model_folder(DECODER, "acme-unknown")
        assert resolve_reranker(path).config.model_class_reference == LLM
        (message,) = caplog.messages
        assert message == (
            f"{str(path)!r} is not registered: assuming the prompt and the layout of BaseLLMReranker. "
            "Set model_class= if it was trained otherwise."
        )

    def test_an_encoder_without_a_head(self, model_folder):
        path = model_folder(ENCODER, "acme-unknown")
        with pytest.raises(CheckpointError, match=r"is no reranker.*An embedding model is loaded with FlagAutoModel;"):
            resolve_reranker(path)

    def test_an_unknown_hub_id_is_fetched_with_the_callers_options_and_detected(self, monkeypatch, model_folder):
        asked = []
        folder = model_folder(CLASSIFIER, "fetched")
        monkeypatch.setattr(resolution, "fetch_settings", lambda *arguments: asked.append(arguments) or folder)
        found = resolve_reranker("acme/acme-unknown", hub_options={"revision": "v1"})
        assert (found.source, found.entry, found.config.model_class_reference) == ("acme/acme-unknown", None, BASE)
        assert asked == [("acme/acme-unknown", {"revision": "v1"})]

    def test_a_plugins_folder(self, register, model_folder):
        folder = model_folder(CLASSIFIER, "mirror")
        register(folders={"acme/acme-rerank": folder})
        assert resolve_reranker("acme-rerank") == Resolution(str(folder), RERANK, "acme-rerank")

    def test_a_locators_error_ends_the_load(self, register, tmp_path):
        register(folders={"acme/acme-rerank": tmp_path / "missing"})
        with pytest.raises(PluginError, match="which is no folder"):
            resolve_reranker("acme-rerank")


class TestOverrides:
    @pytest.mark.parametrize(
        ("given", "reference"),
        [
            ("encoder-only-base", BASE),
            (RerankerModelClass.DECODER_ONLY_BASE, LLM),
            ("encoder-only-mine", "mine.model:Reranker"),
            ("other.model:Reranker", "other.model:Reranker"),
        ],
    )
    def test_model_class_replaces_the_class_and_nothing_else(self, register, given, reference):
        register(
            reranker_classes={"encoder-only-mine": ModelClass("mine.model:Reranker")},
            classes={"encoder-only-mine": ModelClass("mine.model:Embedder")},
        )
        assert resolve_reranker("acme-rerank", given).config == RERANK.replace(model_class=reference)

    @pytest.mark.parametrize("files", [CLASSIFIER, DECODER, ENCODER])
    def test_model_class_for_a_model_that_nobody_registered(self, model_folder, caplog, files):
        found = resolve_reranker(model_folder(files, "acme-unknown"), "other.model:Reranker")
        assert found.config.model_class_reference == "other.model:Reranker"
        assert caplog.messages == []

    def test_an_unknown_model_class(self):
        with pytest.raises(ModelClassError, match="unknown reranker class 'encoder-only-nothing'"):
            resolve_reranker("acme-rerank", "encoder-only-nothing")

    def test_values_replace_what_is_registered_and_the_mapping_keeps_its_own(self):
        assert resolve_reranker("acme-rerank", overrides={"max_length": 7}).config == RERANK.replace(max_length=7)
        assert resolve_reranker("acme-rerank", overrides={"max_length": None}).config == RERANK
        assert RERANKERS["acme-rerank"] is RERANK

    def test_an_invalid_value_is_refused(self):
        with pytest.raises(ConfigError, match=r"max_length is a positive number.*, not 0"):
            resolve_reranker("acme-rerank", overrides={"max_length": 0})


class TestRemoteCode:
    @pytest.mark.parametrize("name", ["acme-remote", "Acme-Remote/", "acme/acme-remote"])
    def test_it_is_on_for_the_official_repository(self, caplog, name):
        assert resolve_reranker(name).config == REMOTE
        assert caplog.messages == []

    def test_it_is_off_for_a_fork_and_that_is_said(self, caplog):
        assert resolve_reranker("someone/acme-remote").config == REMOTE.replace(trust_remote_code=False)
        assert caplog.messages == [
            "'someone/acme-remote' is not 'acme-remote': its own code is not run. Say trust_remote_code=True to run it."
        ]

    @pytest.mark.parametrize("text", ["acme-remote", "acme/acme-remote", "out/acme-remote/checkpoint-9"])
    def test_it_is_off_for_a_folder_of_that_name(self, model_folder, caplog, text):
        model_folder(CLASSIFIER, text)
        assert resolve_reranker(text).config.trust_remote_code is False
        assert len(caplog.messages) == 1

    @pytest.mark.parametrize("name", ["acme-remote", "someone/acme-remote", "acme-rerank"])
    @pytest.mark.parametrize("wanted", [True, False])
    def test_the_caller_decides(self, caplog, name, wanted):
        assert resolve_reranker(name, overrides={"trust_remote_code": wanted}).config.trust_remote_code is wanted

    def test_it_is_never_on_for_a_detected_model(self, model_folder):
        assert resolve_reranker(model_folder(CLASSIFIER)).config.trust_remote_code is False


class TestTheOtherKind:
    @pytest.mark.parametrize("name", ["acme-embed", "ACME-Embed", "acme/acme-embed", "someone/acme-embed"])
    def test_an_embedder_is_sent_to_its_factory(self, name):
        with pytest.raises(UnknownModelError) as caught:
            resolve_reranker(name)
        assert str(caught.value) == (
            f"{name!r} names one of the embedders, and this loads rerankers. "
            f"Load it with FlagAutoModel.from_finetuned({name!r})."
        )

    @pytest.mark.parametrize("name", ["acme-rerank", "ACME-Rerank", "acme/acme-rerank", "someone/acme-rerank"])
    def test_a_reranker_is_sent_to_its_factory(self, name):
        with pytest.raises(ValueError, match="names one of the") as caught:
            resolve_embedder(name)
        assert type(caught.value) is UnknownModelError
        assert str(caught.value) == (
            f"{name!r} names one of the rerankers, and this loads embedders. "
            f"Load it with FlagAutoReranker.from_finetuned({name!r})."
        )

    def test_neither_the_hub_nor_a_locator_is_asked(self, monkeypatch, registered):
        monkeypatch.setattr(resolution, "fetch_settings", None)
        with pytest.raises(UnknownModelError, match="FlagAutoModel"):
            resolve_reranker("acme/acme-embed")
        assert registered.asked == []

    def test_a_name_of_both_kinds_is_each_in_its_place(self, register):
        register(embedders={"acme-both": EMBED}, rerankers={"acme-both": RERANK})
        assert resolve_embedder("acme-both").config == EMBED
        assert resolve_reranker("acme-both").config == RERANK

    def test_a_folder_is_what_its_files_say_whatever_it_is_called(self, model_folder):
        path = model_folder(CLASSIFIER, "acme-embed")
        assert resolve_reranker(path).config.model_class_reference == BASE

    @pytest.mark.parametrize("name", ["acme-embed", "acme/acme-embed"])
    def test_with_a_class_of_the_callers_the_name_is_asked_of_the_hub(self, monkeypatch, model_folder, name):
        folder = model_folder(ENCODER, "fetched")
        monkeypatch.setattr(resolution, "fetch_settings", lambda *_: folder)
        found = resolve_reranker(name, "other.model:Reranker")
        assert (found.source, found.entry, found.config.model_class_reference) == (name, None, "other.model:Reranker")

    def test_an_unknown_name_has_the_near_ones_of_its_kind_only(self, hint):
        hint()
        with pytest.raises(UnknownModelError, match=r"unknown model 'acme-reranc'.*Did you mean 'acme-rerank'"):
            resolve_reranker("acme-reranc")
        with pytest.raises(UnknownModelError) as caught:
            resolve_reranker("acme-embd")
        assert "'acme-embed'" not in str(caught.value)


class TestUnsupported:
    @pytest.mark.parametrize("name", ["acme-broken", "acme/acme-broken", "someone/acme-broken"])
    def test_it_says_so_at_once(self, monkeypatch, name):
        monkeypatch.setattr(resolution, "fetch_settings", None)
        with pytest.raises(ValueError, match="cannot be run here") as caught:
            resolve_reranker(name)
        assert type(caught.value) is UnsupportedModelError
        assert str(caught.value) == f"{name!r} cannot be run here: Its code is old. Use another."

    def test_an_embedder_too(self):
        with pytest.raises(UnsupportedModelError, match=r"^'acme-old' cannot be run here: Its code is old\.$"):
            resolve_embedder("acme-old")

    def test_a_folder_of_that_name_too(self, model_folder):
        with pytest.raises(UnsupportedModelError, match="Its code is old"):
            resolve_reranker(model_folder(CLASSIFIER, "acme-broken"))

    def test_not_with_a_class_of_the_callers(self):
        found = resolve_reranker("acme-broken", "other.model:Reranker")
        assert found.source == "acme/acme-broken"
        assert found.config == BROKEN.replace(model_class="other.model:Reranker")

    def test_no_other_override_helps(self):
        with pytest.raises(UnsupportedModelError):
            resolve_reranker("acme-broken", overrides={"trust_remote_code": True, "max_length": 9})


class TestErrors:
    @pytest.mark.parametrize("name", ["", "/", None, 3])
    def test_what_is_no_name(self, name):
        with pytest.raises(InputError):
            resolve_reranker(name)

    def test_a_registered_name_without_a_hub_id(self):
        with pytest.raises(UnknownModelError) as caught:
            resolve_reranker("acme-nowhere")
        assert str(caught.value) == (
            "'acme-nowhere' is registered by this process without a hub_id, and no plugin locates its files. "
            "Give a local folder, or set hub_id in its configuration."
        )

    def test_a_folder_without_config_json_in_the_way_of_a_registered_name(self, model_folder):
        model_folder({"README.json": {}}, "acme-rerank")
        with pytest.raises(CheckpointError, match=r"give its hub id 'acme/acme-rerank'\.$"):
            resolve_reranker("acme-rerank")

    @pytest.mark.parametrize("name", ["acme-rerank", "someone/acme-rerank"])
    def test_a_name_that_two_plugins_register(self, register, name):
        register(rerankers={"acme-rerank": RERANK})
        with pytest.raises(NameConflictError, match="the reranker 'acme-rerank' is claimed by this process and this"):
            resolve_reranker(name)


class TestTheMappingOfRerankers:
    @pytest.mark.usefixtures("registering")
    def test_it_takes_configurations_of_rerankers_only(self):
        with pytest.raises(ConfigError) as caught:
            RERANKERS["acme-new"] = EMBED
        assert (
            str(caught.value) == "the reranker 'acme-new' needs RerankerConfig(model_class, ...), not EmbedderConfig."
        )
        RERANKERS["acme-new"] = RERANK
        assert resolve_reranker("acme-new").entry == "acme-new"
        assert "acme-new" not in EMBEDDERS

    def test_it_is_the_mapping_at_the_import_path_that_programs_know(self):
        from FlagEmbedding.inference.reranker import model_mapping  # noqa: PLC0415 - what is tested

        assert model_mapping.AUTO_RERANKER_MAPPING is RERANKERS
        assert model_mapping.RerankerConfig is RerankerConfig
        assert model_mapping.RerankerModelClass is RerankerModelClass
        assert "acme-rerank" in RERANKERS
        assert repr(RERANKERS) == f"<ModelMapping of {len(RERANKERS)} reranker names>"
