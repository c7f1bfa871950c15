"""mteb's own evaluation on top of ours: its protocols, and scores that an independent computation gives too."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mteb", reason="needs flagembedding-core[mteb]")

import mteb
from datasets import Dataset
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.cache import ResultCache
from mteb.models import CrossEncoderProtocol, EncoderProtocol, ModelMeta
from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper
from mteb.types import PromptType
from torch.utils.data import DataLoader

from FlagEmbedding import FlagAutoModel, FlagAutoReranker
from FlagEmbedding.adapters.mteb import FlagCrossEncoder, FlagEncoder
from FlagEmbedding.errors import OptionError
from flagembedding_minilm.weights import packaged_folder

SPLIT = {"hf_split": "test", "hf_subset": "default"}


def metadata(name: str, task_type: str = "Retrieval") -> TaskMetadata:
    return TaskMetadata(
        name=name,
        description="A collection on this machine.",
        dataset={"path": "local", "revision": "1"},
        type=task_type,
        category="t2t",
        eval_langs=["eng-Latn"],
        main_score="ndcg_at_10",
    )


def task_of(
    queries: dict[str, str],
    corpus: dict[str, str],
    judged: dict[str, dict[str, int]],
    candidates: dict[str, list[str]] | None = None,
    name: str = "LocalRetrieval",
) -> AbsTaskRetrieval:
    """A task whose data is here: mteb asks the hub for none."""
    described = metadata(name, "Retrieval" if candidates is None else "Reranking")

    class Local(AbsTaskRetrieval):
        metadata = described

        def load_data(self, num_proc: int | None = None, **kwargs: Any) -> None:
            self.dataset = {
                "default": {
                    "test": {
                        "queries": Dataset.from_dict({"id": list(queries), "text": list(queries.values())}),
                        "corpus": Dataset.from_dict({"id": list(corpus), "text": list(corpus.values())}),
                        "relevant_docs": {query: dict(grades) for query, grades in judged.items()},
                        "top_ranked": candidates,
                    }
                }
            }
            self.data_loaded = True

    return Local()


def evaluated(model: Any, task: AbsTaskRetrieval, **encode_kwargs: Any) -> float:
    result = mteb.evaluate(
        model, task, cache=None, co2_tracker=False, encode_kwargs=encode_kwargs, show_progress_bar=False
    )
    return float(result.task_results[0].scores["test"][0]["ndcg_at_10"])


def loader(texts: list[str], batch_size: int = 2) -> DataLoader[Any]:
    return DataLoader([{"text": text} for text in texts], batch_size=batch_size)


@pytest.fixture(scope="module")
def encoder(embedder_folder: Any, told: Any) -> FlagEncoder:
    return FlagEncoder(embedder_folder, **told)


@pytest.fixture(scope="module")
def cross_encoder(reranker_folder: Any) -> FlagCrossEncoder:
    return FlagCrossEncoder(reranker_folder, device="cpu")


def test_the_protocols_of_mteb(encoder: Any, cross_encoder: Any) -> None:
    assert isinstance(encoder, EncoderProtocol)
    assert isinstance(cross_encoder, CrossEncoderProtocol)
    assert not isinstance(encoder, CrossEncoderProtocol)


@pytest.mark.parametrize(
    ("prompt_type", "instruction"), [(PromptType.query, "question: "), (PromptType.document, "paper: "), (None, "")]
)
def test_vectors_are_those_of_the_model_with_the_instruction_of_their_kind(
    encoder: Any, documents: Any, right: Any, prompt_type: Any, instruction: str
) -> None:
    vectors = encoder.encode(loader(documents), task_metadata=metadata("Local"), prompt_type=prompt_type, **SPLIT)
    assert (type(vectors), vectors.dtype) == (np.ndarray, np.float32)
    np.testing.assert_allclose(vectors, right(instruction, documents), atol=1e-5)


def test_options_of_a_call_reach_the_model(encoder: Any, documents: Any) -> None:
    call = {"task_metadata": metadata("Local"), "prompt_type": None, **SPLIT}
    vectors = encoder.encode(loader(documents), batch_size=1, show_progress_bar=False, precision="float32", **call)
    assert vectors.shape[0] == len(documents)
    with pytest.raises(OptionError, match="vectors are float32, not 'int8'"):
        encoder.encode(loader(documents), precision="int8", **call)
    with pytest.raises(OptionError, match="unknown option 'batchsize'"):
        encoder.encode(loader(documents), batchsize=1, **call)


@pytest.mark.parametrize(
    ("task_type", "prompt_type", "instruction"),
    [
        ("Retrieval", PromptType.query, "river "),  # the most specific counts
        ("Retrieval", PromptType.document, "paper: "),  # nothing is said of documents: the model's own
        ("Reranking", PromptType.query, "light "),
        ("Clustering", None, "stone "),
        ("STS", None, ""),
    ],
)
def test_prompts_of_mteb_take_the_place_of_instructions(
    embedder_folder: Any, told: Any, documents: Any, right: Any, task_type: str, prompt_type: Any, instruction: str
) -> None:
    prompts = {"query": "light ", "Retrieval-query": "river ", "Clustering": "stone "}
    encoder = FlagEncoder(embedder_folder, model_prompts=prompts, **told)
    described = metadata("Local", task_type)
    vectors = encoder.encode(loader(documents), task_metadata=described, prompt_type=prompt_type, **SPLIT)
    np.testing.assert_allclose(vectors, right(instruction, documents), atol=1e-5)


def test_similarity_is_cosine_of_unit_vectors_and_else_the_product(
    encoder: Any, embedder_folder: Any, told: Any
) -> None:
    one, other = np.array([[3.0, 4.0]]), np.array([[4.0, 3.0], [1.0, 0.0]])
    np.testing.assert_allclose(encoder.similarity(one, other), [[0.96, 0.6]], atol=1e-6)
    np.testing.assert_allclose(encoder.similarity_pairwise(one, other[:1]), [0.96], atol=1e-6)
    longer = FlagEncoder(embedder_folder, normalize_embeddings=False, **told)
    np.testing.assert_allclose(longer.similarity(one, other), [[24.0, 3.0]], atol=1e-6)


def test_scores_are_those_of_the_model(cross_encoder: Any, query: str, documents: Any, right_scores: Any) -> None:
    call = {"task_metadata": metadata("Local", "Reranking"), **SPLIT}
    queries = loader([query] * len(documents))
    scores = cross_encoder.predict(queries, loader(documents), batch_size=2, show_progress_bar=False, **call)
    np.testing.assert_allclose(scores, right_scores, atol=1e-5)
    assert cross_encoder.predict(loader([]), loader([]), **call).shape == (0,)
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        cross_encoder.predict(queries, loader(documents[1:]), **call)


def test_pairs_beyond_a_block_are_scored_in_order(
    cross_encoder: Any, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("FlagEmbedding.adapters.mteb._BLOCK", 3)
    texts = ["light " * count for count in range(1, 9)]
    call = {"task_metadata": metadata("Local", "Reranking"), **SPLIT}
    scores = cross_encoder.predict(loader([query] * 8), loader(texts), **call)
    np.testing.assert_allclose(scores, cross_encoder.model.compute_score([(query, text) for text in texts]), atol=1e-5)


def test_several_layers_are_no_score(tiny_hub: Any) -> None:
    layers = FlagCrossEncoder("BAAI/bge-reranker-v2-minicpm-layerwise", cutoff_layers=[28, 40])
    with pytest.raises(OptionError, match="one score a pair"):
        layers.predict(loader(["q"]), loader(["d"]), task_metadata=metadata("Local", "Reranking"), **SPLIT)


def test_a_model_of_several_kinds_of_vectors_gives_the_dense_ones(tiny_hub: Any, documents: Any) -> None:
    model = FlagAutoModel.from_finetuned("BAAI/bge-m3", devices="cpu")
    for prompt_type, encode in ((PromptType.query, model.encode_queries), (None, model.encode)):
        vectors = FlagEncoder(model).encode(
            loader(documents), task_metadata=metadata("Local"), prompt_type=prompt_type, **SPLIT
        )
        np.testing.assert_allclose(vectors, encode(documents)["dense_vecs"], atol=1e-6)


def test_what_results_are_kept_under(
    embedder_folder: Any, told: Any, encoder: Any, cross_encoder: Any, tiny_hub: Any
) -> None:
    folder = embedder_folder.resolve().as_posix()
    meta = encoder.mteb_model_meta
    said = {name: value for name, value in told.items() if name != "devices"}
    assert (meta.name, meta.experiment_kwargs, meta.embed_dim) == (folder, said, 32)
    assert meta.similarity_fn_name.value == "cosine"
    assert meta.use_instructions
    assert cross_encoder.mteb_model_meta.is_cross_encoder
    assert cross_encoder.mteb_model_meta.experiment_kwargs is None

    named = FlagEncoder("BAAI/bge-m3", device="cpu").mteb_model_meta
    assert (named.name, named.experiment_kwargs, named.max_tokens) == ("BAAI/bge-m3", None, 8192)
    assert FlagEncoder("bge-m3").mteb_model_meta.name == "FlagEmbedding/bge-m3"  # found in a folder, by a plugin


def test_results_with_other_settings_are_kept_apart(embedder_folder: Any, told: Any) -> None:
    """mteb's cache would give the results of one to the other."""
    whole, short = (FlagEncoder(embedder_folder, **told, truncate_dim=size) for size in (None, 4))
    ready = FlagEncoder(FlagAutoModel.from_finetuned(embedder_folder, **told, truncate_dim=4))
    metas = [one.mteb_model_meta for one in (whole, short, ready)]
    assert len({meta.experiment_name for meta in metas}) == 3
    said = {"query_instruction_for_retrieval": "question: ", "truncate_dim": 4}
    assert said.items() <= ready.mteb_model_meta.experiment_kwargs.items()
    prompted = FlagEncoder(embedder_folder, model_prompts={"query": "q "}, **told).mteb_model_meta
    assert prompted.experiment_name not in {meta.experiment_name for meta in metas}
    assert FlagEncoder(embedder_folder, **told, token="hf_secret").mteb_model_meta == whole.mteb_model_meta


