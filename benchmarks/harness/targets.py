"""The targets of the project, and what a run measured of each: ratios of one round each, as min, median and max."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Quantity = Literal["times", "share", "peak", "cosine"]


@dataclass(frozen=True)
class Target:
    """One line of the table.

    ``quantity`` says what is measured of ``subject`` in ``case``. ``times``: how many times faster than ``against``, at
    least. ``share``: its seconds or bytes as a part of those of ``against``, at most. ``peak``: its useful FLOP/s as a
    part of the measured peak, at least. ``cosine``: the worst one to float32 eager, at least.
    """

    case: str
    quantity: Quantity
    bound: float
    against: str = ""
    subject: str = "ours"

    @property
    def at_most(self) -> bool:
        """Whether less is better."""
        return self.quantity == "share"

    @property
    def wording(self) -> str:
        """What the line says."""
        cost = "memory" if self.case.startswith("memory") else "time"
        words = {
            "times": f"times as fast as {self.against}",
            "share": f"part of the {cost} of {self.against}",
            "peak": "useful FLOP/s, part of the GEMM peak",
            "cosine": "worst cosine to fp32 eager",
        }
        return f"{self.subject}: {words[self.quantity]}"


TARGETS = (
    Target("corpus-minilm", "times", 1.5, "sentence-transformers"),
    Target("corpus-minilm", "times", 5.0, "FlagEmbedding 1.4.2"),
    Target("corpus-minilm", "times", 1.5, "FlagEmbedding 1.4.2 batch 32"),
    Target("corpus-minilm", "times", 1.15, "onnxruntime"),
    Target("corpus-minilm", "peak", 0.85),
    Target("corpus-bert-base", "peak", 0.88),
    Target("corpus-minilm", "times", 2.2, "sentence-transformers", "ours bf16"),
    Target("corpus-minilm", "cosine", 0.9999, subject="ours bf16"),
    Target("queries-minilm", "share", 0.2, "FlagEmbedding 1.4.2"),
    Target("queries-minilm", "share", 0.4, "sentence-transformers"),
    Target("queries-minilm", "share", 1.1, "onnxruntime"),
    Target("rerank-minilm", "times", 5.0, "FlagEmbedding 1.4.2"),
    Target("rerank-minilm", "times", 2.0, "sentence-transformers"),
    Target("listing", "times", 25.0, "FlagEmbedding 1.4.2"),
    Target("cold-minilm", "share", 0.5, "sentence-transformers"),
    Target("memory-minilm", "share", 0.7, "sentence-transformers"),
)


def judged(target: Target, results: Mapping[str, Any]) -> dict[str, Any]:
    """Return the line of ``target``: what was measured, or why nothing was."""
    line: dict[str, Any] = {
        "case": target.case,
        "what": target.wording,
        "subject": target.subject,
        "against": target.against,
        "quantity": target.quantity,
        "bound": target.bound,
        "at_most": target.at_most,
    }
    found = _measured(target, results)
    if isinstance(found, str):
        return {**line, "missing": found}
    middle = found["median"]
    return {**line, **found, "met": middle <= target.bound if target.at_most else middle >= target.bound}


def spread(values: list[float]) -> dict[str, float]:
    """Return min, median and max."""
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def ratios(case: Mapping[str, Any], upper: str, lower: str) -> list[float]:
    """Return the figures of ``upper`` over those of ``lower``, round by round."""
    pairs = zip(case["peers"][upper]["figures"], case["peers"][lower]["figures"], strict=True)
    return [above / below for above, below in pairs]


def peak_shares(case: Mapping[str, Any], label: str) -> list[float]:
    """Return the useful FLOP/s of a peer over the peak of its dtype, round by round."""
    peer = case["peers"][label]
    pairs = zip(peer["figures"], case["gemm_flops"], strict=True)
    return [case["useful_flops"] / seconds / peaks[peer["dtype"]] for seconds, peaks in pairs]


def _measured(target: Target, results: Mapping[str, Any]) -> dict[str, float] | str:
    case = results.get(target.case, {"failed": "not run"})
    missing = _missing(target, case)
    if missing:
        return missing
    if target.quantity == "cosine":
        return spread([case["peers"][target.subject]["worst_cosine"]])
    if target.quantity == "peak":
        return spread(peak_shares(case, target.subject))
    upper, lower = (target.subject, target.against) if target.at_most else (target.against, target.subject)
    return spread(ratios(case, upper, lower))


def _missing(target: Target, case: Mapping[str, Any]) -> str | None:
    """Return why there is nothing to judge, if so."""
    if "failed" in case:
        return str(case["failed"])
    for label in filter(None, (target.subject, target.against)):
        peer = case["peers"].get(label, {"failed": "left out"})
        if "failed" in peer:
            return f"{label}: {peer['failed']}"
    return None
