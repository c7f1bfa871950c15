"""What is measured: cases, who takes part in each, and how much of it there is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["corpus", "queries", "rerank", "listing", "cold", "memory"]

MAX_LENGTH = 512


@dataclass(frozen=True)
class Contender:
    """One library with one setting; ``batch_size`` None is the library's default."""

    label: str
    peer: str
    dtype: str = "float32"
    batch_size: int | None = None
    engine: str | None = None  # what runs ours, if not the core's


@dataclass(frozen=True)
class Sizes:
    """How many texts each case takes, and how many rounds."""

    rounds: int
    few_rounds: int  # of the larger models
    compared: int  # texts whose vectors are compared with the reference
    minilm: int
    base: int
    decoder: int
    queries: int
    passages: int
    short: int


FULL = Sizes(5, 3, 16, 128, 16, 8, 50, 100, 100_000)
QUICK = Sizes(2, 2, 4, 24, 4, 2, 8, 10, 600)


@dataclass(frozen=True)
class Case:
    """One kind of work on one model."""

    name: str
    kind: Kind
    model: str
    texts: int
    rounds: int
    contenders: tuple[Contender, ...]
    device: str = "cpu"


OURS = Contender("ours", "ours")
SENTENCE = Contender("sentence-transformers", "sentence-transformers")
UPSTREAM = Contender("FlagEmbedding 1.4.2", "flagembedding-1.4.2")
UPSTREAM_32 = Contender("FlagEmbedding 1.4.2 batch 32", "flagembedding-1.4.2", batch_size=32)
ONNX = Contender("onnxruntime", "onnxruntime")
FAST = Contender("fastembed", "fastembed")
OURS_ONNX = Contender("ours engine=onnx", "ours", engine="onnx")
OURS_BF16 = Contender("ours bf16", "ours", dtype="bfloat16")
SENTENCE_BF16 = Contender("sentence-transformers bf16", "sentence-transformers", dtype="bfloat16")

OURS_HALF = Contender("ours", "ours", dtype="float16")
SENTENCE_HALF = Contender("sentence-transformers fp16", "sentence-transformers", dtype="float16")
UPSTREAM_HALF = Contender("FlagEmbedding 1.4.2", "flagembedding-1.4.2", dtype="float16")
HALF = (OURS_HALF, SENTENCE_HALF, SENTENCE, UPSTREAM_HALF)  # ours and upstream's default there is fp16


def cases(sizes: Sizes, gpu: bool) -> Iterator[Case]:
    """Yield the cases, those of a GPU only where there is one."""
    plain = (OURS, SENTENCE, UPSTREAM, ONNX)
    every = (*plain, FAST)
    few, many = sizes.few_rounds, sizes.rounds
    yield Case("corpus-minilm", "corpus", "minilm", sizes.minilm, many, (*every, UPSTREAM_32, OURS_BF16, SENTENCE_BF16))
    yield Case("corpus-bert-base", "corpus", "bert-base", sizes.base, few, (*plain, OURS_BF16, SENTENCE_BF16))
    yield Case("corpus-xlmr-base", "corpus", "xlmr-base", sizes.base, few, plain)
    yield Case("corpus-decoder-0.5b", "corpus", "decoder-0.5b", sizes.decoder, few, plain[:3])
    yield Case("queries-minilm", "queries", "minilm", sizes.queries, many, (*every, OURS_ONNX, OURS_BF16))
    yield Case("queries-bert-base", "queries", "bert-base", sizes.queries, few, plain)
    yield Case("rerank-minilm", "rerank", "minilm-reranker", sizes.passages, many, plain)
    yield Case("listing", "listing", "", 1, many, (OURS, UPSTREAM))
    yield Case("cold-minilm", "cold", "minilm", 1, many, every)
    yield Case("memory-minilm", "memory", "minilm", sizes.short, 1, (OURS, SENTENCE))
    if gpu:
        yield from _gpu_cases(sizes)


def _gpu_cases(sizes: Sizes) -> Iterator[Case]:
    """Yield the cases of a GPU; there is more of everything, because it takes less time."""
    many = sizes.rounds
    yield Case("gpu-corpus-minilm", "corpus", "minilm", 4 * sizes.minilm, many, HALF, "cuda")
    yield Case("gpu-corpus-bert-base", "corpus", "bert-base", 16 * sizes.base, many, HALF, "cuda")
    yield Case("gpu-corpus-xlmr-base", "corpus", "xlmr-base", 16 * sizes.base, many, HALF, "cuda")
    yield Case("gpu-corpus-decoder-0.5b", "corpus", "decoder-0.5b", 16 * sizes.decoder, many, HALF, "cuda")
    yield Case("gpu-queries-minilm", "queries", "minilm", sizes.queries, many, HALF, "cuda")
    yield Case("gpu-rerank-minilm", "rerank", "minilm-reranker", sizes.passages, many, HALF, "cuda")
