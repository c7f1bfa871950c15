"""Detection: what the files of a model that nobody registered say of it."""

from __future__ import annotations

import logging

import pytest

from FlagEmbedding.claims import Claim
from FlagEmbedding.config import EmbedderConfig, ModelClass, PoolingMethod
from FlagEmbedding.errors import CheckpointError
from FlagEmbedding.registry import detection
from FlagEmbedding.registry.classes import ClassTable
from FlagEmbedding.registry.detection import detect_embedder
from FlagEmbedding.registry.files import ModelFiles
from FlagEmbedding.registry.reranker_detection import detect_reranker

ENCODERS = ModelClass("acme.encoder:Embedder")
DECODERS = ModelClass("acme.decoder:Decoder", model_types=("mistral",), pooling="last_token")

ENCODER = {"model_type": "bert", "architectures": ["BertModel"]}


def modules(*names: str) -> list[dict[str, object]]:
    """Return what sentence-transformers writes to ``modules.json``."""
    return [
        {"idx": i, "name": str(i), "path": f"{i}_{name}" if i else "", "type": f"sentence_transformers.models.{name}"}
        for i, name in enumerate(names)
    ]


def flags(*modes: str) -> dict[str, object]:
    """Return the pooling configuration that sentence-transformers wrote before version 5.4: a flag for each mode."""
    known = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")
    return {"word_embedding_dimension": 4, **{f"pooling_mode_{mode}": mode in modes for mode in known}}


@pytest.fixture(autouse=True)
def _classes(monkeypatch):
    """Detect the same classes whatever is installed."""
    classes = {"encoder-only-base": ENCODERS, "decoder-only-base": DECODERS}
    claims = {key: [Claim(value, "flagembedding-core")] for key, value in classes.items()}
    monkeypatch.setattr(detection, "EMBEDDER_CLASSES", ClassTable("embedder", lambda: claims))


@pytest.fixture
def detect(model_folder):
    """Return a function that detects a model from its files, as what they are beside ``config.json``."""

    def detected(files: dict[str, object], **wanted: object) -> EmbedderConfig:
        folder = model_folder({"config.json": ENCODER, **files})
        return detect_embedder(ModelFiles(str(folder), folder), wanted)

    return detected


@pytest.fixture
def detect_pooling(detect):
    """Return a function that detects the pooling method of a model with this pooling configuration."""

    def detected(pooling: object) -> str:
        types = modules("Transformer", "Pooling", "Normalize")
        return detect({"modules.json": types, "1_Pooling/config.json": pooling}).pooling_method

    return detected


def test_everything_that_the_files_say(detect, model_folder, caplog):
    found = detect(
        {
            "modules.json": modules("Transformer", "Pooling", "Normalize"),
            "1_Pooling/config.json": flags("mean_tokens"),
            "sentence_bert_config.json": {"max_seq_length": 384, "do_lower_case": False},
            "config_sentence_transformers.json": {"prompts": {"query": "query: ", "document": "passage: "}},
        }
    )
    assert found == EmbedderConfig(
        "acme.encoder:Embedder",
        PoolingMethod.MEAN,
        query_instruction="query: ",
        passage_instruction="passage: ",
        max_length=384,
        source=f"detected from the files of {model_folder({})}",
    )
    assert caplog.messages == []


