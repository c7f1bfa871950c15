"""sentence-transformers."""

from __future__ import annotations

from typing import Any

from protocol import Peer, serve


class SentenceTransformers(Peer):
    """SentenceTransformer and CrossEncoder; what follows the tokens is in the folder's own modules.json."""

    packages = ("sentence-transformers", "torch", "transformers")

    def load(self, model: dict[str, Any]) -> None:
        """Construct the class for the kind of model."""
        import sentence_transformers  # noqa: PLC0415 - part of what a cold start costs

        options = {"device": model["device"], "model_kwargs": {"dtype": model["dtype"]}}
        if model["kind"] == "reranker":
            self.reranker = sentence_transformers.CrossEncoder(
                model["folder"], max_length=model["max_length"], **options
            )
            return
        self.embedder = sentence_transformers.SentenceTransformer(model["folder"], **options)
        self.embedder.max_seq_length = model["max_length"]

    def encode(self, texts: list[str], batch_size: int | None) -> Any:
        """Encode many."""
        return self.embedder.encode(texts, **({} if batch_size is None else {"batch_size": batch_size}))

    def query(self, text: str) -> Any:
        """Encode one."""
        return self.embedder.encode(text)

    def rerank(self, query: str, passages: list[str]) -> Any:
        """Score pairs, without the sigmoid that is its default."""
        from torch.nn import Identity  # noqa: PLC0415

        return self.reranker.predict([(query, passage) for passage in passages], activation_fn=Identity())


serve(SentenceTransformers())
