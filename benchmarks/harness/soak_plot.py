"""A soak run as a picture: ``python soak_plot.py SOAK.json OUT.svg``; runs where the reference worker does."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt

mpl.use("Agg")
mpl.rcParams.update({"svg.hashsalt": "soak", "svg.fonttype": "none", "font.size": 8})  # the same file each time


def draw(result: dict[str, Any], out: Path) -> None:
    """Draw the memory of the process, and of its workers, over time."""
    times, own, workers = zip(*result["samples"], strict=True)
    minutes = [seconds / 60 for seconds in times]
    figure, axes = plt.subplots(figsize=(9, 3.2), layout="constrained")
    axes.plot(minutes, own, color="#2a7f62", linewidth=1.2, label="the process")
    axes.plot(minutes, workers, color="#8a8a8a", linewidth=0.8, label="its workers, where there are some")
    axes.set(xlabel="minutes", ylabel="MB", ylim=(0, None))
    axes.set_title(
        f"{result['calls']} mixed calls: {100 * result['growth']:+.1f} % after the first quarter", loc="left"
    )
    axes.legend(frameon=False, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(out, metadata={"Date": None})


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]))