class TestPooling:
    @pytest.mark.parametrize(
        ("mode", "method"), [("cls_token", "cls"), ("mean_tokens", "mean"), ("lasttoken", "last_token")]
    )
    def test_a_flag_for_each_mode(self, detect_pooling, mode, method):
        assert detect_pooling(flags(mode)) is PoolingMethod(method)

    @pytest.mark.parametrize(("mode", "method"), [("cls", "cls"), ("mean", "mean"), ("lasttoken", "last_token")])
    @pytest.mark.parametrize("wrap", [str, lambda mode: [mode]])
    def test_one_key_with_the_mode(self, detect_pooling, wrap, mode, method):
        assert detect_pooling({"embedding_dimension": 4, "pooling_mode": wrap(mode)}) is PoolingMethod(method)

    def test_the_prompt_may_be_included_explicitly(self, detect_pooling):
        assert detect_pooling({**flags("cls_token"), "include_prompt": True}) is PoolingMethod.CLS

    @pytest.mark.parametrize(
        ("pooling", "method"),
        [
            (flags("weightedmean_tokens"), "weighted_mean"),
            (flags("max_tokens"), "max"),
            (flags("mean_sqrt_len_tokens"), "mean_sqrt_len"),
            ({"pooling_mode": "weightedmean"}, "weighted_mean"),
            ({"pooling_mode": "max"}, "max"),
            ({"pooling_mode": "mean_sqrt_len_tokens"}, "mean_sqrt_len"),
            # several: flags in the order of sentence-transformers, whatever the file's; a list in its own
            (flags("cls_token", "mean_tokens"), "cls+mean"),
            (flags("mean_tokens", "max_tokens"), "max+mean"),
            (flags("lasttoken", "weightedmean_tokens", "cls_token"), "cls+weighted_mean+last_token"),
            ({"pooling_mode": ["mean", "max"]}, "mean+max"),
            ({"pooling_mode": ["cls", "mean"], "pooling_mode_max_tokens": True}, "cls+mean"),
            # none: the mean
            (flags(), "mean"),
            ({"embedding_dimension": 4}, "mean"),
        ],
    )
    def test_the_other_modes_and_several(self, detect_pooling, pooling, method):
        assert detect_pooling(pooling) == method

    @pytest.mark.parametrize(
        "pooling",
        [
            {"pooling_mode": []},
            {"pooling_mode": "last_token"},
            {"pooling_mode": ["cls", "own"]},
            {**flags("cls_token"), "pooling_mode_own_tokens": True},
            {},
        ],
    )
    def test_what_is_not_supported_is_refused(self, detect_pooling, model_folder, pooling):
        with pytest.raises(CheckpointError) as caught:
            detect_pooling(pooling)
        assert str(caught.value) == (
            f"1_Pooling/config.json of {str(model_folder({}))!r} asks for a pooling that is not supported: {pooling}. "
            "Name a registered pooling function with pooling_method=."
        )

    @pytest.mark.parametrize("pooling", [flags("mean_tokens"), {"pooling_mode": "lasttoken"}])
    @pytest.mark.parametrize("said", [False, None, 0])
    def test_a_prompt_that_is_left_out_is_refused(self, detect_pooling, model_folder, pooling, said):
        with pytest.raises(CheckpointError) as caught:
            detect_pooling({**pooling, "include_prompt": said})
        assert str(caught.value) == (
            f"1_Pooling/config.json of {str(model_folder({}))!r} leaves the prompt's tokens out of the pooling "
            "(include_prompt: false), which is not supported: the vectors of texts with an instruction would be wrong. "
            "Name a registered pooling function with pooling_method=."
        )

    def test_the_folder_is_the_one_that_modules_json_names(self, detect):
        kinds = {"Transformer": "", "Pooling": "pool"}
        files = {
            "modules.json": [{"type": f"sentence_transformers.x.{kind}", "path": kinds[kind]} for kind in kinds],
            "pool/config.json": flags("mean_tokens"),
            "1_Pooling/config.json": flags("cls_token"),
        }
        assert detect(files).pooling_method is PoolingMethod.MEAN


