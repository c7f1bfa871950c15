"""Programs of sentence-transformers on our classes: the package itself is the reference, on the same folders.

The differences that are intended are those of docs/moving-from-sentence-transformers.md.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer

from FlagEmbedding import FlagAutoModel, FlagAutoReranker, FlagModel
from FlagEmbedding.errors import OptionError
from FlagEmbedding.plugins.manager import plugin_manager

MINILM = "all-MiniLM-L6-v2"
CLOSE = 1e-5

QUERIES = ["what is a garden", "where is the river", ""]
TEXTS = [
    "The question in the garden window, and all of the answer.",
    "river",
    "Zürich naïve straße Москва 東京",
    "search engine learning machine " * 9,
    "",
]
PAIRS = [("river", "the river of light"), ("where is the garden", "seven stones " * 60), ("", ""), ("a", "b")]


@pytest.fixture(autouse=True)
def _one_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compared here is a CPU's."""
    for kind in ("cuda", "xpu", "backends.mps"):
        monkeypatch.setattr(f"torch.{kind}.is_available", lambda: False)


@pytest.fixture(scope="module")
def minilm() -> tuple[Any, SentenceTransformer]:
    """The real model, ours and theirs."""
    folder = plugin_manager().locate(f"sentence-transformers/{MINILM}")
    if folder is None:
        pytest.skip("the weights of the example plugin are not installed")
    return FlagAutoModel.from_finetuned(MINILM, devices="cpu"), SentenceTransformer(folder, device="cpu")


@pytest.fixture
def save(checkpoint: Any, tmp_path: Path) -> Callable[..., str]:
    """Return a function that lets sentence-transformers save a tiny model."""

    def saved(modules: Iterable[Any], **options: Any) -> str:
        first = Transformer(str(checkpoint("bert")), max_seq_length=20)
        model = SentenceTransformer(modules=[first, *modules], device="cpu", **options)
        model.save(str(tmp_path / "saved"), create_model_card=False)
        return str(tmp_path / "saved")

    return saved


def both(folder: str, **options: Any) -> tuple[Any, SentenceTransformer]:
    return FlagAutoModel.from_finetuned(folder, devices="cpu", **options), SentenceTransformer(folder, device="cpu")


def near(one: Any, other: Any) -> bool:
    one, other = np.asarray(one), np.asarray(other)
    assert (one.shape, one.dtype) == (other.shape, other.dtype)
    return bool(np.abs(one - other).max(initial=0) <= CLOSE)


