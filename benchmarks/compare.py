"""Ours beside its peers, on the same weights, texts and threads, in turn, round after round.

    python benchmarks/compare.py                       # everything; some half an hour on two quiet cores
    python benchmarks/compare.py --quick               # everything, tiny: does it run?
    python benchmarks/compare.py --only corpus-minilm queries --rounds 9
    python benchmarks/compare.py --list

Each peer has a virtual environment of its own (.venv-bench-NAME in the repository, made at first use) and a process of
its own, which stands still while another is measured. Ratios are of one round each: a slow minute of the machine meets
everyone. Tokenising counts. A complete run writes results.json and ratios.svg into docs/benchmarks, any other one into
.bench-cache. What a target says is in benchmarks/harness/targets.py.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness import machine
from harness.bench import Bench
from harness.cases import FULL, QUICK, Case, Sizes, cases
from harness.environments import ROOT
from harness.report import case_report, targets_report
from harness.rounds import run
from harness.targets import TARGETS, judged
from harness.texts import prepare
from harness.workers import SCRIPTS, PeerFailedError

CACHE = ROOT / ".bench-cache"
DOCS = ROOT / "docs/benchmarks"


def arguments() -> argparse.Namespace:
    """Return the command line, parsed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    peers = sorted(set(SCRIPTS) - {"reference"})
    parser.add_argument("--only", nargs="+", metavar="CASE", help="cases whose names begin like this")
    parser.add_argument("--quick", action="store_true", help="sizes that measure nothing, to see that it runs")
    parser.add_argument("--rounds", type=int, help="rounds of every case but memory")
    parser.add_argument("--threads", type=int, help="of each process; one is steadier on a machine that is not quiet")
    parser.add_argument("--peers", nargs="+", choices=peers, default=peers)
    parser.add_argument("--venv", nargs="+", default=[], metavar="PEER=FOLDER", help="an environment to take as it is")
    parser.add_argument("--out", type=Path, help="where results.json and ratios.svg go")
    parser.add_argument("--list", action="store_true", help="list the cases and who takes part")
    return parser.parse_args()


def main() -> int:
    """Measure, print, write; return 1 when a contender failed. A target that is missed is no failure."""
    given = arguments()
    sizes = _sizes(given)
    if given.list:
        print(
            "\n".join(
                f"{case.name:26} {', '.join(each.label for each in case.contenders)}" for case in cases(sizes, True)
            )
        )
        return 0
    description, bench = machine.description(), _bench(given, sizes)
    try:
        results = _measure(_chosen(given.only, list(cases(sizes, bool(bench.machine["gpu"])))), bench, sizes)
    finally:
        bench.close()
    lines = [judged(target, results) for target in TARGETS]
    print(targets_report(lines))
    partial = given.quick or given.only or given.rounds or given.threads or len(given.peers) < len(SCRIPTS) - 1
    out = given.out or (CACHE / "partial" if partial else DOCS)
    description |= {**bench.machine, "threads": bench.threads, "texts": bench.texts.source}
    _write(out, {"machine": description, "targets": lines, "cases": results}, bench.python("reference"))
    return int(any("failed" in each for case in results.values() for each in (case, *case["peers"].values())))


def _sizes(given: argparse.Namespace) -> Sizes:
    sizes = QUICK if given.quick else FULL
    return dataclasses.replace(sizes, rounds=given.rounds, few_rounds=given.rounds) if given.rounds else sizes


def _bench(given: argparse.Namespace, sizes: Sizes) -> Bench:
    environments = dict(pair.split("=", 1) for pair in given.venv)
    unknown = sorted(set(environments) - set(SCRIPTS))
    if unknown:
        sys.exit(f"--venv: no peer is called {', '.join(unknown)}; there are {', '.join(sorted(SCRIPTS))}.")
    paths = {name: Path(folder).absolute() for name, folder in environments.items()}
    texts = prepare(CACHE / "texts", sizes.short)
    try:
        return Bench(CACHE, texts, given.threads or machine.threads(), paths, frozenset(given.peers))
    except PeerFailedError as error:
        sys.exit(f"without the reference worker nothing can be measured: {error}")


def _chosen(only: list[str] | None, known: list[Case]) -> list[Case]:
    names = [case.name for case in known]
    for prefix in only or []:
        if not any(name.startswith(prefix) for name in names):
            sys.exit(f"--only: no case is called {prefix!r}; there are {', '.join(names)}.")
    return [case for case in known if not only or case.name.startswith(tuple(only))]


def _measure(chosen: list[Case], bench: Bench, sizes: Sizes) -> dict[str, Any]:
    results = {}
    for case in chosen:
        try:
            results[case.name] = run(case, bench, sizes)
        except PeerFailedError as error:
            results[case.name] = {"failed": str(error), "peers": {}}
        print(case_report(case.name, results[case.name]), flush=True)
        # kept for the case that the run is broken off
        (CACHE / "running.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return results


def _write(folder: Path, results: dict[str, Any], python: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    script = Path(__file__).with_name("harness") / "plot.py"
    command = [str(python), str(script), str(folder / "results.json"), str(folder / "ratios.svg")]
    drawn = subprocess.run(command, capture_output=True, text=True, check=False)
    if drawn.returncode:
        print(f"no plot: {drawn.stderr.strip()[-300:]}", file=sys.stderr)
    print(f"\nwritten: {folder}")


if __name__ == "__main__":
    sys.exit(main())