class TestModules:
    @pytest.fixture
    def detect_modules(self, detect):
        """Return a function that detects a model with these modules."""

        def detected(entries, **files):
            return detect({"modules.json": entries, "1_Pooling/config.json": flags("cls_token"), **files})

        return detected

    @pytest.mark.parametrize(
        ("names", "kept"),
        [
            (["Normalize"], []),
            (["Dropout", "Normalize", "Dropout", "Normalize"], []),
            (["Dense"], ["Dense"]),
            (["Dense", "Normalize"], ["Dense"]),
            (["Normalize", "Dense"], ["Normalize", "Dense"]),
            (["LayerNorm", "Dropout", "Normalize", "Dense", "Normalize"], ["LayerNorm", "Normalize", "Dense"]),
        ],
    )
    def test_what_follows_the_pooling(self, detect_modules, names, kept):
        entries = modules("Transformer", "Pooling", *names)
        folders = [entry["path"] for entry in entries if entry["path"].partition("_")[2] in kept]
        found = detect_modules(entries).options.get("modules", ())
        assert found == tuple(zip(kept, folders, strict=False))

    def test_a_normalize_at_the_very_end_is_an_option_and_no_module(self, detect_modules):
        assert detect_modules(modules("Transformer", "Pooling", "Normalize")).options == {}

    @pytest.mark.parametrize(
        ("names", "left_out"),
        [
            (["CNN"], "CNN"),
            (["Router", "Normalize"], "Router"),
            (["LayerNorm", "WeightedLayerPooling", "Asym"], "Asym, WeightedLayerPooling"),
            (["SpladePooling"], "SpladePooling"),
        ],
    )
    def test_modules_that_would_be_left_out_are_named(self, detect_modules, model_folder, names, left_out):
        with pytest.raises(CheckpointError) as caught:
            detect_modules(modules("Transformer", "Pooling", *names))
        assert str(caught.value) == (
            f"{str(model_folder({}))!r} has the sentence-transformers modules {left_out}, which are not supported; its "
            "vectors would be wrong without them. Known: Transformer, Pooling, Dense, LayerNorm, Normalize, Dropout. "
            "Encode with sentence-transformers itself, or register a model class that does the same "
            "(flagembedding_embedder_classes)."
        )

    @pytest.mark.parametrize("kind", ["custom_st.Transformer", "sentence_transformersx.Transformer", "Transformer"])
    def test_a_class_of_another_library_is_none_of_these(self, detect_modules, kind):
        entries = modules("Transformer", "Pooling")
        entries[0]["type"] = kind
        with pytest.raises(CheckpointError, match=rf"modules {kind} \(not of sentence-transformers\), which are"):
            detect_modules(entries)

    @pytest.mark.parametrize(
        "names",
        [
            [],
            ["Pooling"],
            ["Pooling", "Transformer"],
            ["Transformer", "Dense", "Pooling"],
            ["Transformer", "Pooling", "Pooling"],
            ["Transformer", "Transformer", "Pooling"],
            ["Transformer", "Normalize", "Pooling"],
        ],
    )
    def test_another_order_is_refused(self, detect_modules, names):
        with pytest.raises(CheckpointError, match=rf"modules {', '.join(names) or '.none.'} in this order; supported"):
            detect_modules(modules(*names))

    @pytest.mark.parametrize("folder", ["../x", "2_Dense/../../x", "/etc", "C:\\x", "..\\x", "\\x", "2_Dense\0"])
    @pytest.mark.parametrize("position", [0, 1, 2])
    def test_a_folder_outside_the_models_is_not_read(self, detect_modules, folder, position):
        entries = modules("Transformer", "Pooling", "Dense")
        entries[position]["path"] = folder
        with pytest.raises(CheckpointError, match=r"modules\.json of .* leads out of the model's folder"):
            detect_modules(entries)

    def test_a_backbone_in_a_folder_of_its_own_is_refused(self, detect_modules):
        entries = modules("Transformer", "Pooling")
        entries[0]["path"] = "0_Transformer"
        with pytest.raises(CheckpointError, match=r"keeps its Transformer in '0_Transformer'.*Save it anew"):
            detect_modules(entries)

    @pytest.mark.parametrize("kind", ["Dense", "Normalize"])
    @pytest.mark.parametrize("key", ["module_input_name", "module_output_name"])
    def test_other_vectors_than_the_texts_are_refused(self, detect_modules, kind, key):
        entries = modules("Transformer", "Pooling", kind)
        good = {"module_input_name": "sentence_embedding", "module_output_name": None}
        assert detect_modules(entries, **{f"2_{kind}/config.json": good}).pooling_method is PoolingMethod.CLS
        with pytest.raises(CheckpointError, match=f"2_{kind}/config.json of .* says {key}='token_embeddings'"):
            detect_modules(entries, **{f"2_{kind}/config.json": {**good, key: "token_embeddings"}})


