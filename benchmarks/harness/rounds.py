"""The rounds of a case: everyone in turn, in another order each time; then what the vectors were worth."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from harness.bench import Bench
from harness.cases import Case, Sizes
from harness.noise import Noise
from harness.participants import Participant
from harness.texts import RERANK_QUERY

_BOUND_BY_GEMM = frozenset({"corpus", "rerank"})
_DTYPES = {"cpu": ["float32", "bfloat16"], "cuda": ["float32", "float16", "bfloat16"]}


def run(case: Case, bench: Bench, sizes: Sizes) -> dict[str, Any]:
    """Measure ``case``, and return all that was seen as data.

    Raises:
        PeerFailedError: The reference worker cannot build the model or run it.
    """
    case = dataclasses.replace(case, texts=min(case.texts, bench.texts.count(case.kind)))
    facts = bench.facts(case.model) if case.model else {}
    flops = _useful_flops(case, bench, facts) if case.kind in _BOUND_BY_GEMM else None
    with_vectors = case.kind in (*_BOUND_BY_GEMM, "queries")
    reference = _reference(case, bench, facts, sizes) if with_vectors else None
    each = [Participant(case, contender, bench) for contender in case.contenders if contender.peer in bench.wanted]
    try:
        others, peaks = _rounds(case, bench, each)
        for participant in each:
            participant.attempt(participant.finish)
    finally:
        for participant in each:
            participant.close()
    peers = {participant.contender.label: _summary(participant, reference) for participant in each}
    shape = {"kind": case.kind, "model": case.model, "texts": case.texts, "device": case.device}
    return {**shape, "useful_flops": flops, "gemm_flops": peaks, "others_cores": others, "peers": peers}


def _rounds(case: Case, bench: Bench, each: list[Participant]) -> tuple[list[float], list[dict[str, float]]]:
    others, peaks = [], []
    for participant in each:
        participant.attempt(participant.prepare)
    for number in range(case.rounds):
        pids = [participant.worker.pid for participant in each if participant.worker is not None]
        noise, start = Noise([*pids, bench.reference.pid]), number % max(1, len(each))
        if case.kind in _BOUND_BY_GEMM:
            peaks.append(bench.reference.ask("gemm", device=case.device, dtypes=_DTYPES[case.device])["flops"])
        for participant in each[start:] + each[:start]:
            participant.attempt(participant.measure)
        others.append(noise.cores())
    return others, peaks


def _useful_flops(case: Case, bench: Bench, facts: dict[str, Any]) -> float:
    """Return 2 P a token and 4 L S d for attention, half of that when causal; nothing for padding."""
    lengths = bench.lengths(case, RERANK_QUERY if case.kind == "rerank" else None)
    attention = 4 * facts["layers"] * facts["width"] * (0.5 if facts["causal"] else 1.0)
    return float(sum(2 * facts["body_parameters"] * length + attention * length**2 for length in lengths))


def _reference(case: Case, bench: Bench, facts: dict[str, Any], sizes: Sizes) -> Any:
    """Return what eager float32 makes of the first texts, one at a time."""
    command = bench.load_command(case, case.contenders[0])
    bench.reference.ask(**command)
    out = bench.cache / "vectors" / f"{case.name}-reference.npy"
    limit, texts = min(sizes.compared, case.texts), str(bench.texts.of(case.kind))
    work = {"do": "rerank", "query": RERANK_QUERY} if facts["kind"] == "reranker" else {"do": "encode"}
    bench.reference.ask(**work, texts=texts, limit=limit, out=str(out))
    return np.load(out)


def _summary(participant: Participant, reference: Any) -> dict[str, Any]:
    contender = participant.contender
    settings = {"peer": contender.peer, "dtype": contender.dtype, "batch_size": contender.batch_size}
    if participant.failure is not None:
        return {**settings, "failed": participant.failure}
    error = {} if reference is None else _difference(np.load(participant.out), reference)
    return {**settings, "figures": participant.figures, **participant.state, **error}


def _difference(found: Any, reference: Any) -> dict[str, float]:
    """Return how far the first rows are from the reference."""
    found = found[: len(reference)].astype(np.float64)
    greatest = {"max_difference": float(np.abs(found - reference).max())}
    if reference.ndim == 1:
        return greatest
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(reference, axis=1)
    return {**greatest, "worst_cosine": float(((found * reference).sum(1) / norms).min())}