def test_mteb_loads_it_from_its_own_metadata(embedder_folder: Any, documents: Any, right: Any) -> None:
    options = {"pooling_method": "mean"}
    meta = ModelMeta.create_empty({"name": str(embedder_folder), "loader": FlagEncoder, "loader_kwargs": options})
    meta = meta.model_copy(update={"revision": None})
    model = meta.load_model(device="cpu", embed_dim=4)
    vectors = model.encode(loader(documents), task_metadata=metadata("Local"), prompt_type=None, **SPLIT)
    cut = right("", documents)[:, :4]
    np.testing.assert_allclose(vectors, cut / np.linalg.norm(cut, axis=1, keepdims=True), atol=1e-5)


def test_what_is_refused(embedder_folder: Any, encoder: Any, cross_encoder: Any, told: Any) -> None:
    with pytest.raises(OptionError, match=r"unknown option 'trunc_dim'. Did you mean 'truncate_dim'"):
        FlagEncoder(embedder_folder, **told, trunc_dim=4)
    with pytest.raises(OptionError, match="loaded already takes no options, and got 'device'"):
        FlagEncoder(encoder.model, device="cpu")
    with pytest.raises(OptionError, match=r"name of an embedder is needed.*not a BaseReranker"):
        FlagEncoder(cross_encoder.model)
    with pytest.raises(OptionError, match=r"name of a reranker is needed.*not a BaseEmbedder"):
        FlagCrossEncoder(encoder.model)
    with (
        pytest.warns(UserWarning, match="Task name Retreival is not valid"),  # mteb's
        pytest.raises(OptionError, match=r"model_prompts.*Task name Retreival is not valid"),
    ):
        FlagEncoder(embedder_folder, model_prompts={"Retreival": "river "}, **told)