class TestMiniLM:
    @pytest.mark.parametrize("method", ["encode", "encode_query", "encode_document"])
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"batch_size": 2, "show_progress_bar": False, "normalize_embeddings": False, "prompt": "query: "},
            {"convert_to_tensor": True, "device": "cpu", "precision": "float32", "output_value": "sentence_embedding"},
            {"truncate_dim": 64, "normalize_embeddings": True},
        ],
        ids=str,
    )
    def test_vectors(self, minilm: Any, method: str, options: dict[str, Any]) -> None:
        ours, theirs = (getattr(model, method) for model in minilm)
        found, expected = ours(TEXTS, **options), theirs(TEXTS, **options)
        assert type(found) is type(expected)
        assert near(found, expected)
        assert near(ours(TEXTS[0], **options), expected[0])

    @pytest.mark.parametrize("method", ["encode_query", "encode_document"])
    def test_a_list_of_tensors(self, minilm: Any, method: str) -> None:
        found, expected = (getattr(model, method)(TEXTS, convert_to_numpy=False) for model in minilm)
        assert [type(row) for row in found] == [type(row) for row in expected]
        assert near(torch.stack(found), torch.stack(expected))

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize("precision", ["binary", "ubinary", "int8", "uint8"])
    def test_precisions(self, minilm: Any, precision: str) -> None:
        """The largest number of a component is on the edge of a step: the last bit of a float says where it falls.

        That the numbers are the same where the vectors are is tested in core/tests/abc/test_quantization.py.
        """
        found, expected = (model.encode(TEXTS, precision=precision) for model in minilm)
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        if "binary" in precision:
            assert np.array_equal(found, expected)
        assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1

    def test_similarity(self, minilm: Any) -> None:
        ours, theirs = minilm
        queries, texts = theirs.encode_query(QUERIES), theirs.encode_document(TEXTS)
        for found, expected in (
            (ours.similarity(queries, texts), theirs.similarity(queries, texts)),
            (ours.similarity(queries[0], texts), theirs.similarity(queries[0], texts)),
            (ours.similarity_pairwise(queries, texts[:3]), theirs.similarity_pairwise(queries, texts[:3])),
        ):
            assert isinstance(found, torch.Tensor)
            assert near(found, expected)

    def test_a_text_that_is_cut(self, minilm: Any) -> None:
        long = "search engine learning machine " * 80
        assert near(*(model.encode_query(long) for model in minilm))

    def test_what_is_known_of_it(self, minilm: Any) -> None:
        ours, theirs = minilm
        names = ("similarity_fn_name", "max_seq_length", "device", "prompts", "truncate_dim")
        assert [getattr(ours, name) for name in names] == [getattr(theirs, name) for name in names]
        assert ours.get_embedding_dimension() == theirs.get_embedding_dimension() == 384
        assert ours.get_sentence_embedding_dimension() == 384
        assert ours.tokenizer("a river")["input_ids"] == theirs.tokenizer("a river")["input_ids"]

    def test_a_shorter_length(self, minilm: Any) -> None:
        ours, theirs = minilm
        before = theirs.max_seq_length
        try:
            ours.max_seq_length = theirs.max_seq_length = 8
            assert near(ours.encode_query(TEXTS), theirs.encode_query(TEXTS))
        finally:
            ours.max_seq_length = theirs.max_seq_length = before

    @pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
    @pytest.mark.parametrize("said", [True, False, None])
    def test_bars(self, minilm: Any, capsys: pytest.CaptureFixture[str], level: int, said: bool | None) -> None:
        shown = []
        for model, name in zip(minilm, ("FlagEmbedding", "sentence_transformers"), strict=True):
            logger = logging.getLogger(name)
            before = logger.level
            logger.setLevel(level)
            try:
                model.encode_query(TEXTS, show_progress_bar=said)
            finally:
                logger.setLevel(before)
            shown.append("it/s" in (bar := capsys.readouterr().err) or "texts" in bar)
        assert shown == [shown[1]] * 2
        assert shown[1] is (level == logging.INFO if said is None else said)


PROMPTS = {"query": "search: ", "document": "the answer: ", "STS": "like "}


