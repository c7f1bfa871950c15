"""Models as sentence-transformers saves them load without registration, and give its own vectors.

Every row of the table in docs/detection.md is a case here, and every case is a row there.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import (
    Dense,
    Dropout,
    LayerNorm,
    Normalize,
    Pooling,
    Transformer,
)

from FlagEmbedding import FlagAutoModel
from FlagEmbedding.engine import projection
from FlagEmbedding.errors import CheckpointError

WIDTH = 32
LENGTH = 20
PAGE = Path(__file__).resolve().parent.parent / "docs/detection.md"

TEXTS = [
    "The question in the garden window, and all of the answer.",
    "river",
    "one of the search engine letters",
    "",
    "Zürich naïve straße Москва 東京",
    "search engine learning machine " * 20,  # more than LENGTH
    "unbelievablylongword" * 40,  # more than the model has positions for
]

FLAGS = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")

# What is written in modules.json after the Transformer, as the page writes it.
POOLINGS = {
    "`cls`": ["cls"],
    "`max`": ["max"],
    "`mean`": ["mean"],
    "`mean_sqrt_len_tokens`": ["mean_sqrt_len_tokens"],
    "`weightedmean`": ["weightedmean"],
    "`lasttoken`": ["lasttoken"],
    "`cls`, `mean`": ["cls", "mean"],
    "`max`, `mean`": ["max", "mean"],
    "`lasttoken`, `weightedmean`, `cls`": ["lasttoken", "weightedmean", "cls"],
}

ROWS: dict[str, Callable[[], list[Any]]] = {
    "Pooling": lambda: [Pooling(WIDTH, "mean")],
    "Pooling, Normalize": lambda: [Pooling(WIDTH, "cls"), Normalize()],
    "Pooling, Dropout": lambda: [Pooling(WIDTH, "mean"), Dropout(0.5)],
    "Pooling, LayerNorm": lambda: [Pooling(WIDTH, "mean"), LayerNorm(WIDTH)],
    "Pooling, Dense": lambda: [Pooling(WIDTH, "mean"), Dense(WIDTH, 12)],
    "Pooling, Dense without bias": lambda: [Pooling(WIDTH, "mean"), Dense(WIDTH, 12, bias=False)],
    "Pooling, Dense without activation": lambda: [Pooling(WIDTH, "mean"), Dense(WIDTH, 12, activation_function=None)],
    "Pooling, Dense that adds what came in": lambda: [Pooling(WIDTH, "mean"), Dense(WIDTH, WIDTH, use_residual=True)],
    "Pooling, Dense that adds what came in, projected": lambda: [
        Pooling(WIDTH, "mean"),
        Dense(WIDTH, 12, use_residual=True),
    ],
    "Pooling, Dense, Normalize": lambda: [Pooling(WIDTH, "cls"), Dense(WIDTH, 48), Normalize()],
    "Pooling, Normalize, Dense": lambda: [Pooling(WIDTH, "mean"), Normalize(), Dense(WIDTH, 12)],
    "Pooling, Dense, Dense": lambda: [Pooling(WIDTH, "mean"), Dense(WIDTH, 48), Dense(48, 12)],
    "Pooling, LayerNorm, Dense, Normalize": lambda: [
        Pooling(WIDTH, "mean"),
        LayerNorm(WIDTH),
        Dense(WIDTH, 12),
        Normalize(),
    ],
    "Pooling, Dense, LayerNorm": lambda: [Pooling(WIDTH, "mean"), Dense(WIDTH, 12), LayerNorm(12)],
    "Pooling, Normalize, Dense, Dropout, Normalize, Dense, Normalize": lambda: [
        Pooling(WIDTH, "mean"),
        Normalize(),
        Dense(WIDTH, 12),
        Dropout(),
        Normalize(),
        Dense(12, 16),
        Normalize(),
    ],
    "Pooling of several, Dense, Normalize": lambda: [
        Pooling(WIDTH, ("mean", "max")),
        Dense(2 * WIDTH, 12),
        Normalize(),
    ],
}


@pytest.fixture(autouse=True)
def _one_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vectors compared are those of a CPU."""
    for kind in ("cuda", "xpu", "backends.mps"):
        monkeypatch.setattr(f"torch.{kind}.is_available", lambda: False)