class TestArchitecture:
    @pytest.mark.parametrize("model_type", ["bert", "modernbert", "mistral3", None, ["bert"]])
    def test_encoders(self, detect, model_type):
        found = detect({"config.json": {"model_type": model_type}})
        assert found.model_class_reference == "acme.encoder:Embedder"
        assert found.pooling_method is PoolingMethod.CLS

    def test_decoders(self, detect):
        found = detect({"config.json": {"model_type": "mistral", "architectures": ["AcmeForCausalLM"]}})
        assert found.model_class_reference == "acme.decoder:Decoder"
        assert found.pooling_method is PoolingMethod.LAST_TOKEN

    @pytest.mark.parametrize("model_type", ["bert", "mistral"])
    def test_the_callers_class_counts(self, detect, model_type):
        found = detect({"config.json": {"model_type": model_type}}, model_class="mine.model:Embedder")
        assert found.model_class_reference == "mine.model:Embedder"

    @pytest.mark.parametrize("architecture", [f"{name}ForSequenceClassification" for name in ("XLMRoberta", "Qwen2")])
    def test_a_reranker_is_sent_to_the_other_factory(self, detect, model_folder, architecture):
        with pytest.raises(CheckpointError) as caught:
            detect({"config.json": {"model_type": "bert", "architectures": [architecture]}})
        assert str(caught.value) == (
            f"{str(model_folder({}))!r} is a reranker ({architecture}), not an embedding model. It scores pairs and "
            "gives no vectors: load it with FlagAutoReranker."
        )

    @pytest.mark.parametrize("architectures", [None, [], ["BertForMaskedLM"], ["BertForTokenClassification"]])
    def test_other_heads_are_no_rerankers(self, detect, architectures):
        found = detect({"config.json": {"model_type": "bert", "architectures": architectures}})
        assert found.model_class_reference == "acme.encoder:Embedder"


class TestFallback:
    @pytest.mark.parametrize(
        ("model_type", "assumed"),
        [("bert", "Embedder with pooling 'cls'"), ("mistral", "Decoder with pooling 'last_token'")],
    )
    def test_one_warning_says_what_is_assumed(self, detect, model_folder, caplog, model_type, assumed):
        caplog.set_level(logging.DEBUG, logger="FlagEmbedding")
        detect({"config.json": {"model_type": model_type}})
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert caplog.messages == [
            (
                f"{str(model_folder({}))!r} is not registered and its files name no pooling: "
                f"assuming {assumed}. "
                "Set pooling_method= (and query_instruction_for_retrieval=) if its model card says otherwise."
            )
        ]

    def test_without_the_other_files_nothing_else_is_assumed(self, detect, model_folder):
        source = f"detected from the files of {model_folder({})}"
        assert detect({}) == EmbedderConfig("acme.encoder:Embedder", PoolingMethod.CLS, source=source)

    def test_modules_without_pooling_leave_it_open(self, detect, caplog):
        assert detect({"modules.json": modules("Transformer", "Normalize")}).pooling_method is PoolingMethod.CLS
        assert len(caplog.messages) == 1


class TestPrompts:
    @pytest.mark.parametrize(
        ("prompts", "expected"),
        [
            ({"query": "q: ", "document": "d: "}, ("q: ", "d: ")),
            ({"query": "q: ", "passage": "p: "}, ("q: ", "p: ")),
            ({"document": "d: ", "passage": "p: "}, (None, "d: ")),
            ({"document": "", "passage": "p: ", "corpus": "c: "}, (None, "p: ")),
            ({"corpus": "c: "}, (None, "c: ")),
            ({"query": "", "document": ""}, (None, None)),
            ({"query": None, "document": "d: "}, (None, "d: ")),
            ({"s2p_query": "Instruct: "}, (None, None)),
            ({}, (None, None)),
            (None, (None, None)),
        ],
    )
    def test_query_and_passage(self, detect, prompts, expected):
        found = detect({"config_sentence_transformers.json": {"prompts": prompts}})
        assert (found.query_instruction, found.passage_instruction) == expected

    def test_a_file_without_prompts(self, detect):
        found = detect({"config_sentence_transformers.json": {"__version__": {}}})
        assert (found.query_instruction, found.passage_instruction) == (None, None)


