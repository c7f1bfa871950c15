"""LlamaIndex's own classes on top of ours: right vectors, right scores, in its index."""

from __future__ import annotations

import asyncio
import json
import pickle
import threading
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llama_index.core", reason="needs flagembedding-core[llama-index]")

from llama_index.core import Document, VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from FlagEmbedding import FlagAutoModel, FlagAutoReranker
from FlagEmbedding.adapters.llama_index import FlagRerank, FlagTextEmbedding
from FlagEmbedding.errors import InputError, OptionError


@pytest.fixture(scope="module")
def embedding(embedder_folder: Any, told: Any) -> FlagTextEmbedding:
    return FlagTextEmbedding(embedder_folder, **told)


@pytest.fixture(scope="module")
def rerank(reranker_folder: Any) -> FlagRerank:
    return FlagRerank(str(reranker_folder), devices="cpu")


def nodes_of(documents: list[str]) -> list[NodeWithScore]:
    return [NodeWithScore(node=TextNode(text=text, id_=str(place)), score=0.5) for place, text in enumerate(documents)]


def test_vectors_are_those_of_the_model_with_its_instructions(
    embedding: Any, query: str, documents: Any, right_query: Any, right_documents: Any
) -> None:
    assert isinstance(embedding, BaseEmbedding)
    vector, first = embedding.get_query_embedding(query), embedding.get_text_embedding(documents[0])
    assert {type(number) for number in [*vector, *first]} == {float}
    np.testing.assert_allclose(vector, right_query, atol=1e-5)
    np.testing.assert_allclose(first, right_documents[0], atol=1e-5)


@pytest.mark.parametrize("size", [1, 3, 1024])
def test_batches_of_any_size_give_the_same(
    embedder_folder: Any, told: Any, documents: Any, right_documents: Any, size: int
) -> None:
    embedding = FlagTextEmbedding(embedder_folder, embed_batch_size=size, **told)
    np.testing.assert_allclose(embedding.get_text_embedding_batch(documents), right_documents, atol=1e-5)
    assert embedding.get_text_embedding_batch([]) == []


def test_async_methods_work_in_threads_and_give_the_same(
    embedder_folder: Any, told: Any, query: str, documents: Any, right_query: Any, right_documents: Any
) -> None:
    embedding = FlagTextEmbedding(embedder_folder, embed_batch_size=2, **told)
    threads, model = set(), embedding._model
    for name in ("encode_queries", "encode_corpus"):
        method = getattr(model, name)
        setattr(model, name, lambda *args, method=method: threads.add(threading.get_ident()) or method(*args))

    async def several() -> Any:
        return await asyncio.gather(
            embedding.aget_query_embedding(query),
            embedding.aget_text_embedding(documents[0]),
            embedding.aget_text_embedding_batch(documents),
        )

    vector, first, batch = asyncio.run(several())
    assert threads
    assert threading.get_ident() not in threads
    np.testing.assert_allclose(vector, right_query, atol=1e-5)
    np.testing.assert_allclose(first, right_documents[0], atol=1e-5)
    np.testing.assert_allclose(batch, right_documents, atol=1e-5)


def test_options_reach_the_model_and_fields_the_component(
    embedder_folder: Any, told: Any, query: str, right_query: Any
) -> None:
    manager = CallbackManager([])
    short = FlagTextEmbedding(embedder_folder, **told, truncate_dim=4, batch_size=3, callback_manager=manager)
    assert (short._model.batch_size, short.embed_batch_size) == (3, 1024)
    assert short.callback_manager is manager
    np.testing.assert_allclose(
        short.get_query_embedding(query), right_query[:4] / np.linalg.norm(right_query[:4]), atol=1e-5
    )


def test_it_is_written_and_read(embedder_folder: Any, told: Any, query: str) -> None:
    short = FlagTextEmbedding(embedder_folder, **told, truncate_dim=4, embed_batch_size=7)
    written = json.loads(short.to_json())
    assert written["class_name"] == "FlagTextEmbedding"
    assert written["model_name"] == str(embedder_folder)
    assert written["model_options"] == {**told, "truncate_dim": 4}
    again = FlagTextEmbedding.from_dict(written)
    assert again.embed_batch_size == 7
    assert again.get_query_embedding(query) == short.get_query_embedding(query)


def test_a_ready_model_is_written_with_what_it_was_told(embedder_folder: Any, told: Any, query: str) -> None:
    ready = FlagAutoModel.from_finetuned(embedder_folder, **told, truncate_dim=4)
    embedding = FlagTextEmbedding(ready)
    assert embedding._model is ready
    assert embedding.model_name == str(embedder_folder)
    options = embedding.model_options
    assert options["query_instruction_for_retrieval"] == "question: "
    assert options["passage_instruction_for_retrieval"] == "paper: "
    assert (options["truncate_dim"], "devices" in options) == (4, False)
    again = FlagTextEmbedding.from_dict(embedding.to_dict(), pooling_method="mean")  # this is no setting of every model
    assert again.get_query_embedding(query) == embedding.get_query_embedding(query)
    assert again.get_text_embedding(query) == embedding.get_text_embedding(query)
    # so that LlamaIndex's cache of transformations does not take one for the other
    other = FlagTextEmbedding(FlagAutoModel.from_finetuned(embedder_folder, **told))
    assert embedding.to_dict() != other.to_dict()


