"""Resolution: from a name to what is loaded, and how."""

from __future__ import annotations

import pytest

from FlagEmbedding.config import EmbedderConfig, EmbedderModelClass, ModelClass, PoolingMethod
from FlagEmbedding.errors import (
    CheckpointError,
    ConfigError,
    DownloadError,
    InputError,
    ModelClassError,
    NameConflictError,
    PluginError,
    UnknownModelError,
)
from FlagEmbedding.plugins.records import PluginRecord, Status
from FlagEmbedding.registry import resolution, unknown
from FlagEmbedding.registry.mapping import EMBEDDERS
from FlagEmbedding.registry.resolution import Resolution, resolve_embedder

HASH = "5617a9f61b028005a4858fdac845db406aefb181"

EMBED = EmbedderConfig(
    "acme.model:Embedder",
    PoolingMethod.MEAN,
    query_instruction_format="<{}>{}",
    hub_id="acme/acme-embed",
    query_instruction="query: ",
    max_length=384,
    dimension=4,
)
REMOTE = EmbedderConfig("acme.model:Embedder", "cls", trust_remote_code=True, hub_id="acme/acme-remote")
NOWHERE = EmbedderConfig("acme.model:Embedder", "cls")

ENCODER = {"config.json": {"model_type": "bert"}}
MEAN = {
    **ENCODER,
    "modules.json": [
        {"type": "sentence_transformers.models.Transformer", "path": ""},
        {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"},
    ],
    "1_Pooling/config.json": {"pooling_mode": "mean"},
}


DENSE = {
    "modules.json": [*MEAN["modules.json"], {"type": "sentence_transformers.models.Dense", "path": "2_Dense"}],
}


@pytest.fixture
def cached(model_folder, tmp_path):
    """``cached(hub id, files)`` puts a repository into a cache of the hub's, and gives the options that ask it."""

    def written(hub_id, files):
        repository = f"cache/models--{hub_id.replace('/', '--')}"
        model_folder(files, f"{repository}/snapshots/{HASH}")
        model_folder({"refs/main": HASH}, repository)
        return {"cache_dir": str(tmp_path / "cache")}

    return written


@pytest.fixture(autouse=True)
def registered(register, monkeypatch, tmp_path):
    """Register three models; stand in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return register(embedders={"acme-embed": EMBED, "acme-remote": REMOTE, "acme-nowhere": NOWHERE})


class TestSource:
    @pytest.mark.parametrize(
        ("name", "source"),
        [
            ("acme-embed", "acme/acme-embed"),
            ("acme-embed/", "acme/acme-embed"),
            ("ACME-Embed", "acme/acme-embed"),
            ("acme/acme-embed", "acme/acme-embed"),
            ("acme/acme-embed//", "acme/acme-embed"),
            ("ACME/acme-embed", "ACME/acme-embed"),
        ],
    )
    def test_a_bare_name_stands_for_the_official_hub_id_and_hub_ids_for_themselves(self, name, source):
        assert resolve_embedder(name) == Resolution(source, EMBED, "acme-embed")

    def test_a_fork_on_the_hub_keeps_the_layers_that_were_added(self, cached):
        options = cached("someone/acme-embed", {**ENCODER, **DENSE})
        found = resolve_embedder("someone/acme-embed", hub_options=options)
        changed = EMBED.replace(options={"modules": (("Dense", "2_Dense"),)})
        assert found == Resolution("someone/acme-embed", changed, "acme-embed")

    def test_a_fork_on_the_hub_with_modules_that_cannot_be_run_is_refused(self, cached):
        wrong = {"2_Dense/config.json": {"module_input_name": "token_embeddings"}}
        options = cached("someone/acme-embed", {**ENCODER, **DENSE, **wrong})
        with pytest.raises(CheckpointError, match=r"2_Dense/config\.json of 'someone/acme-embed' says module_inp"):
            resolve_embedder("someone/acme-embed", hub_options=options)

    def test_a_hub_id_that_is_registered_as_a_name_is_no_fork(self, register):
        register(embedders={"someone/acme-embed": NOWHERE})
        assert resolve_embedder("someone/acme-embed") == Resolution("someone/acme-embed", NOWHERE, "someone/acme-embed")

    def test_a_fork_on_the_hub_is_fetched_with_the_callers_options(self, tmp_path):
        with pytest.raises(DownloadError, match=r"^'someone/acme-embed' is not in the local cache"):
            resolve_embedder("someone/acme-embed", hub_options={"cache_dir": str(tmp_path)})

    @pytest.mark.parametrize(
        "folder",
        [
            "acme-embed",
            "models/acme-embed",
            "someone/acme-embed",
            "acme/acme-embed",
            "out/acme-embed/checkpoint-500",
            f"models--acme--acme-embed/snapshots/{HASH}",
        ],
    )
    @pytest.mark.parametrize("write", [str, lambda path: path, lambda path: f"{path}/"])
    def test_a_local_folder_stands_for_itself_whatever_it_is_called(self, model_folder, folder, write):
        path = model_folder(ENCODER, folder)
        assert resolve_embedder(write(path)) == Resolution(str(path), EMBED, "acme-embed")

    @pytest.mark.parametrize("text", ["acme-embed", "acme/acme-embed", "./acme-embed", "out/acme-embed/checkpoint-3"])
    def test_a_relative_folder_too(self, model_folder, text):
        model_folder(ENCODER, text)
        assert resolve_embedder(text) == Resolution(text, EMBED, "acme-embed")

    def test_the_files_of_a_registered_model_are_not_read(self, model_folder):
        path = model_folder({"config.json": "{"}, "acme-embed")
        assert resolve_embedder(path).config == EMBED

    def test_a_fine_tune_of_a_registered_model_keeps_the_layers_that_were_added(self, model_folder, tmp_path):
        for folder in ("acme-embed", "acme-embed/checkpoint-20"):
            path = model_folder({**ENCODER, **DENSE}, folder)
            changed = EMBED.replace(options={"modules": (("Dense", "2_Dense"),)})
            assert resolve_embedder(path) == Resolution(str(path), changed, "acme-embed")

    @pytest.mark.parametrize("kind", ["sentence_transformers.models.Normalize", "custom_st.Transformer"])
    def test_other_modules_of_a_registered_model_are_its_catalogues_business(self, model_folder, kind):
        path = model_folder({**ENCODER, "modules.json": [{"type": kind, "path": ""}]}, "acme-embed")
        assert resolve_embedder(path) == Resolution(str(path), EMBED, "acme-embed")

    def test_another_folder_is_detected(self, model_folder):
        path = model_folder({**MEAN, "sentence_bert_config.json": {"max_seq_length": 12}}, "acme-unknown")
        expected = EmbedderConfig(
            "FlagEmbedding.inference.embedder.encoder_only.base:BaseEmbedder",
            PoolingMethod.MEAN,
            max_length=12,
            source=f"detected from the files of {path}",
        )
        assert resolve_embedder(path) == Resolution(str(path), expected, None)

    def test_a_model_in_the_working_folder(self, model_folder, monkeypatch):
        monkeypatch.chdir(model_folder(MEAN, "acme-unknown"))
        found = resolve_embedder(".")
        assert (found.source, found.entry, found.config.pooling_method) == (".", None, PoolingMethod.MEAN)

    def test_an_unknown_hub_id_is_fetched_with_the_callers_options_and_detected(self, monkeypatch, model_folder):
        asked = []
        folder = model_folder(MEAN, "fetched")
        monkeypatch.setattr(resolution, "fetch_settings", lambda *arguments: asked.append(arguments) or folder)
        found = resolve_embedder("acme/acme-unknown", hub_options={"revision": "v1", "token": None})
        assert (found.source, found.entry) == ("acme/acme-unknown", None)
        assert found.config.pooling_method is PoolingMethod.MEAN
        assert found.config.source == "detected from the files of acme/acme-unknown"
        assert asked == [("acme/acme-unknown", {"revision": "v1", "token": None})]

    def test_a_registered_hub_id_is_not_fetched(self, monkeypatch):
        monkeypatch.setattr(resolution, "fetch_settings", None)
        assert resolve_embedder("acme/acme-embed").source == "acme/acme-embed"

    def test_an_unknown_hub_id_offline(self, tmp_path):
        with pytest.raises(DownloadError, match=r"^'acme/acme-unknown' is not in the local cache"):
            resolve_embedder("acme/acme-unknown", hub_options={"cache_dir": str(tmp_path)})

    def test_a_bare_name_with_a_class_is_asked_of_the_hub(self, tmp_path):
        with pytest.raises(DownloadError, match=r"^'acme-custom' is not in the local cache"):
            resolve_embedder("acme-custom", "encoder-only-base", hub_options={"cache_dir": str(tmp_path)})


class TestRemoteCode:
    @pytest.mark.parametrize("name", ["acme-remote", "acme-remote/", "Acme-Remote", "acme/acme-remote"])
    def test_it_is_on_for_the_official_repository(self, caplog, name):
        assert resolve_embedder(name).config == REMOTE
        assert caplog.messages == []

    @pytest.mark.parametrize("name", ["someone/acme-remote", "someone/ACME-REMOTE"])
    def test_it_is_off_for_a_fork_and_that_is_said(self, caplog, name, cached):
        options = cached(name, ENCODER)
        assert resolve_embedder(name, hub_options=options).config == REMOTE.replace(trust_remote_code=False)
        assert caplog.messages == [
            f"{name!r} is not 'acme-remote': its own code is not run. Say trust_remote_code=True to run it."
        ]

    @pytest.mark.parametrize(
        "text", ["acme-remote", "acme/acme-remote", "./acme-remote", f"models--acme--acme-remote/snapshots/{HASH}"]
    )
    def test_it_is_off_for_a_folder_of_that_name(self, model_folder, caplog, text):
        model_folder(ENCODER, text)
        assert resolve_embedder(text).config == REMOTE.replace(trust_remote_code=False)
        assert len(caplog.messages) == 1

    @pytest.mark.parametrize("name", ["acme-remote", "someone/acme-remote", "acme-embed", "someone/acme-embed"])
    @pytest.mark.parametrize("wanted", [True, False])
    def test_the_caller_decides(self, name, wanted, cached):
        options = cached(name, ENCODER)
        found = resolve_embedder(name, overrides={"trust_remote_code": wanted}, hub_options=options)
        assert found.config.trust_remote_code is wanted

    @pytest.mark.parametrize(("wanted", "expected"), [(True, True), (None, False)])
    def test_the_caller_decides_for_a_folder(self, model_folder, wanted, expected):
        for folder in ("acme-remote", "acme-unknown"):
            found = resolve_embedder(model_folder(MEAN, folder), overrides={"trust_remote_code": wanted})
            assert found.config.trust_remote_code is expected

    def test_it_is_on_for_a_plugins_copy_of_the_official_repository(self, register, model_folder):
        folder = model_folder(ENCODER, "mirror")
        register(folders={"acme/acme-remote": folder})
        assert resolve_embedder("acme-remote") == Resolution(str(folder), REMOTE, "acme-remote")

    def test_it_is_off_for_a_plugins_copy_of_a_fork(self, register, model_folder):
        register(folders={"someone/acme-remote": model_folder(ENCODER, "mirror")})
        assert resolve_embedder("someone/acme-remote").config.trust_remote_code is False


class TestOverrides:
    @pytest.mark.parametrize(
        ("given", "reference"),
        [
            ("encoder-only-base", "FlagEmbedding.inference.embedder.encoder_only.base:BaseEmbedder"),
            (EmbedderModelClass.ENCODER_ONLY_BASE, "FlagEmbedding.inference.embedder.encoder_only.base:BaseEmbedder"),
            ("encoder-only-mine", "mine.model:Embedder"),
            ("other.model:Embedder", "other.model:Embedder"),
        ],
    )
    def test_model_class_replaces_the_class_and_nothing_else(self, register, given, reference):
        register(classes={"encoder-only-mine": ModelClass("mine.model:Embedder")})
        assert resolve_embedder("acme-embed", given).config == EMBED.replace(model_class=reference)

    def test_model_class_for_a_detected_model(self, model_folder):
        found = resolve_embedder(model_folder(MEAN, "acme-unknown"), "other.model:Embedder").config
        assert (found.model_class_reference, found.pooling_method) == ("other.model:Embedder", PoolingMethod.MEAN)

    def test_an_unknown_model_class(self):
        with pytest.raises(ModelClassError, match="unknown embedder class 'encoder-only-nothing'"):
            resolve_embedder("acme-embed", "encoder-only-nothing")

    def test_values_replace_what_is_registered(self):
        overrides = {"pooling_method": "cls", "query_instruction_format": "{} {}", "max_length": 7}
        assert resolve_embedder("acme-embed", overrides=overrides).config == EMBED.replace(**overrides)

    def test_values_that_are_false_count(self):
        assert resolve_embedder("acme-embed", overrides={"query_instruction": ""}).config == EMBED.replace(
            query_instruction=""
        )

    def test_none_changes_nothing(self):
        overrides = {"pooling_method": None, "query_instruction_format": None, "trust_remote_code": None}
        assert resolve_embedder("acme-embed", None, overrides).config == EMBED

    def test_the_mapping_keeps_its_value(self):
        resolve_embedder("acme-embed", overrides={"pooling_method": "cls"})
        assert EMBEDDERS["acme-embed"] is EMBED

    def test_an_invalid_value_is_refused(self):
        with pytest.raises(ConfigError, match=r"max_length is a positive number.*, not 0"):
            resolve_embedder("acme-embed", overrides={"max_length": 0})

    def test_an_unsupported_pooling_can_be_replaced_as_its_error_says(self, model_folder):
        path = model_folder({**MEAN, "1_Pooling/config.json": {"pooling_mode": "acme"}}, "acme-unknown")
        with pytest.raises(CheckpointError, match="Name a registered pooling function with pooling_method="):
            resolve_embedder(path)
        found = resolve_embedder(path, overrides={"pooling_method": "acme-own"})
        assert found.config.pooling_method == "acme-own"

    def test_nothing_is_assumed_about_a_pooling_that_the_caller_names(self, model_folder, caplog):
        path = model_folder(ENCODER, "acme-unknown")
        assert resolve_embedder(path, overrides={"pooling_method": "mean"}).config.pooling_method == "mean"
        assert caplog.messages == []


class TestLocators:
    @pytest.fixture
    def mirror(self, register, model_folder):
        folder = model_folder(MEAN, "mirror")
        names = ("acme/acme-embed", "someone/acme-embed", "acme/acme-unknown", "acme-nowhere", "acme-custom")
        return str(folder), register(folders=dict.fromkeys(names, folder))

    @pytest.mark.parametrize(
        ("name", "asked"),
        [
            ("acme-embed", "acme/acme-embed"),
            ("acme/acme-embed", "acme/acme-embed"),
            ("someone/acme-embed", "someone/acme-embed"),
        ],
    )
    def test_a_registered_model_is_loaded_from_the_folder(self, mirror, name, asked):
        folder, plugin = mirror
        assert resolve_embedder(name) == Resolution(folder, EMBED, "acme-embed")
        assert plugin.asked == [asked]

    def test_a_registered_model_without_a_hub_id_too(self, mirror):
        folder, plugin = mirror
        assert resolve_embedder("acme-nowhere") == Resolution(folder, NOWHERE, "acme-nowhere")
        assert plugin.asked == ["acme-nowhere"]

    @pytest.mark.parametrize("name", ["acme/acme-unknown", "acme-custom"])
    def test_a_model_that_nobody_registered_is_detected_there(self, mirror, name):
        folder, plugin = mirror
        found = resolve_embedder(name)
        assert (found.source, found.entry, found.config.pooling_method) == (folder, None, PoolingMethod.MEAN)
        assert plugin.asked == [name]

    @pytest.mark.parametrize("name", ["acme-embed", "acme/acme-embed"])
    def test_a_local_folder_is_not_asked_for(self, mirror, model_folder, name):
        _, plugin = mirror
        model_folder(ENCODER, name)
        assert resolve_embedder(name).source == name
        assert plugin.asked == []

    def test_its_error_ends_the_load(self, register, tmp_path):
        register(folders={"acme/acme-embed": tmp_path / "missing"})
        with pytest.raises(PluginError, match=r"located 'acme/acme-embed' in .* which is no folder"):
            resolve_embedder("acme-embed")


class TestErrors:
    @pytest.mark.parametrize("name", ["", "/", None, 3])
    def test_what_is_no_name(self, name):
        with pytest.raises(InputError):
            resolve_embedder(name)

    def test_an_unknown_name_is_a_value_error_with_the_names_that_are_near(self, hint):
        hint()
        with pytest.raises(ValueError, match="unknown model 'acme-embeded'") as caught:
            resolve_embedder("acme-embeded")
        assert type(caught.value) is UnknownModelError
        assert str(caught.value).startswith(
            "unknown model 'acme-embeded': no installed plugin registers it, and there is no such folder. "
            "Did you mean 'acme-embed'"
        )
        assert "pip install 'flagembedding-core[all]'" in str(caught.value)
        assert "`flagembedding models`" in str(caught.value)

    def test_a_near_name_that_is_not_installed_comes_with_its_distribution(self, hint):
        hint(models={"acme-hinted": "flagembedding-acme"})
        with pytest.raises(UnknownModelError, match=r"Did you mean 'acme-hinted' \(pip install flagembedding-acme\)"):
            resolve_embedder("acme-hintd")

    @pytest.mark.parametrize("name", ["acme-hinted", "ACME-hinted"])
    def test_a_name_that_a_distribution_would_bring(self, hint, name):
        hint(models={"Acme-Hinted": "flagembedding-acme"})
        with pytest.raises(UnknownModelError) as caught:
            resolve_embedder(name)
        assert str(caught.value).startswith(
            f"unknown model {name!r}: no installed plugin registers it, and there is no such folder. "
            "It comes with flagembedding-acme. Run: pip install flagembedding-acme. "
        )
        assert "Did you mean" not in str(caught.value)

    def test_plugins_that_are_out_of_action_are_named(self, monkeypatch):
        class Manager:
            def records(self):
                return [
                    PluginRecord("a", "acme", "1.0", Status.DISABLED, "named in FLAGEMBEDDING_DISABLE_PLUGINS"),
                    PluginRecord("b", "other", "2.0", Status.FAILED, "ValueError: broken", ValueError()),
                    PluginRecord("c", "good", "3.0"),
                ]

        monkeypatch.setattr(unknown, "plugin_manager", Manager)
        with pytest.raises(UnknownModelError) as caught:
            resolve_embedder("acme-unknown")
        assert str(caught.value).endswith(
            " Plugin 'a' (acme 1.0) is disabled: named in FLAGEMBEDDING_DISABLE_PLUGINS. "
            "Plugin 'b' (other 2.0) is failed: ValueError: broken."
        )

    @pytest.mark.parametrize(
        "path", ["/no/such/folder", "./acme-embed", "../acme-embed", "a/b/acme-embed", "C:\\models\\acme-embed"]
    )
    def test_a_path_that_does_not_exist(self, path):
        with pytest.raises(UnknownModelError) as caught:
            resolve_embedder(path)
        assert str(caught.value) == f"there is no model folder {path!r}."

    @pytest.mark.parametrize("name", ["acme-embed", "model.safetensors", "acme/acme-embed"])
    def test_a_file(self, model_folder, name):
        model_folder({name: ""}, ".")
        with pytest.raises(UnknownModelError) as caught:
            resolve_embedder(name)
        assert str(caught.value) == f"there is no model folder {name!r}."

    def test_a_folder_without_config_json(self, model_folder):
        path = str(model_folder({"README.json": {}}, "acme-unknown"))
        with pytest.raises(CheckpointError) as caught:
            resolve_embedder(path)
        assert str(caught.value) == f"{path!r} is a local folder without config.json, so it is no model folder."

    def test_a_folder_without_config_json_in_the_way_of_a_registered_name(self, model_folder):
        model_folder({"README.json": {}}, "acme-embed")
        with pytest.raises(CheckpointError) as caught:
            resolve_embedder("acme-embed")
        assert str(caught.value) == (
            "'acme-embed' is a local folder without config.json, so it is no model folder. "
            "To load the registered model, give its hub id 'acme/acme-embed'."
        )

    def test_a_registered_name_without_a_hub_id(self):
        with pytest.raises(UnknownModelError) as caught:
            resolve_embedder("acme-nowhere")
        assert str(caught.value) == (
            "'acme-nowhere' is registered by this process without a hub_id, and no plugin locates its files. "
            "Give a local folder, or set hub_id in its configuration."
        )

    @pytest.mark.parametrize("name", ["acme-embed", "acme/acme-embed", "someone/acme-embed", "ACME-EMBED"])
    def test_a_name_that_two_plugins_register(self, register, name):
        register(embedders={"acme-embed": EMBED})
        with pytest.raises(NameConflictError, match="the embedder 'acme-embed' is claimed by this process and this"):
            resolve_embedder(name)
        assert resolve_embedder("acme-remote").config == REMOTE
