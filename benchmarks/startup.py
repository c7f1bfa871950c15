"""Start-up, side by side: what a listing costs against what `import torch` costs.

    python benchmarks/startup.py [--runs 15] [--json FILE]

The cases run in turn, round after round, so that a slow minute of the machine meets all of them; the ratios are of one
round each. Every process is fresh; the first round warms the disk cache and is not counted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

COMMAND = str(Path(sys.executable).with_name("flagembedding"))

CASES = {
    "interpreter": [sys.executable, "-c", "pass"],
    "import FlagEmbedding": [sys.executable, "-c", "import FlagEmbedding"],
    "list the mapping": [
        sys.executable,
        "-c",
        "from FlagEmbedding.inference.embedder.model_mapping import AUTO_EMBEDDER_MAPPING as m; list(m)",
    ],
    "flagembedding models": [COMMAND, "models"],
    "flagembedding plugins": [COMMAND, "plugins"],
    "import torch": [sys.executable, "-c", "import torch"],
}


def seconds(command: list[str]) -> float:
    """Return the wall time of one run of ``command``."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def measure(runs: int) -> dict[str, list[float]]:
    """Return the seconds of each case, one figure a round."""
    rounds = [{name: seconds(command) for name, command in CASES.items()} for _ in range(runs + 1)][1:]
    return {name: [figures[name] for figures in rounds] for name in CASES}


def spread(values: list[float]) -> dict[str, float]:
    """Return min, median and max."""
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def main() -> None:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures = measure(arguments.runs)
    for name, values in figures.items():
        own = spread([1000 * value for value in values])
        share = spread([value / torch for value, torch in zip(values, figures["import torch"], strict=True)])
        print(
            f"{name:24} {own['median']:7.0f} ms ({own['min']:.0f} to {own['max']:.0f}), "
            f"{share['median']:.3f} of import torch ({share['min']:.3f} to {share['max']:.3f})"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