@pytest.mark.parametrize("ready", [False, True])
def test_it_survives_pickling_with_its_options(embedder_folder: Any, told: Any, query: str, ready: bool) -> None:
    options = {**told, "truncate_dim": 4}
    given = (FlagTextEmbedding(FlagAutoModel.from_finetuned(embedder_folder, **options))) if ready else None
    embedding = given or FlagTextEmbedding(embedder_folder, **options)
    again = pickle.loads(pickle.dumps(embedding))
    assert again.get_query_embedding(query) == embedding.get_query_embedding(query)
    assert again.get_text_embedding_batch([query]) == embedding.get_text_embedding_batch([query])
    assert again.model_options == embedding.model_options


def test_what_is_refused(embedder_folder: Any, embedding: Any, rerank: Any, told: Any, documents: Any) -> None:
    with pytest.raises(OptionError, match=r"unknown option 'trunc_dim'. Did you mean 'truncate_dim'"):
        FlagTextEmbedding(embedder_folder, **told, trunc_dim=4)
    with pytest.raises(OptionError, match="loaded already takes no options, and got 'truncate_dim'"):
        FlagTextEmbedding(embedding._model, truncate_dim=4)
    with pytest.raises(OptionError, match=r"name of a reranker is needed.*not a BaseEmbedder"):
        FlagRerank(embedding._model)
    with pytest.raises(ValueError, match="embed_batch_size"):
        FlagTextEmbedding(embedding._model, embed_batch_size=0)
    with pytest.raises(ValueError, match="top_n"):
        FlagRerank(rerank._model, top_n=0)
    with pytest.raises(InputError, match="needs the query"):
        rerank.postprocess_nodes(nodes_of(documents))


def test_nodes_come_back_sorted_with_their_scores(
    rerank: Any, query: str, documents: Any, best: Any, right_scores: Any
) -> None:
    assert isinstance(rerank, BaseNodePostprocessor)
    given = nodes_of(documents)
    ranked = rerank.postprocess_nodes(given, QueryBundle(query))
    assert [node.node_id for node in ranked] == [str(place) for place in best]
    np.testing.assert_allclose([node.score for node in ranked], [right_scores[place] for place in best], atol=1e-5)
    assert [node.score for node in given] == [0.5] * len(documents)  # as they were
    assert rerank.postprocess_nodes([], query_str=query) == []


def test_the_text_of_a_node_is_the_one_that_is_embedded(reranker_folder: Any, query: str, score: Any) -> None:
    node = NodeWithScore(node=TextNode(text="of light", metadata={"title": "river", "secret": "stone"}))
    node.node.excluded_embed_metadata_keys = ["secret"]
    (ranked,) = FlagRerank(reranker_folder, devices="cpu").postprocess_nodes([node], query_str=query)
    assert ranked.score == pytest.approx(score(query, "title: river\n\nof light"), abs=1e-5)


def test_the_best_are_kept_and_reported(reranker_folder: Any, query: str, documents: Any, best: Any) -> None:
    events = LlamaDebugHandler(print_trace_on_end=False)
    rerank = FlagRerank(reranker_folder, top_n=2, devices="cpu", callback_manager=CallbackManager([events]))
    ranked = asyncio.run(rerank.apostprocess_nodes(nodes_of(documents), query_str=query))
    assert [node.node_id for node in ranked] == [str(place) for place in best[:2]]
    ((start, end),) = events.get_event_pairs(CBEventType.RERANKING)
    assert start.payload["query_str"] == query
    assert start.payload["top_k"] == 2
    assert end.payload["nodes"] == ranked


def test_a_reranker_is_written_and_read(reranker_folder: Any, query: str, documents: Any) -> None:
    rerank = FlagRerank(reranker_folder, top_n=1, devices="cpu", normalize=True)
    written = json.loads(rerank.to_json())
    assert written["model_options"] == {"devices": "cpu", "normalize": True}
    for again in (FlagRerank.from_dict(written), pickle.loads(pickle.dumps(rerank))):
        (one,), (other,) = (each.postprocess_nodes(nodes_of(documents), query_str=query) for each in (again, rerank))
        assert (one.node_id, one.score) == (other.node_id, other.score)
    ready = FlagAutoReranker.from_finetuned(reranker_folder, devices="cpu", normalize=True)
    again = FlagRerank.from_dict(FlagRerank(ready, top_n=1).to_dict())
    assert again.postprocess_nodes(nodes_of(documents), query_str=query)[0].score == other.score


def test_an_index_finds_what_the_vectors_say(
    embedding: Any, rerank: Any, query: str, documents: Any, right_query: Any, right_documents: Any, best: Any
) -> None:
    index = VectorStoreIndex.from_documents(
        [Document(text=text, doc_id=str(place)) for place, text in enumerate(documents)], embed_model=embedding
    )
    hits = index.as_retriever(similarity_top_k=len(documents)).retrieve(query)
    right = right_documents @ right_query
    assert [int(hit.node.ref_doc_id) for hit in hits] == np.argsort(-right).tolist()
    np.testing.assert_allclose([hit.score for hit in hits], np.sort(right)[::-1], atol=1e-5)
    assert [int(hit.node.ref_doc_id) for hit in rerank.postprocess_nodes(hits, query_str=query)] == best


def test_an_ingestion_pipeline_embeds(embedding: Any, documents: Any, right_documents: Any) -> None:
    pipeline = IngestionPipeline(transformations=[embedding])
    nodes = pipeline.run(nodes=[TextNode(text=text) for text in documents])
    np.testing.assert_allclose([node.embedding for node in nodes], right_documents, atol=1e-5)


def test_the_example_of_the_documentation(run_example: Any) -> None:
    names = run_example("LlamaIndex")
    assert len(names["hits"]) == 2
    assert len(names["best"]) == 1