# Nine texts around each other's words, graded by hand.
CORPUS = {str(place): text for place, text in enumerate(["river stone", "stone light", "light seven", "seven garden"])}
CORPUS |= {"9": "zürich", "8": "paper letter of the river", "7": "question answer", "6": "window", "5": "of all the"}
QUERIES = {"a": "river", "b": "light garden", "c": "letter"}
JUDGED = {"a": {"0": 2, "8": 1}, "b": {"1": 1, "2": 2, "3": 1}, "c": {"8": 3, "7": 1}}


def ndcg_at_10(scores: np.ndarray) -> float:
    """The mean over the queries of DCG, gain by grade, over the best that could be had; by hand."""
    found = []
    for row, grades in zip(scores, JUDGED.values(), strict=True):
        ranked = [list(CORPUS)[place] for place in np.argsort(-row, kind="stable")][:10]
        gain = sum(grades.get(name, 0) / np.log2(rank + 2) for rank, name in enumerate(ranked))
        ideal = sum(grade / np.log2(rank + 2) for rank, grade in enumerate(sorted(grades.values(), reverse=True)))
        found.append(gain / ideal)
    return float(np.mean(found))


def test_a_retrieval_task(encoder: Any, right: Any) -> None:
    scores = right("question: ", list(QUERIES.values())) @ right("paper: ", list(CORPUS.values())).T
    swapped = right("paper: ", list(QUERIES.values())) @ right("question: ", list(CORPUS.values())).T
    quality = evaluated(encoder, task_of(QUERIES, CORPUS, JUDGED))
    assert quality == pytest.approx(ndcg_at_10(scores), abs=1e-5)  # mteb rounds to five digits
    assert ndcg_at_10(swapped) != pytest.approx(quality, abs=1e-3)  # the kinds are told apart


