"""What a person reads: one table a case, and the targets beside what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.targets import peak_shares, ratios, spread

_MEGA = 1e6
_NOISY = 0.1  # cores' worth of other work beyond which a round is not to be trusted


def table(rows: Sequence[Sequence[str]], left: frozenset[int] = frozenset({0})) -> str:
    """Return aligned columns: those in ``left`` to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(_aligned(row, widths, left)).rstrip() for row in rows)


def case_report(name: str, case: Mapping[str, Any]) -> str:
    """Return the table of one case, and what went wrong."""
    if "failed" in case:
        return f"\n{name}: FAILED: {case['failed']}"
    peers = case["peers"]
    worked = [label for label in peers if "failed" not in peers[label]]
    header = [
        "",
        _unit(case),
        "min .. max",
        "ours is x times as good",
        "GEMM peak",
        "max diff",
        "worst cosine",
        "peak MB",
    ]
    rows = [header, *([label, *_row(case, label)] for label in worked)]
    failures = [f"  {label}: FAILED: {peers[label]['failed']}" for label in peers if label not in worked]
    return "\n".join([f"\n{name} ({_about(case)})", table(rows), *failures])


def targets_report(lines: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of the targets."""
    header = ["case", "what", "measured", "min .. max", "target", ""]
    return "\n".join(["\ntargets", table([header, *map(_target_row, lines)], left=frozenset({0, 1, 5}))])


def spread_text(values: list[float], scale: float = 1.0) -> tuple[str, str]:
    """Return the median, and the range."""
    found = spread([value * scale for value in values])
    return number(found["median"]), f"{number(found['min'])} .. {number(found['max'])}"


def number(value: float) -> str:
    """Return three significant digits, without an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004


def _about(case: Mapping[str, Any]) -> str:
    parts = [f"{case['texts']} texts" if case["texts"] > 1 else "", case["device"] if case["model"] else ""]
    greatest = max(case["others_cores"])
    noisy = f"; NOISY: others took up to {greatest:.2f} cores" if greatest > _NOISY else ""
    rounds = f"{len(case['others_cores'])} rounds"
    return ", ".join(filter(None, [*parts, rounds])) + noisy


def _unit(case: Mapping[str, Any]) -> str:
    return {"queries": "ms", "listing": "ms", "cold": "s", "memory": "MB"}.get(case["kind"], "texts/s")


def _row(case: Mapping[str, Any], label: str) -> Iterator[str]:
    peer = case["peers"][label]
    figures = peer["figures"]
    if _unit(case) == "texts/s":
        yield from spread_text([case["texts"] / seconds for seconds in figures])
    else:
        yield from spread_text(figures, {"ms": 1e3, "s": 1.0, "MB": 1 / _MEGA}[_unit(case)])
    ours = case["peers"].get("ours", {"failed": ""})
    yield "-" if "failed" in ours else "{} ({})".format(*spread_text(ratios(case, label, "ours")))
    yield f"{spread(peak_shares(case, label))['median']:.0%}" if case["useful_flops"] else "-"
    yield f"{peer['max_difference']:.1e}" if "max_difference" in peer else "-"
    yield f"{peer['worst_cosine']:.6f}" if "worst_cosine" in peer else "-"
    memory = peer.get("peak_device_bytes") if case["device"] == "cuda" else peer.get("peak_bytes")
    yield f"{memory / _MEGA:.0f}" if memory else "-"


def _target_row(line: Mapping[str, Any]) -> list[str]:
    bound = f"{'<=' if line['at_most'] else '>='} {line['bound']:g}"
    if "missing" in line:
        return [line["case"], line["what"], "-", "-", bound, line["missing"].splitlines()[0][:80]]
    digits = "{:.6f}".format if line["quantity"] == "cosine" else "{:.2f}".format
    middle, least, most = (digits(line[key]) for key in ("median", "min", "max"))
    return [line["case"], line["what"], middle, f"{least} .. {most}", bound, "met" if line["met"] else "MISSED"]


def _aligned(row: Sequence[str], widths: Sequence[int], left: frozenset[int]) -> Iterator[str]:
    for at, (cell, width) in enumerate(zip(row, widths, strict=True)):
        yield cell.ljust(width) if at in left else cell.rjust(width)
