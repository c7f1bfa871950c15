"""LangChain's own classes on top of ours: right vectors, right scores, in its vector store."""

from __future__ import annotations

import asyncio
import pickle
import threading
from typing import Any

import numpy as np
import pytest

pytest.importorskip("langchain_core", reason="needs flagembedding-core[langchain]")

from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.embeddings import Embeddings
from langchain_core.runnables import RunnableLambda
from langchain_core.vectorstores import InMemoryVectorStore

from FlagEmbedding import FlagAutoModel, FlagAutoReranker
from FlagEmbedding.adapters.langchain import FlagEmbeddings, FlagRerank
from FlagEmbedding.errors import InputError, OptionError, UnknownModelError


@pytest.fixture(scope="module")
def embeddings(embedder_folder: Any, told: Any) -> FlagEmbeddings:
    return FlagEmbeddings(embedder_folder, **told)


@pytest.fixture(scope="module")
def rerank(reranker_folder: Any) -> FlagRerank:
    return FlagRerank(str(reranker_folder), devices="cpu")


def found(documents: list[str]) -> list[Document]:
    return [Document(text, id=str(place), metadata={"place": place}) for place, text in enumerate(documents)]


def test_vectors_are_those_of_the_model_with_its_instructions(
    embeddings: Any, query: str, documents: Any, right_query: Any, right_documents: Any
) -> None:
    assert isinstance(embeddings, Embeddings)
    vectors, vector = embeddings.embed_documents(documents), embeddings.embed_query(query)
    assert {type(number) for row in [*vectors, vector] for number in row} == {float}
    assert np.abs(np.array(vectors) - right_documents).max() <= 1e-5
    assert np.abs(np.array(vector) - right_query).max() <= 1e-5


def test_no_documents_have_no_vectors(embeddings: Any) -> None:
    assert embeddings.embed_documents([]) == []


def test_async_methods_work_in_threads_and_give_the_same(
    embedder_folder: Any, told: Any, query: str, documents: Any
) -> None:
    threads = set()

    class Watched(FlagEmbeddings):
        def embed_query(self, text: str) -> list[float]:
            threads.add(threading.get_ident())
            return super().embed_query(text)

    watched = Watched(embedder_folder, **told)

    async def several() -> Any:
        return await asyncio.gather(
            *(watched.aembed_query(text) for text in documents),
            watched.aembed_documents(documents),
            return_exceptions=True,
        )

    *alone, together = asyncio.run(several())
    assert threading.get_ident() not in threads
    np.testing.assert_allclose(alone, [watched.embed_query(text) for text in documents], atol=1e-6)
    np.testing.assert_allclose(together, watched.embed_documents(documents), atol=1e-6)


def test_options_reach_the_model(embedder_folder: Any, told: Any, query: str, right_query: Any) -> None:
    short = FlagEmbeddings(embedder_folder, **told, truncate_dim=4, batch_size=3)
    assert short.model.batch_size == 3
    np.testing.assert_allclose(short.embed_query(query), right_query[:4] / np.linalg.norm(right_query[:4]), atol=1e-5)


def test_a_ready_model_is_taken_as_it_is(embedder_folder: Any, told: Any, query: str, right_query: Any) -> None:
    model = FlagAutoModel.from_finetuned(embedder_folder, **told, convert_to_numpy=False)  # tensors become lists too
    embeddings = FlagEmbeddings(model)
    assert embeddings.model is model
    np.testing.assert_allclose(embeddings.embed_query(query), right_query, atol=1e-5)


