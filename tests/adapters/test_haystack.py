"""Haystack's own pipelines on top of ours: right vectors, right scores, written to YAML and back."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

pytest.importorskip("haystack", reason="needs flagembedding-core[haystack]")

from haystack import Document, Pipeline
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.components.writers import DocumentWriter
from haystack.core.errors import DeserializationError
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.utils import ComponentDevice

from FlagEmbedding import FlagAutoModel, FlagAutoReranker
from FlagEmbedding.adapters.haystack import FlagDocumentEmbedder, FlagRanker, FlagTextEmbedder
from FlagEmbedding.errors import InputError, OptionError

TRUSTED = ["FlagEmbedding.adapters.haystack"]


def given(documents: list[str]) -> list[Document]:
    return [Document(id=str(place), content=text) for place, text in enumerate(documents)]


def test_a_query_is_embedded_with_the_instruction_for_queries(
    embedder_folder: Any, told: Any, query: str, right_query: Any
) -> None:
    embedder = FlagTextEmbedder(embedder_folder, **told)
    assert embedder._loaded is None
    made = embedder.run(query)  # which loads the model
    assert set(made) == {"embedding"}
    assert {type(number) for number in made["embedding"]} == {float}
    np.testing.assert_allclose(made["embedding"], right_query, atol=1e-5)
    model = embedder._loaded
    embedder.warm_up()
    assert embedder._loaded is model


def test_documents_are_embedded_with_the_instruction_for_passages(
    embedder_folder: Any, told: Any, documents: Any, right_documents: Any
) -> None:
    embedder = FlagDocumentEmbedder(embedder_folder, **told)
    before = given(documents)
    after = embedder.run(before)["documents"]
    np.testing.assert_allclose([document.embedding for document in after], right_documents, atol=1e-5)
    assert [(document.id, document.content) for document in after] == [(one.id, one.content) for one in before]
    assert before == given(documents)  # as they were
    assert embedder.run([]) == {"documents": []}


def test_fields_are_embedded_before_the_content(embedder_folder: Any, told: Any, right: Any) -> None:
    fields = {"meta_fields_to_embed": ["title", "none", "year"], "embedding_separator": " | "}
    embedder = FlagDocumentEmbedder(embedder_folder, **fields, **told)
    document = Document(content="of light", meta={"title": "river", "year": 7, "none": None, "other": "stone"})
    bare = Document(content=None, meta={"title": "river"})
    after = embedder.run([document, bare])["documents"]
    np.testing.assert_allclose(
        [one.embedding for one in after], right("paper: ", ["river | 7 | of light", "river | "]), atol=1e-5
    )


def test_options_reach_the_model(embedder_folder: Any, told: Any, query: str, right_query: Any) -> None:
    embedder = FlagTextEmbedder(embedder_folder, **told, truncate_dim=4, batch_size=3)
    vector = embedder.run(query)["embedding"]
    np.testing.assert_allclose(vector, right_query[:4] / np.linalg.norm(right_query[:4]), atol=1e-5)
    assert embedder._loaded.batch_size == 3


def test_a_device_may_be_haystacks(embedder_folder: Any, query: str) -> None:
    embedder = FlagTextEmbedder(embedder_folder, pooling_method="mean", device=ComponentDevice.from_str("cpu"))
    again = FlagTextEmbedder.from_dict(embedder.to_dict())
    assert again.options["device"] == ComponentDevice.from_str("cpu")
    assert again.run(query) == embedder.run(query)
    assert again._loaded.target_devices == ["cpu"]


def test_a_ready_model_is_taken_as_it_is(embedder_folder: Any, reranker_folder: Any, told: Any) -> None:
    model = FlagAutoModel.from_finetuned(embedder_folder, **told)
    embedder, reranker = FlagTextEmbedder(model), FlagAutoReranker.from_finetuned(reranker_folder, devices="cpu")
    embedder.warm_up()
    embedder.close()
    assert embedder._loaded is model
    assert FlagRanker(reranker)._loaded is reranker
    with pytest.raises(OptionError, match="a FlagTextEmbedder of a model that was given ready cannot be written"):
        embedder.to_dict()


def test_a_closed_component_lets_its_model_go_and_loads_it_again(embedder_folder: Any, told: Any, query: str) -> None:
    embedder = FlagTextEmbedder(embedder_folder, **told)
    before = embedder.run(query)
    embedder.close()
    assert embedder._loaded is None
    embedder.close()
    assert embedder.run(query) == before


def test_what_is_refused(embedder_folder: Any, reranker_folder: Any, told: Any, query: str, documents: Any) -> None:
    embedder = FlagTextEmbedder(embedder_folder, **told, trunc_dim=4)
    with pytest.raises(OptionError, match=r"unknown option 'trunc_dim'. Did you mean 'truncate_dim'"):
        embedder.warm_up()
    model = FlagAutoModel.from_finetuned(embedder_folder, **told)
    with pytest.raises(OptionError, match="loaded already takes no options, and got 'truncate_dim'"):
        FlagTextEmbedder(model, truncate_dim=4)
    with pytest.raises(OptionError, match=r"name of a reranker is needed.*not a BaseEmbedder"):
        FlagRanker(model)
    with pytest.raises(InputError, match=r"text must be a string, not list. Documents: FlagDocumentEmbedder"):
        FlagTextEmbedder(model).run(documents)
    for wrong in ("a text", documents):
        with pytest.raises(InputError, match="must be a list of Document"):
            FlagDocumentEmbedder(model).run(wrong)
    for top_k in (0, -1, 1.5, "2"):
        with pytest.raises(OptionError, match="top_k must be a positive number"):
            FlagRanker(reranker_folder, top_k=top_k)
        with pytest.raises(OptionError, match="top_k must be a positive number"):
            FlagRanker(reranker_folder).run(query, given(documents), top_k=top_k)


def test_documents_are_ranked(reranker_folder: Any, query: str, documents: Any, best: Any, right_scores: Any) -> None:
    ranker = FlagRanker(reranker_folder, devices="cpu")
    before = given(documents)
    after = ranker.run(query, before)["documents"]
    assert [document.id for document in after] == [str(place) for place in best]
    np.testing.assert_allclose(
        [document.score for document in after], [right_scores[place] for place in best], atol=1e-5
    )
    assert before == given(documents)  # as they were
    assert ranker.run(query, []) == {"documents": []}


def test_the_best_are_kept_and_each_document_once(reranker_folder: Any, query: str, documents: Any, best: Any) -> None:
    ranker = FlagRanker(reranker_folder, top_k=2, devices="cpu")
    twice = [*given(documents), *given(documents)]
    assert [document.id for document in ranker.run(query, twice)["documents"]] == [str(place) for place in best[:2]]
    assert [document.id for document in ranker.run(query, twice, top_k=9)["documents"]] == [str(one) for one in best]


def test_equal_documents_stay_in_order_and_the_first_of_an_id_counts(reranker_folder: Any, query: str) -> None:
    same = [Document(id=name, content="light", meta={"place": place}) for place, name in enumerate("bacab")]
    ranked = FlagRanker(reranker_folder, devices="cpu").run(query, same)["documents"]
    assert [document.meta["place"] for document in ranked] == [0, 1, 2]


def test_a_ranker_reads_fields_and_options(reranker_folder: Any, query: str, score: Any) -> None:
    ranker = FlagRanker(reranker_folder, meta_fields_to_embed=["title"], devices="cpu", normalize=True)
    (document,) = ranker.run(query, [Document(content="of light", meta={"title": "river"})])["documents"]
    assert document.score == pytest.approx(1 / (1 + np.exp(-score(query, "river\nof light"))), abs=1e-6)


def indexing(store: InMemoryDocumentStore, folder: Any, told: Any) -> Pipeline:
    pipeline = Pipeline()
    pipeline.add_component("embedder", FlagDocumentEmbedder(folder, **told))
    pipeline.add_component("writer", DocumentWriter(store))
    pipeline.connect("embedder.documents", "writer.documents")
    return pipeline


def searching(store: InMemoryDocumentStore, folder: Any, reranker_folder: Any, told: Any) -> Pipeline:
    pipeline = Pipeline()
    pipeline.add_component("embedder", FlagTextEmbedder(folder, **told))
    pipeline.add_component("retriever", InMemoryEmbeddingRetriever(store))
    pipeline.add_component("ranker", FlagRanker(reranker_folder, top_k=3, devices="cpu"))
    pipeline.connect("embedder.embedding", "retriever.query_embedding")
    pipeline.connect("retriever.documents", "ranker.documents")
    return pipeline


def test_pipelines_index_search_and_rank(
    embedder_folder: Any,
    reranker_folder: Any,
    told: Any,
    query: str,
    documents: Any,
    best: Any,
    right_query: Any,
    right_documents: Any,
) -> None:
    store = InMemoryDocumentStore(embedding_similarity_function="cosine")
    indexing(store, embedder_folder, told).run({"documents": given(documents)})
    assert store.count_documents() == len(documents)
    pipeline = searching(store, embedder_folder, reranker_folder, told)
    asked = {"embedder": {"text": query}, "ranker": {"query": query}}
    made = pipeline.run(asked, include_outputs_from={"retriever"})
    right = right_documents @ right_query
    assert [int(one.id) for one in made["retriever"]["documents"]] == np.argsort(-right).tolist()
    assert [int(one.id) for one in made["ranker"]["documents"]] == best[:3]

    again = asyncio.run(pipeline.run_async(asked))
    assert again["ranker"] == made["ranker"]


def test_a_pipeline_is_written_to_yaml_and_back(
    embedder_folder: Any, reranker_folder: Any, told: Any, query: str
) -> None:
    pipeline = searching(InMemoryDocumentStore(), embedder_folder, reranker_folder, {**told, "truncate_dim": 4})
    pipeline.add_component("documents", FlagDocumentEmbedder(embedder_folder, meta_fields_to_embed=["title"], **told))
    text = pipeline.dumps()
    again = Pipeline.loads(text, allowed_modules=TRUSTED)
    assert again.dumps() == text
    embedder, ranker = again.get_component("embedder"), again.get_component("ranker")
    assert (embedder.model, embedder.options) == (str(embedder_folder), {**told, "truncate_dim": 4})
    assert (ranker.top_k, ranker.options) == (3, {"devices": "cpu"})
    assert again.get_component("documents").meta_fields_to_embed == ["title"]
    assert embedder._loaded is None
    assert embedder.run(query) == pipeline.get_component("embedder").run(query)


def test_a_pipeline_of_a_stranger_is_haystacks_to_refuse(embedder_folder: Any, reranker_folder: Any, told: Any) -> None:
    """Importing the adapter does not widen what Haystack deserialises."""
    text = searching(InMemoryDocumentStore(), embedder_folder, reranker_folder, told).dumps()
    with pytest.raises(DeserializationError, match="not on the trusted-module allowlist"):
        Pipeline.loads(text)


def test_the_example_of_the_documentation(run_example: Any) -> None:
    names = run_example("Haystack")
    assert len(names["found"]["ranker"]["documents"]) == 1
    assert names["again"].dumps() == names["text"]