class TestBackbone:
    @pytest.mark.parametrize(
        ("settings", "expected"),
        [
            ({"max_seq_length": 512}, 512),
            ({"max_seq_length": 32768}, 32768),
            ({"max_seq_length": None}, None),
            ({}, None),
        ],
    )
    def test_max_length(self, detect, settings, expected):
        assert detect({"sentence_bert_config.json": settings}).max_length == expected

    @pytest.mark.parametrize(
        ("length", "expected"), [(384, 384), (8192, 8192), (8193, None), (int(1e30), None), (1e30, None), (None, None)]
    )
    def test_the_tokenizers_length_where_the_file_states_none(self, detect, length, expected):
        files = {"tokenizer_config.json": {"model_max_length": length}}
        assert detect(files).max_length == expected
        assert detect({**files, "sentence_bert_config.json": {"max_seq_length": 7}}).max_length == 7

    @pytest.mark.parametrize("kind", ["roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet"])
    def test_an_old_name_of_the_file(self, detect, kind):
        old = {f"sentence_{kind}_config.json": {"max_seq_length": 9}}
        assert detect({"sentence_bert_config.json": {}, **old}).max_length == 9
        assert detect({"sentence_bert_config.json": {"max_seq_length": 8}, **old}).max_length == 8

    @pytest.mark.parametrize(("said", "options"), [(True, {"lower_case": True}), (False, {}), (None, {})])
    def test_lower_case(self, detect, said, options):
        assert detect({"sentence_bert_config.json": {"do_lower_case": said}}).options == options

    @pytest.mark.parametrize(
        ("key", "value"),
        [("max_seq_length", value) for value in (0, -1, "512", True, 1.5, [])]
        + [("do_lower_case", value) for value in ("yes", 2, [], {})],
    )
    def test_values_that_sentence_transformers_would_take_for_something(self, detect, key, value):
        """Left out, they would change vectors in silence."""
        with pytest.raises(CheckpointError, match=rf"sentence_bert_config\.json .* should hold .* as {key}, not"):
            detect({"sentence_bert_config.json": {key: value}})

    TEXT = {"method": "forward", "method_output_name": "last_hidden_state"}  # noqa: RUF012

    @pytest.mark.parametrize(
        "settings",
        [
            {"transformer_task": "feature-extraction", "module_output_name": "token_embeddings"},
            {"modality_config": {"text": TEXT}},
            {"model_args": {"add_pooling_layer": False, "trust_remote_code": True}, "tokenizer_args": {}},
            {"query_length": None, "unpad_inputs": True},
        ],
    )
    def test_what_changes_nothing(self, detect, settings):
        assert detect({"sentence_bert_config.json": settings}).pooling_method is PoolingMethod.CLS

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("transformer_task", "fill-mask"),
            ("module_output_name", "sentence_embedding"),
            ("modality_config", {"text": TEXT, "message": TEXT}),
            ("modality_config", {"text": {**TEXT, "method_output_name": "pooler_output"}}),
            ("model_args", {"rotary_scaling_factor": 2}),
            ("query_length", 32),
            ("query_expansion", {"length": 32}),
            ("processing_kwargs", {"text": {"max_length": 3}}),
            ("tokenizer_name_or_path", "another"),
            ("something", 1),
        ],
    )
    def test_what_would_make_other_vectors_is_refused(self, detect, key, value):
        with pytest.raises(CheckpointError, match=f"says {key}=.*, which is not supported"):
            detect({"sentence_bert_config.json": {key: value}})


class TestUsage:
    NAME = "config_sentence_transformers.json"

    @pytest.mark.parametrize(("said", "options"), [(12, {"truncate_dim": 12}), (None, {})])
    def test_truncate_dim(self, detect, said, options):
        assert detect({self.NAME: {"truncate_dim": said}}).options == options

    @pytest.mark.parametrize("said", [0, -1, True, "12"])
    def test_a_truncate_dim_that_is_none(self, detect, said):
        with pytest.raises(CheckpointError, match="a positive number as truncate_dim"):
            detect({self.NAME: {"truncate_dim": said}})

    @pytest.mark.parametrize(
        ("name", "options"),
        [
            ("task", {"default_instruction": "t: "}),
            ("query", {"default_instruction": "q: "}),
            ("document", {}),  # sentence-transformers knows it, and it is empty
            ("empty", {}),
            (None, {}),
        ],
    )
    def test_default_prompt(self, detect, name, options):
        prompts = {"query": "q: ", "task": "t: ", "empty": ""}
        found = detect({self.NAME: {"prompts": prompts, "default_prompt_name": name}}).options
        assert found == {**options, "prompts": {"task": "t: "}}

    def test_prompts_that_are_no_instructions(self, detect):
        prompts = {"query": "q: ", "document": "d: ", "passage": "p: ", "corpus": "c: ", "STS": "s: ", "none": ""}
        assert detect({self.NAME: {"prompts": prompts}}).options == {"prompts": {"STS": "s: "}}

    @pytest.mark.parametrize("said", ["dot", "euclidean", "manhattan"])
    def test_how_vectors_are_compared(self, detect, said):
        assert detect({self.NAME: {"similarity_fn_name": said}}).options == {"similarity_fn_name": said}

    @pytest.mark.parametrize("said", ["cosine", None, "maxsim", 5, ["dot"]])
    def test_by_cosine_unless_it_is_said(self, detect, said):
        assert detect({self.NAME: {"similarity_fn_name": said}}).options == {}

    def test_a_default_prompt_that_is_none_of_the_prompts(self, detect):
        with pytest.raises(CheckpointError, match=r"default prompt 'tsk', which is none of its prompts: document, que"):
            detect({self.NAME: {"prompts": {"task": "t: "}, "default_prompt_name": "tsk"}})

    @pytest.mark.parametrize("name", [[], {}, 5, False])
    def test_a_default_prompt_that_is_no_name(self, detect, name):
        with pytest.raises(CheckpointError, match="which is none of its prompts"):
            detect({self.NAME: {"prompts": {"task": "t: "}, "default_prompt_name": name}})

    @pytest.mark.parametrize(
        ("kind", "hint"),
        [("SparseEncoder", "sentence-transformers' SparseEncoder"), ("CrossEncoder", "with FlagAutoReranker")],
    )
    def test_models_of_another_kind_are_refused(self, detect, kind, hint):
        assert detect({self.NAME: {"model_type": "SentenceTransformer"}}).options == {}
        with pytest.raises(CheckpointError, match=f"is a {kind} of sentence-transformers.*{hint}"):
            detect({self.NAME: {"model_type": kind}})


