"""This repository's FlagEmbedding."""

from __future__ import annotations

from typing import Any

from protocol import Peer, serve


class Ours(Peer):
    """The public classes, as a program calls them."""

    packages = ("flagembedding-core", "torch", "transformers")

    def load(self, model: dict[str, Any]) -> None:
        """Construct the class for the kind of model."""
        import FlagEmbedding  # noqa: PLC0415 - part of what a cold start costs

        options = {"devices": model["device"], "use_fp16": model["dtype"] == "float16"}
        if model["dtype"] == "bfloat16":
            options["use_bf16"] = True
        if model["kind"] == "reranker":
            self.model = FlagEmbedding.FlagReranker(model["folder"], max_length=model["max_length"], **options)
            return
        options |= {"query_max_length": model["max_length"], "passage_max_length": model["max_length"]}
        if model["kind"] == "encoder":
            options["pooling_method"] = "mean"
        if model["engine"]:
            options["engine"] = model["engine"]
        found = FlagEmbedding.FlagLLMModel if model["kind"] == "decoder" else FlagEmbedding.FlagModel
        self.model = found(model["folder"], **options)

    def encode(self, texts: list[str], batch_size: int | None) -> Any:
        """Encode many."""
        return self.model.encode(texts, batch_size=batch_size)

    def query(self, text: str) -> Any:
        """Encode one."""
        return self.model.encode(text)

    def rerank(self, query: str, passages: list[str]) -> Any:
        """Score pairs."""
        return self.model.compute_score([(query, passage) for passage in passages])


serve(Ours())