class TestTiny:
    @pytest.mark.parametrize("name", ["cosine", "dot", "euclidean", "manhattan"])
    def test_how_vectors_are_compared_is_read(self, save: Any, name: str) -> None:
        ours, theirs = both(save([Pooling(32, "mean")], similarity_fn_name=name), normalize_embeddings=False)
        assert ours.similarity_fn_name == theirs.similarity_fn_name == name
        one, other = theirs.encode(QUERIES), theirs.encode(TEXTS)
        assert near(ours.similarity(one, other), theirs.similarity(one, other))
        assert near(ours.encode(TEXTS), theirs.encode(TEXTS))
        assert near(ours.encode(TEXTS, normalize_embeddings=True), theirs.encode(TEXTS, normalize_embeddings=True))

    @pytest.mark.parametrize("option", [{}, *({"prompt_name": name} for name in PROMPTS), {"prompt": ""}], ids=str)
    @pytest.mark.parametrize("method", ["encode", "encode_query", "encode_document"])
    @pytest.mark.parametrize("default", [None, "STS"])
    def test_prompts(self, save: Any, method: str, option: dict[str, str], default: str | None) -> None:
        modules = [Pooling(32, "mean"), Normalize()]
        ours, theirs = both(save(modules, prompts=PROMPTS, default_prompt_name=default))
        assert ours.prompts == theirs.prompts == PROMPTS
        assert near(getattr(ours, method)(QUERIES, **option), getattr(theirs, method)(QUERIES, **option))

    def test_a_prompt_that_is_none(self, save: Any) -> None:
        for model in both(save([Pooling(32, "mean")], prompts=PROMPTS)):
            with pytest.raises(ValueError, match="SST"):
                model.encode_query("a", prompt_name="SST")

    @pytest.mark.parametrize("truncate_dim", [None, 5, 12])
    def test_the_dimension_is_known_without_a_forward(
        self, save: Any, truncate_dim: int | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        modules = [Pooling(32, ("mean", "max")), Dense(64, 12)]
        ours, theirs = both(save(modules, truncate_dim=truncate_dim))
        monkeypatch.setattr(type(ours), "encode_single_device", None)
        assert ours.get_embedding_dimension() == theirs.get_embedding_dimension() == (truncate_dim or 12)
        with ours.truncate_embeddings(3), theirs.truncate_embeddings(3):
            assert ours.get_embedding_dimension() == theirs.get_embedding_dimension() == 3

    @pytest.mark.parametrize(("name", "dimension"), [("BAAI/bge-m3", 32), ("bge-en-icl", 32)])
    def test_the_dimension_of_classes_of_their_own(
        self, tiny_hub: Any, name: str, dimension: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = FlagAutoModel.from_finetuned(name, devices="cpu", truncate_dim=7)
        monkeypatch.setattr(type(model), "encode_single_device", None)
        assert model.get_embedding_dimension() == 7
        model.truncate_dim = None
        assert model.get_embedding_dimension() == dimension


def test_the_length_of_a_model_that_says_none(checkpoint: Any, tiny: Any) -> None:
    """Its positions."""
    ours = FlagModel(str(checkpoint("bert")), devices="cpu")
    theirs = SentenceTransformer(str(checkpoint("bert")), device="cpu")
    assert ours.passage_max_length is None
    assert ours.max_seq_length == theirs.max_seq_length == tiny.POSITIONS


class TestOtherClasses:
    def test_m3_gives_its_dense_vectors(self, tiny_hub: Any) -> None:
        model = FlagAutoModel.from_finetuned("bge-m3", devices="cpu")
        for encode, twin in ((model.encode_query, model.encode_queries), (model.encode_document, model.encode_corpus)):
            assert np.array_equal(encode(TEXTS), twin(TEXTS)["dense_vecs"])
            assert encode("river", convert_to_tensor=True).shape == (32,)
        assert model.encode_query(TEXTS, precision="ubinary").shape == (5, 4)
        assert model.similarity(model.encode_query("a"), model.encode_document(TEXTS)).shape == (1, 5)

    def test_queries_of_icl_keep_their_examples(self, tiny_hub: Any) -> None:
        model = FlagAutoModel.from_finetuned("bge-en-icl", devices="cpu")
        plain = model.encode_query(QUERIES)
        model.set_examples([{"instruct": "find", "query": "a river", "response": "the river of light"}])
        assert near(model.encode_query(QUERIES), model.encode_queries(QUERIES))
        assert not near(model.encode_query(QUERIES), plain)
        assert not near(model.encode_query(QUERIES, prompt="find: "), model.encode_query(QUERIES))


class TestCrossEncoder:
    @pytest.fixture
    def rerankers(self, tiny: Any, tmp_path: Path) -> Callable[..., tuple[Any, CrossEncoder]]:
        """Return a function that loads a tiny classifier, with these values in its configuration."""

        def load(**values: Any) -> tuple[Any, CrossEncoder]:
            folder = tiny.build_classifier(tmp_path / "reranker", "bert")
            tiny.change_json(folder / "config.json", **values)
            ours = FlagAutoReranker.from_finetuned(str(folder), devices="cpu", truncation="longest_first")
            return ours, CrossEncoder(str(folder), device="cpu")

        return load

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"convert_to_tensor": True},
            {"activation_fn": torch.nn.Identity()},
            {"activation_fn": torch.nn.Tanh(), "apply_softmax": True},
            {"batch_size": 1, "show_progress_bar": False, "device": "cpu"},
        ],
        ids=str,
    )
    def test_predict(self, rerankers: Any, options: dict[str, Any]) -> None:
        ours, theirs = rerankers()
        found, expected = ours.predict(PAIRS, **options), theirs.predict(PAIRS, **options)
        assert type(found) is type(expected)
        assert near(found, expected)
        one, other = ours.predict(list(PAIRS[0]), **options), theirs.predict(list(PAIRS[0]), **options)
        assert type(one) is type(other)
        assert near(one, other)

    def test_a_list_of_tensors_and_none_at_all(self, rerankers: Any) -> None:
        ours, theirs = rerankers()
        found, expected = (model.predict(PAIRS, convert_to_numpy=False) for model in (ours, theirs))
        assert [type(score) for score in found] == [type(score) for score in expected]
        assert near(torch.stack(found), torch.stack(expected))
        assert ours.predict([]).shape == theirs.predict([]).shape == (0,)

    @pytest.mark.parametrize(
        "values",
        [
            {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity", "version": "4"}},
            {"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Sigmoid", "version": "4"}},
            {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"},
        ],
        ids=["version 4", "sigmoid", "version 3"],
    )
    def test_what_the_files_name(self, rerankers: Any, values: dict[str, Any]) -> None:
        ours, theirs = rerankers(**values)
        assert near(ours.predict(PAIRS), theirs.predict(PAIRS))

    def test_what_a_model_that_they_save_names(self, rerankers: Any, tmp_path: Path) -> None:
        _, theirs = rerankers()
        theirs.activation_fn = torch.nn.Identity()
        theirs.save_pretrained(str(tmp_path / "saved"), create_model_card=False)
        again = CrossEncoder(str(tmp_path / "saved"), device="cpu").predict(PAIRS)
        ours = FlagAutoReranker.from_finetuned(str(tmp_path / "saved"), devices="cpu", truncation="longest_first")
        assert near(ours.predict(PAIRS), again)
        assert np.abs(again).max() > 0.5
        assert again.min() < 0  # no sigmoid

    def test_a_function_of_somebodys_is_not_imported(self, rerankers: Any) -> None:
        ours, _ = rerankers(sentence_transformers={"activation_fn": "torch.nn.modules.activation.Tanh"})
        with pytest.raises(OptionError, match=r"name 'torch.nn.modules.activation.Tanh' .* say activation_fn=\.$"):
            ours.predict(PAIRS)
        assert len(ours.predict(PAIRS, activation_fn=torch.tanh)) == len(PAIRS)

    @pytest.mark.parametrize("options", [{"top_k": 2}, {"return_documents": True}, {}], ids=str)
    def test_rank(self, rerankers: Any, options: dict[str, Any]) -> None:
        ours, theirs = rerankers()
        expected = theirs.rank("where is the river", TEXTS, **options)
        for found in (
            ours.rank("where is the river", TEXTS, activation_fn=torch.sigmoid, **options),
            ours.rank("where is the river", TEXTS, normalize=True, **options),
        ):
            assert [hit["corpus_id"] for hit in found] == [hit["corpus_id"] for hit in expected]
            assert [hit["score"] for hit in found] == pytest.approx([hit["score"] for hit in expected], abs=CLOSE)
            assert all(hit["text"] == TEXTS[hit["corpus_id"]] for hit in found)

    def test_rank_without_documents(self, rerankers: Any) -> None:
        ours, theirs = rerankers()
        [found], [expected] = (model.rank("river", TEXTS[:1], return_documents=False) for model in (ours, theirs))
        assert found.keys() - expected.keys() == {"index"}
        with pytest.raises(OptionError, match=r"^give top_n= or top_k=, not both\.$"):
            ours.rank("river", TEXTS, top_n=1, top_k=1)

    @pytest.mark.parametrize(
        ("option", "message"),
        [
            ({"prompt": "q: "}, "What goes before a query is query_instruction_for_rerank="),
            ({"prompt_name": "query"}, "What goes before a query is query_instruction_for_rerank="),
            ({"pool": {}}, "pool= of sentence-transformers is not taken here"),
            ({"device": ["cpu", "cpu"]}, "a call runs on one device"),
            ({"normalise": True}, "unknown option 'normalise'"),
        ],
    )
    def test_what_is_refused(self, rerankers: Any, option: dict[str, Any], message: str) -> None:
        with pytest.raises(OptionError, match=message):
            rerankers()[0].predict(PAIRS, **option)


def test_a_folder_keeps_its_files(minilm: Any, tmp_path: Path) -> None:
    """A copy of the real model that nobody registered: read by both from the same files."""
    folder = plugin_manager().locate(f"sentence-transformers/{MINILM}")
    assert folder is not None
    copy = shutil.copytree(folder, tmp_path / "my-own-model", ignore=shutil.ignore_patterns("*.onnx", "*.bin", "*.h5"))
    ours, theirs = both(str(copy))
    assert (ours.max_seq_length, ours.similarity_fn_name) == (theirs.max_seq_length, theirs.similarity_fn_name)
    assert near(ours.encode_query(TEXTS), theirs.encode_query(TEXTS))
