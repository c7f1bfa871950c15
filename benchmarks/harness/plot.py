"""The targets as a picture: ``python plot.py RESULTS.json OUT.svg``; runs where the reference worker does."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt

_MET, _MISSED, _TARGET = "#2a7f62", "#b3443c", "#333333"
_ROW = 0.42  # inches

mpl.use("Agg")
mpl.rcParams.update({"svg.hashsalt": "bench", "svg.fonttype": "none", "font.size": 8})  # the same file each time


def draw(results: dict[str, Any], out: Path) -> None:
    """Draw how many times better ours is, and the shares of the peak."""
    lines = [line for line in results["targets"] if "median" in line and line["quantity"] != "cosine"]
    ratios = [_as_times(line) for line in lines if line["quantity"] != "peak"]
    shares = [line for line in lines if line["quantity"] == "peak"]
    panels = [(_ratio_panel, ratios), (_share_panel, shares)]
    panels = [(panel, found) for panel, found in panels if found]
    heights = [len(found) for _, found in panels] or [1]
    size = (9, _ROW * sum(heights) + 1.8)
    figure, each = plt.subplots(len(heights), figsize=size, height_ratios=heights, squeeze=False, layout="constrained")
    for axes, (panel, found) in zip(each[:, 0], panels, strict=False):
        panel(axes, found)
    figure.savefig(out, metadata={"Date": None})


def _ratio_panel(axes: Any, lines: list[dict[str, Any]]) -> None:
    _panel(axes, lines, "ours is so many times better (median, min to max; tick: target)")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    axes.xaxis.set_minor_formatter("")
    axes.axvline(1, color="#bbbbbb", linewidth=0.8, zorder=0)


def _share_panel(axes: Any, lines: list[dict[str, Any]]) -> None:
    _panel(axes, lines, "useful FLOP/s as a part of the measured GEMM peak")
    axes.set_xlim(0, 1)


def _as_times(line: dict[str, Any]) -> dict[str, Any]:
    """Turn a share of the other's time into how many times better: its inverse."""
    if not line["at_most"]:
        return line
    turned = {"median": 1 / line["median"], "min": 1 / line["max"], "max": 1 / line["min"], "bound": 1 / line["bound"]}
    return {**line, **turned}


def _panel(axes: Any, lines: list[dict[str, Any]], title: str) -> None:
    for row, line in enumerate(lines):
        color = _MET if line["met"] else _MISSED
        axes.plot([line["min"], line["max"]], [row, row], color=color, linewidth=1.5)
        axes.plot([line["median"]], [row], "o", color=color, markersize=6)
        axes.annotate(f"{line['median']:.3g}", (line["median"], row), (0, 6), textcoords="offset points", ha="center")
        axes.plot([line["bound"]], [row], "|", color=_TARGET, markersize=13, markeredgewidth=1.6)
    axes.set_yticks(range(len(lines)), map(_label, lines))
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.set_title(title, loc="left", fontsize=9)
    axes.grid(axis="x", color="#e5e5e5")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _label(line: dict[str, Any]) -> str:
    against = f" beside {line['against']}" if line["against"] else ""
    return f"{line['case']}: {line['subject']}{against}"


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]))