LONG = [("Transformer", ""), ("Pooling", "x" * 5000)]


class TestDamage:
    @pytest.mark.parametrize("architectures", [5, "BertModel", {"a": 1}, [None, 5], [[]], True])
    def test_architectures_that_are_no_list_of_names(self, model_folder, architectures):
        folder = model_folder({"config.json": {"model_type": "bert", "architectures": architectures}})
        assert detect_embedder(ModelFiles("m", folder), {}).pooling_method is PoolingMethod.CLS
        with pytest.raises(CheckpointError, match="is no reranker that is known here"):
            detect_reranker(ModelFiles("m", folder), {})

    def test_a_folder_that_no_file_system_has(self, model_folder):
        modules = [{"type": f"sentence_transformers.models.{kind}", "path": path} for kind, path in LONG]
        folder = model_folder({"config.json": {"model_type": "bert"}, "modules.json": modules})
        with pytest.raises(CheckpointError, match="asks for a pooling that is not supported"):
            detect_embedder(ModelFiles("m", folder), {})

    def test_without_config_json_it_is_no_model_folder(self, model_folder):
        with pytest.raises(CheckpointError) as caught:
            detect_embedder(ModelFiles("acme/acme-embed", model_folder({"README.json": {}})), {})
        assert str(caught.value) == "'acme/acme-embed' has no config.json, so it is no model folder."

    FILES = (
        "config.json",
        "modules.json",
        "1_Pooling/config.json",
        "sentence_bert_config.json",
        "config_sentence_transformers.json",
    )
    GOOD = {"modules.json": modules("Transformer", "Pooling"), "1_Pooling/config.json": flags("cls_token")}  # noqa: RUF012

    @pytest.mark.parametrize("name", FILES)
    @pytest.mark.parametrize("content", ["", "{", "{'single': 1}", "\x00"])
    def test_what_is_no_json_is_named(self, detect, model_folder, name, content):
        with pytest.raises(CheckpointError) as caught:
            detect({**self.GOOD, name: content})
        assert str(caught.value).startswith(f"{name} of {str(model_folder({}))!r} cannot be read as JSON: ")
        assert isinstance(caught.value.__cause__, ValueError)

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            *[(name, wrong) for name in FILES for wrong in ('"text"', "3")],
            *[(name, "[1]") for name in FILES],
            ("modules.json", '{"type": "Pooling"}'),
            ("modules.json", '[{"type": "x.Pooling"}]'),
            ("modules.json", '[{"path": "1_Pooling"}]'),
            ("1_Pooling/config.json", '{"pooling_mode": 3}'),
            ("1_Pooling/config.json", '{"pooling_mode": [["cls"]]}'),
            ("config_sentence_transformers.json", '{"prompts": {"query": 3}}'),
        ],
    )
    def test_json_of_another_shape_is_named(self, detect, name, content):
        with pytest.raises(CheckpointError, match=name.replace(".", r"\.")):
            detect({**self.GOOD, name: content})