def test_what_is_refused(embedder_folder: Any, embeddings: Any, rerank: Any, told: Any) -> None:
    with pytest.raises(OptionError, match=r"unknown option 'trunc_dim'. Did you mean 'truncate_dim'"):
        FlagEmbeddings(embedder_folder, **told, trunc_dim=4)
    with pytest.raises(OptionError, match="loaded already takes no options, and got 'truncate_dim'"):
        FlagEmbeddings(embeddings.model, truncate_dim=4)
    with pytest.raises(OptionError, match=r"or an embedder \(AbsEmbedder\), not a BaseReranker"):
        FlagEmbeddings(rerank.model)
    with pytest.raises(OptionError, match=r"name of a reranker is needed.*not None"):
        FlagRerank(None)  # type: ignore[arg-type]
    with pytest.raises(UnknownModelError):
        FlagEmbeddings("no-such-model-anywhere")
    with pytest.raises(InputError, match="a list of texts is needed, not one string"):
        embeddings.embed_documents("a text")
    with pytest.raises(InputError):
        embeddings.embed_query(None)
    with pytest.raises(ValueError, match="top_n"):
        FlagRerank(rerank.model, top_n=0)


def test_it_survives_pickling(embeddings: Any, query: str) -> None:
    assert pickle.loads(pickle.dumps(embeddings)).embed_query(query) == embeddings.embed_query(query)


def test_a_vector_store_finds_what_the_vectors_say(
    embeddings: Any, query: str, documents: Any, right_query: Any, right_documents: Any
) -> None:
    store = InMemoryVectorStore(embeddings)
    store.add_documents(found(documents))
    right = right_documents @ right_query
    hits = store.similarity_search_with_score(query, k=3)
    assert [hit.metadata["place"] for hit, _ in hits] == np.argsort(-right)[:3].tolist()
    np.testing.assert_allclose([score for _, score in hits], np.sort(right)[::-1][:3], atol=1e-5)


def test_documents_come_back_sorted_with_their_scores(
    rerank: Any, query: str, documents: Any, best: Any, right_scores: Any
) -> None:
    assert isinstance(rerank, BaseDocumentCompressor)
    given = found(documents)
    ranked = rerank.compress_documents(given, query)
    assert given == found(documents)  # as they were
    assert [document.id for document in ranked] == [str(place) for place in best]
    assert [document.page_content for document in ranked] == [documents[place] for place in best]
    scores = [document.metadata.pop("relevance_score") for document in ranked]
    np.testing.assert_allclose(scores, [right_scores[place] for place in best], atol=1e-5)
    assert [document.metadata for document in ranked] == [{"place": place} for place in best]


def test_the_best_are_kept(rerank: Any, query: str, documents: Any, best: Any) -> None:
    some = FlagRerank(rerank.model, top_n=2)
    ranked = asyncio.run(some.acompress_documents(found(documents), query))
    assert [document.metadata["place"] for document in ranked] == best[:2]
    assert some.compress_documents([], query) == []


def test_options_of_a_reranker_reach_it(reranker_folder: Any, query: str, documents: Any, right_scores: Any) -> None:
    rerank = FlagRerank(reranker_folder, devices="cpu", normalize=True)
    (first,) = rerank.compress_documents(found(documents)[:1], query)
    assert first.metadata["relevance_score"] == pytest.approx(1 / (1 + np.exp(-right_scores[0])), abs=1e-6)
    ready = FlagAutoReranker.from_finetuned(reranker_folder, devices="cpu")
    assert FlagRerank(ready).model is ready


def test_a_reranker_survives_pickling_and_is_not_written(rerank: Any, query: str, documents: Any) -> None:
    again = pickle.loads(pickle.dumps(FlagRerank(rerank.model, top_n=1)))
    assert again.compress_documents(found(documents), query) == rerank.compress_documents(found(documents), query)[:1]
    assert again.model_dump_json() == '{"top_n":1}'  # without the weights


def test_a_chain_of_both(embeddings: Any, rerank: Any, query: str, documents: Any, best: Any) -> None:
    store = InMemoryVectorStore.from_documents(found(documents), embeddings)
    retriever = store.as_retriever(search_kwargs={"k": len(documents)})
    chain = retriever | RunnableLambda(lambda hits: rerank.compress_documents(hits, query))
    assert [document.metadata["place"] for document in chain.invoke(query)] == best


def test_the_example_of_the_documentation(run_example: Any) -> None:
    names = run_example("LangChain")
    assert len(names["hits"]) == 2
    assert len(names["best"]) == 1