@pytest.fixture
def save(checkpoint: Any, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that lets sentence-transformers save a model: random weights in every layer of it."""

    def saved(modules: Iterable[Any], backbone: Path | None = None, **options: Any) -> Path:
        first = Transformer(str(backbone or checkpoint("bert")), max_seq_length=LENGTH)
        model = SentenceTransformer(modules=[first, *map(randomised, modules)], device="cpu", **options)
        model.save(str(tmp_path / "saved"), create_model_card=False)
        return tmp_path / "saved"

    return saved


def randomised(module: Any) -> Any:
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) * 0.4)
    return module


def in_the_old_dialect(folder: Path) -> Path:
    """Rewrite the files of a folder as sentence-transformers 2 wrote them."""
    modules = read(folder / "modules.json")
    for module in modules:
        module["type"] = f"sentence_transformers.models.{module['type'].rpartition('.')[2]}"
    write(folder / "modules.json", modules)
    modes = read(folder / "1_Pooling/config.json")["pooling_mode"]
    modes = [modes] if isinstance(modes, str) else modes
    flags = {f"pooling_mode_{flag}": flag.removesuffix("_token").removesuffix("_tokens") in modes for flag in FLAGS}
    flags["pooling_mode_mean_sqrt_len_tokens"] = "mean_sqrt_len_tokens" in modes
    write(folder / "1_Pooling/config.json", {"word_embedding_dimension": WIDTH, **flags})
    write(folder / "sentence_bert_config.json", {"max_seq_length": LENGTH, "do_lower_case": False})
    write(folder / "tokenizer_config.json", {**read(folder / "tokenizer_config.json"), "model_max_length": 64})
    for path in folder.glob("*_Normalize"):
        shutil.rmtree(path)
    for path in folder.glob("*_Dense/config.json"):
        kept = ("in_features", "out_features", "bias", "activation_function")
        write(path, {key: value for key, value in read(path).items() if key in kept})
    return folder


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def load(folder: Path, **options: Any) -> Any:
    return FlagAutoModel.from_finetuned(str(folder), use_fp16=False, **options)


def assert_same(found: Any, expected: Any) -> None:
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())


def assert_like_sentence_transformers(folder: Path, texts: list[str] = TEXTS) -> None:
    """Compare vectors of length 1, and those before a last Normalize."""
    theirs = SentenceTransformer(str(folder), device="cpu")
    assert_same(load(folder).encode(texts), theirs.encode(texts, normalize_embeddings=True))
    modules = [module for module in theirs if not isinstance(module, Dropout)]
    while isinstance(modules[-1], Normalize):
        modules.pop()
    raw = SentenceTransformer(modules=modules, device="cpu").encode(texts)
    assert np.linalg.norm(raw, axis=1).max() > 1.05  # so that normalising them would show
    assert_same(load(folder, normalize_embeddings=False).encode(texts), raw)


class TestEveryRowOfThePage:
    @pytest.mark.parametrize("row", ROWS)
    def test_modules(self, save, row):
        assert_like_sentence_transformers(save(ROWS[row]()))

    @pytest.mark.parametrize("row", ["Pooling, Dense, Normalize", "Pooling, Dense, LayerNorm", "Pooling"])
    def test_modules_as_older_versions_wrote_them(self, save, row):
        assert_like_sentence_transformers(in_the_old_dialect(save(ROWS[row]())))

    @pytest.mark.parametrize("row", POOLINGS)
    def test_poolings(self, save, row):
        modes = POOLINGS[row]
        assert_like_sentence_transformers(save([Pooling(WIDTH, modes), Dense(WIDTH * len(modes), 12)]))

    @pytest.mark.parametrize("row", POOLINGS)
    def test_poolings_as_older_versions_wrote_them(self, save, row):
        modes = POOLINGS[row]
        assert_like_sentence_transformers(
            in_the_old_dialect(save([Pooling(WIDTH, modes), Dense(WIDTH * len(modes), 12)]))
        )

    def test_the_page_has_these_rows_and_no_others(self):
        assert first_cells("Modules") == [f"Transformer, {row}" for row in ROWS]
        assert first_cells("Poolings") == list(POOLINGS)
        [activations] = re.findall(r"(?m)^Activations: (.*)\.$", PAGE.read_text(encoding="utf-8"))
        assert re.findall(r"`(\w+)`", activations) == sorted(projection._ACTIVATIONS)


def first_cells(heading: str) -> list[str]:
    text = PAGE.read_text(encoding="utf-8")
    lines = re.search(r"(?m)(^\|.*\n)+", text[text.index(f"## {heading}\n") :])
    assert lines is not None
    return [line.split("|")[1].strip() for line in lines[0].splitlines()[2:]]


@pytest.mark.parametrize("name", sorted(projection._ACTIVATIONS))
@pytest.mark.filterwarnings("ignore:Implicit dimension choice")
def test_every_activation(save, name):
    activation = getattr(torch.nn, name)()
    folder = save([Pooling(WIDTH, "mean"), Dense(WIDTH, 12, activation_function=activation)])
    expected = SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    assert_same(load(folder, normalize_embeddings=False).encode(TEXTS), expected)


class TestBackbones:
    @pytest.mark.parametrize("kind", ["xlm-roberta", "mpnet", "modernbert", "roberta"])
    @pytest.mark.parametrize("modes", [["mean"], ["cls", "max"]])
    def test_encoders(self, save, checkpoint, kind, modes):
        modules = [Pooling(WIDTH, modes), Dense(WIDTH * len(modes), 12)]
        assert_like_sentence_transformers(save(modules, checkpoint(kind)))

    @pytest.mark.parametrize("kind", ["T5EncoderModel", "T5ForConditionalGeneration"])
    def test_the_encoder_of_t5(self, save, tiny, tmp_path, kind):
        tokenizer, special = tiny.unigram_tokenizer()
        tiny.save_tokenizer(tmp_path / "t5", tokenizer, special, "PreTrainedTokenizerFast")
        sizes = {"d_model": WIDTH, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
        ids = {"pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
        config = transformers.T5Config(vocab_size=tokenizer.get_vocab_size(), **sizes, **ids)
        kind = getattr(transformers, kind)
        tiny.random_model(
            config, type("Kind", (), {"from_config": lambda config, dtype: kind(config).to(dtype)})
        ).save_pretrained(tmp_path / "t5")
        assert_like_sentence_transformers(save([Pooling(WIDTH, "mean"), Dense(WIDTH, 12, bias=False)], tmp_path / "t5"))

    @pytest.mark.parametrize("side", ["left", "right"])
    @pytest.mark.parametrize("mode", ["lasttoken", "mean", "weightedmean"])
    @pytest.mark.parametrize("end", ["", "<|end|>"])
    def test_decoders(self, save, tiny, tmp_path, side, mode, end):
        backbone = tiny.build_decoder(tmp_path / "qwen2", "qwen2", start=False, end=end)
        tiny.change_json(backbone / "tokenizer_config.json", padding_side=side, add_eos_token=False)
        # The empty text has no token here without an end, and is refused; sentence-transformers makes up a vector.
        folder = save([Pooling(WIDTH, mode), Normalize()], backbone)
        assert_like_sentence_transformers(folder, [text for text in TEXTS if text])


class TestPrompts:
    @pytest.mark.parametrize("passage", ["document", "passage", "corpus"])
    def test_queries_and_passages(self, save, passage):
        prompts = {"query": "search: ", passage: "answer of the river: "}
        folder = save(ROWS["Pooling, Dense, Normalize"](), prompts=prompts)
        ours, theirs = load(folder), SentenceTransformer(str(folder), device="cpu")
        assert_same(ours.encode_queries(TEXTS), theirs.encode_query(TEXTS))
        assert_same(ours.encode_corpus(TEXTS), theirs.encode(TEXTS, prompt_name=passage))
        assert_same(ours.encode(TEXTS), theirs.encode(TEXTS))
        if passage == "document":
            assert_same(ours.encode_corpus(TEXTS), theirs.encode_document(TEXTS))

    def test_the_default_prompt(self, save):
        prompts = {"query": "search: ", "task": "the small stone: "}
        folder = save(ROWS["Pooling, Normalize"](), prompts=prompts, default_prompt_name="task")
        ours, theirs = load(folder), SentenceTransformer(str(folder), device="cpu")
        assert_same(ours.encode(TEXTS), theirs.encode(TEXTS))
        assert_same(ours.encode_queries(TEXTS), theirs.encode_query(TEXTS))
        assert_same(ours.encode_corpus(TEXTS), theirs.encode_document(TEXTS))
        assert_same(ours.encode(TEXTS, instruction=""), theirs.encode(TEXTS, prompt=""))
        assert_same(ours.encode(TEXTS, instruction="paper "), theirs.encode(TEXTS, prompt="paper "))
        assert np.abs(ours.encode(TEXTS[0]) - ours.encode_queries(TEXTS[0])).max() > 1e-3


class TestLengthsAndCase:
    @pytest.mark.parametrize(
        ("in_bert_config", "in_tokenizer", "expected"),
        [(9, 30, 9), (None, 30, 30), (40, 30, 40), (None, 64, 64), (None, int(1e30), 64), (9, None, 9)],
    )
    def test_max_length(self, save, tiny, in_bert_config, in_tokenizer, expected):
        folder = save(ROWS["Pooling, Normalize"]())
        tiny.change_json(folder / "sentence_bert_config.json", max_seq_length=in_bert_config)
        tiny.change_json(folder / "tokenizer_config.json", model_max_length=in_tokenizer)
        theirs = SentenceTransformer(str(folder), device="cpu")
        assert theirs.max_seq_length == expected
        assert_same(load(folder).encode(TEXTS), theirs.encode(TEXTS))

    def test_an_old_name_of_the_file(self, save, tiny):
        folder = save(ROWS["Pooling, Normalize"]())
        (folder / "sentence_bert_config.json").unlink()
        tiny.write_json(folder / "sentence_roberta_config.json", {"max_seq_length": 7, "do_lower_case": False})
        theirs = SentenceTransformer(str(folder), device="cpu")
        assert theirs.max_seq_length == 7
        assert_same(load(folder).encode(TEXTS), theirs.encode(TEXTS))

    @pytest.mark.parametrize("kind", ["bert", "xlm-roberta", "roberta"])
    def test_lower_case(self, save, tiny, checkpoint, tmp_path, kind):
        backbone = Path(shutil.copytree(checkpoint(kind), tmp_path / "backbone"))
        path = backbone / "tokenizer.json"
        tokenizer = json.loads(path.read_text(encoding="utf-8"))
        if (tokenizer["normalizer"] or {}).get("type") == "BertNormalizer":
            tokenizer["normalizer"]["lowercase"] = False
            path.write_text(json.dumps(tokenizer), encoding="utf-8")
            tiny.change_json(backbone / "tokenizer_config.json", do_lower_case=False)
        folder = save(ROWS["Pooling, Normalize"](), backbone)
        plain = load(folder).encode(TEXTS)
        tiny.change_json(folder / "sentence_bert_config.json", do_lower_case=True, max_seq_length=LENGTH)
        found = load(folder).encode(TEXTS)
        assert_same(found, SentenceTransformer(str(folder), device="cpu").encode(TEXTS))
        assert np.abs(found - plain).max() > 1e-3

    def test_truncate_dim(self, save):
        folder = save(ROWS["Pooling, Dense"](), truncate_dim=5)
        theirs = SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
        assert theirs.shape == (len(TEXTS), 5)
        assert_same(load(folder, normalize_embeddings=False).encode(TEXTS), theirs)
        assert load(folder, truncate_dim=7).encode("river").shape == (7,)


class TestWhereItLies:
    @pytest.mark.parametrize("name", ["checkpoint-200", "models--acme--tiny/snapshots/0123abcd", "a folder"])
    @pytest.mark.parametrize("end", ["", "/", "//"])
    def test_any_folder(self, save, tmp_path, name, end):
        folder = tmp_path / name
        shutil.copytree(save(ROWS["Pooling, Dense, Normalize"]()), folder)
        found = FlagAutoModel.from_finetuned(f"{folder}{end}", use_fp16=False).encode(TEXTS)
        assert_same(found, SentenceTransformer(str(folder), device="cpu").encode(TEXTS))

    def test_a_fine_tune_of_a_registered_model_keeps_the_layers_that_were_added(self, save, tmp_path):
        folder = tmp_path / "e5-small" / "checkpoint-200"
        shutil.copytree(save(ROWS["Pooling, Dense, Normalize"]()), folder)
        tuned = load(folder, pooling_method="cls", passage_max_length=LENGTH)
        assert tuned.query_instruction_for_retrieval == "query: "
        assert_same(tuned.encode(TEXTS), SentenceTransformer(str(folder), device="cpu").encode(TEXTS))

    def test_a_repository_in_the_hubs_cache(self, save, tmp_path):
        revision = "0123456789abcdef0123456789abcdef01234567"
        repository = tmp_path / "cache/models--acme--tiny"
        shutil.copytree(save(ROWS["Pooling, Dense, LayerNorm"]()), repository / "snapshots" / revision)
        (repository / "refs").mkdir()
        (repository / "refs/main").write_text(revision)
        ours = FlagAutoModel.from_finetuned("acme/tiny", cache_dir=str(tmp_path / "cache"), use_fp16=False)
        theirs = SentenceTransformer(str(repository / "snapshots" / revision), device="cpu")
        assert_same(ours.encode(TEXTS), theirs.encode(TEXTS, normalize_embeddings=True))

    def test_a_model_class_of_the_callers_keeps_the_rest(self, save):
        folder = save(ROWS["Pooling, Dense, Normalize"](), prompts={"query": "search: "})
        ours = load(folder, model_class="encoder-only-base")
        assert_same(ours.encode_queries(TEXTS), SentenceTransformer(str(folder), device="cpu").encode_query(TEXTS))


class TestNormalising:
    @pytest.mark.parametrize(
        ("similarity", "level"), [(None, "INFO"), ("cosine", "INFO"), ("dot", "WARNING"), ("euclidean", "WARNING")]
    )
    def test_what_is_normalised_that_was_not_is_said(self, save, caplog, similarity, level):
        folder = save(ROWS["Pooling"](), similarity_fn_name=similarity)
        caplog.clear()
        caplog.set_level(logging.INFO, logger="FlagEmbedding.registry")
        load(folder)
        [record] = [record for record in caplog.records if record.name == "FlagEmbedding.registry.detection"]
        assert record.levelname == level
        assert f"compare them by {similarity or 'cosine'}" in record.getMessage()
        assert "normalize_embeddings=False leaves them" in record.getMessage()

    def test_nothing_is_said_where_the_files_normalise(self, save, caplog):
        folder = save(ROWS["Pooling, Dense, Normalize"](), similarity_fn_name="dot")
        caplog.clear()
        caplog.set_level(logging.INFO, logger="FlagEmbedding.registry")
        load(folder)
        assert [record for record in caplog.records if record.name == "FlagEmbedding.registry.detection"] == []


def test_pickled_weights_of_layers(save):
    folder = save(ROWS["Pooling, Dense, LayerNorm"]())
    for path in sorted(folder.glob("[23]_*/model.safetensors")):
        torch.save(load_file(path), path.with_name("pytorch_model.bin"))
        path.unlink()
    assert_like_sentence_transformers(folder)


REFUSED = [
    *("Router", "Asym", "CLIPModel", "StaticEmbedding", "BoW"),
    *("CNN", "LSTM", "WordEmbeddings", "WordWeights", "WeightedLayerPooling"),
]


@pytest.mark.parametrize("module", [*REFUSED, "SpladePooling", "MultiVectorMask"])
def test_what_cannot_be_done_is_refused(save, module):
    folder = save(ROWS["Pooling, Dense, Normalize"]())
    modules = read(folder / "modules.json")
    modules[2]["type"] = f"sentence_transformers.models.{module}"
    write(folder / "modules.json", modules)
    with pytest.raises(CheckpointError, match=f"modules {module}, which are not supported"):
        load(folder)


def test_the_page_names_what_is_refused():
    assert first_cells("What is refused")[0] == ", ".join([*REFUSED, "modules of sparse and multi-vector models"])