def test_a_reranking_task(cross_encoder: Any, score: Callable[[str, str], float]) -> None:
    scores = np.array([[score(query, document) for document in CORPUS.values()] for query in QUERIES.values()])
    task = task_of(QUERIES, CORPUS, JUDGED, candidates={query: list(CORPUS) for query in QUERIES})
    quality = evaluated(cross_encoder, task, batch_size=4)
    assert quality == pytest.approx(ndcg_at_10(scores), abs=1e-5)
    assert quality < 1 - 1e-3


def test_the_cache_of_mteb_tells_settings_apart(embedder_folder: Any, told: Any, tmp_path: Path) -> None:
    cache, task = ResultCache(tmp_path), task_of(QUERIES, CORPUS, JUDGED)
    found = [
        mteb.evaluate(
            FlagEncoder(embedder_folder, **told, truncate_dim=size),
            task,
            cache=cache,
            co2_tracker=False,
            encode_kwargs={"batch_size": 8},
            show_progress_bar=False,
        )
        for size in (None, 2, None)
    ]
    whole, short, again = (float(one.task_results[0].scores["test"][0]["ndcg_at_10"]) for one in found)
    assert whole == again
    assert whole != short


def test_a_ready_reranker(reranker_folder: Any) -> None:
    ready = FlagAutoReranker.from_finetuned(reranker_folder, devices="cpu", normalize=True)
    model = FlagCrossEncoder(ready)
    assert model.model is ready
    assert model.mteb_model_meta.experiment_kwargs["normalize"] is True


def test_the_example_of_the_documentation(run_example: Any) -> None:
    names = run_example("mteb")
    assert 0 <= names["quality"] <= 1


def cranfield() -> Any:
    """The collection and its independent nDCG, from the test that compares vectors there."""
    path = Path(__file__).resolve().parent.parent / "test_cranfield.py"
    spec = importlib.util.spec_from_file_location("cranfield", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.skipif(not cranfield().DATA.is_dir(), reason="the Cranfield collection is not beside this checkout")
def test_cranfield_with_real_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """One figure four ways: of our vectors and of sentence-transformers', by mteb and by hand."""
    collection = cranfield()
    # -1 says "of no interest" of one document a query: no gain in mteb (trec_eval); the other test takes one off.
    judged = {
        query: {document: max(grade, 0) for document, grade in grades.items()}
        for query, grades in collection.relevance().items()
    }
    monkeypatch.setattr(collection, "relevance", lambda: judged)
    corpus, queries = (
        {row["_id"]: row["text"] for row in collection.rows(f"{name}.jsonl")} for name in ("corpus", "queries")
    )
    models = (
        FlagEncoder("all-MiniLM-L6-v2", device="cpu"),
        SentenceTransformerEncoderWrapper(str(packaged_folder()), device="cpu"),
    )
    for model in models:
        vectors = recorded(model, monkeypatch)
        quality = evaluated(model, task_of(queries, corpus, judged, name="Cranfield"), batch_size=128)
        by_hand = collection.ndcg(vectors["query"], vectors["document"], list(queries), list(corpus), depth=10)
        assert quality == pytest.approx(by_hand, abs=1e-5)  # mteb rounds to five digits
        assert quality == 0.35267


def recorded(model: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """Return a dictionary that fills with the vectors that a model gives."""
    vectors, encode = {}, model.encode

    def encode_and_keep(*args: Any, **kwargs: Any) -> np.ndarray:
        vectors[kwargs["prompt_type"].value] = found = encode(*args, **kwargs)
        return found

    monkeypatch.setattr(model, "encode", encode_and_keep)
    return vectors
