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
        "pooling",
        [
            flags("cls_token", "mean_tokens"),
            flags("weightedmean_tokens"),
            flags("max_tokens"),
            flags("mean_sqrt_len_tokens"),
            flags(),
            {"pooling_mode": ["cls", "mean"]},
            {"pooling_mode": "weightedmean"},
            {"pooling_mode": "max"},
            {"pooling_mode": []},
            {**flags("mean_tokens"), "include_prompt": False},
            {"pooling_mode": "lasttoken", "include_prompt": False},
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

    def test_the_folder_is_the_one_that_modules_json_names(self, detect):
        files = {
            "modules.json": [{"type": "a.Transformer", "path": ""}, {"type": "b.Pooling", "path": "pool"}],
            "pool/config.json": flags("mean_tokens"),
            "1_Pooling/config.json": flags("cls_token"),
        }
        assert detect(files).pooling_method is PoolingMethod.MEAN

    @pytest.mark.parametrize(
        ("names", "left_out"),
        [(["Dense"], "Dense"), (["Dense", "Normalize"], "Dense"), (["LayerNorm", "Dense"], "Dense, LayerNorm")],
    )
    def test_modules_that_would_be_left_out_are_named(self, detect, model_folder, names, left_out):
        files = {"modules.json": modules("Transformer", "Pooling", *names), "1_Pooling/config.json": flags("cls_token")}
        with pytest.raises(CheckpointError) as caught:
            detect(files)
        assert str(caught.value) == (
            f"{str(model_folder({}))!r} has the sentence-transformers modules {left_out}, which are not supported; its "
            "vectors would be wrong without them."
        )


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
            ({"query": "", "document": ""}, (None, None)),
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


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"max_seq_length": 512}, 512),
        ({"max_seq_length": None}, None),
        ({"max_seq_length": 0}, None),
        ({"max_seq_length": "512"}, None),
        ({"max_seq_length": True}, None),
        ({}, None),
    ],
)
def test_max_length(detect, settings, expected):
    assert detect({"sentence_bert_config.json": settings}).max_length == expected


class TestDamage:
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
