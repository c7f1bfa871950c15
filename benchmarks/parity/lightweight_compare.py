"""Our lightweight reranker beside FlagEmbedding 1.3.5's, on tiny checkpoints: the networks, and the classes on pairs.

    python benchmarks/parity/lightweight_compare.py --python PYTHON_OF_AN_ENVIRONMENT_WITH_UPSTREAM

lightweight_upstream.py says what that environment holds. Compared are both attentions that upstream can be run with:
with "sdpa", its default, the attention is not soft-capped, so that ours is told to leave that out too.

Intended differences, kept out of the comparison by asking both sides for the same: upstream cuts at 512 tokens unless
told otherwise, and gives the scores of several layers in ascending order.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from flagembedding_bge.cost_wise_config import native_config
from flagembedding_bge.cost_wise_gemma import CostWiseGemma
from flagembedding_bge.lightweight import LightweightLLMReranker

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 1e-5
SDPA_TOLERANCE = 1e-4  # upstream's side of it rounds by up to 1e-5 (against the same formulas in float64)

# (tokens, query, prompt): passages of 0, 1, 2, 7, 8, 9, 11 and 31 tokens.
SHAPES = [(12, 5, 7), (13, 5, 7), (12, 3, 7), (19, 6, 6), (20, 4, 8), (16, 4, 3), (11, 0, 0), (43, 5, 7)]

CUTOFFS: list[list[int] | None] = [[2], [3], [6], [2, 4, 6], [2, 3, 4, 5, 6], None]
COMPRESSED = [[1], [2], [3], [5], [2, 4], [1, 2, 3, 4, 5]]
RATIOS = [1, 2, 4, 8]

# What a config.json may leave to the defaults of transformers 4.46 without another shape of the weights.
UNSAID = ["final_logit_softcapping", "attn_logit_softcapping", "query_pre_attn_scalar", "sliding_window", "rope_theta"]

PAIRS = [
    ("where is the river?", "the river of light is in the garden of paris."),
    ("seven", "stone"),
    ("what is an engine", ""),
    ("", "a paper letter"),
    ("which question is the question of all the other questions that have not one answer in it?", "small words " * 30),
]

# What a call of the class may ask beside the layers.
ASKED: list[dict[str, Any]] = [
    {"max_length": 512},
    {"max_length": 30, "prompt": "Predict whether passages A and B have the same meaning."},
    {"max_length": 40, "query_max_length": 7, "normalize": True, "batch_size": 2},
]


def imported(path: Path) -> Any:
    """Return a module of the tests: the builders of tiny checkpoints are there."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    sys.modules[path.stem] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cases(folder: Path) -> list[dict[str, Any]]:
    """Build the checkpoints, and return what is asked of both sides."""
    build = imported(ROOT / "plugins/bge/tests/cost_wise_checkpoints.py")
    path = str(build.write_with_tokenizer(folder / "model", imported(ROOT / "core/tests/tiny.py")))
    silent = str(build.write(folder / "silent", **dict.fromkeys(UNSAID)))
    names = ("cutoff_layers", "compress_layers", "compress_ratio")
    calls = [dict(zip(names, values, strict=True)) for values in itertools.product(CUTOFFS, COMPRESSED, RATIOS)]
    each = [{**call, **asked} for call, asked in itertools.product(calls[::7], ASKED)]
    return [
        {"name": "network", "folder": path, "attention": "eager", "calls": calls, **rows()},
        {"name": "network, sdpa", "folder": path, "attention": "sdpa", "calls": calls, **rows()},
        {"name": "network, defaults of 4.46", "folder": silent, "attention": "eager", "calls": calls, **rows()},
        {"name": "class", "folder": path, "attention": "eager", "calls": each, "pairs": PAIRS},
    ]


def rows() -> dict[str, Any]:
    """Return rows of token ids, and which parts of them are a query's and a prompt's."""
    generator = torch.Generator().manual_seed(3)
    return {
        "ids": [torch.randint(3, 90, (tokens,), generator=generator).tolist() for tokens, _, _ in SHAPES],
        "query_lengths": [query for _, query, _ in SHAPES],
        "prompt_lengths": [prompt for _, _, prompt in SHAPES],
    }


def ours(case: dict[str, Any]) -> list[np.ndarray]:
    """Return what our network, or our class, makes of a case, ``[layers, rows]`` each."""
    if "pairs" in case:
        reranker = LightweightLLMReranker(case["folder"], devices="cpu")
        return [np.atleast_2d(np.array(reranker.compute_score(case["pairs"], **call))) for call in case["calls"]]
    folder = Path(case["folder"])
    config = native_config(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    if case["attention"] == "sdpa":
        config.attn_logit_softcapping = None
    model = CostWiseGemma.from_pretrained(folder, config=config, dtype=torch.float32).eval()
    width = max(map(len, case["ids"]))
    batch = {
        "input_ids": torch.tensor([[*row, *[1] * (width - len(row))] for row in case["ids"]]),
        "attention_mask": torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in case["ids"]]),
        "query_lengths": torch.tensor(case["query_lengths"]),
        "prompt_lengths": torch.tensor(case["prompt_lengths"]),
    }
    with torch.no_grad():
        return [model(**batch, **call).T.double().numpy() for call in case["calls"]]


def main() -> int:
    """Compare, print a line a case, and return the number of differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, required=True)
    python = parser.parse_args().python
    faults = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        each = cases(folder)
        (folder / "cases.json").write_text(json.dumps(each), encoding="utf-8")
        script = Path(__file__).with_name("lightweight_upstream.py")
        subprocess.run([python, script, folder / "cases.json", folder / "out.npz"], check=True, cwd=folder)
        theirs = np.load(folder / "out.npz")
        for case in each:
            kind = "pairs" if "pairs" in case else "ids"
            pairs = [(found, theirs[f"{case['name']}/{kind}/{call}"]) for call, found in enumerate(ours(case))]
            worst = max(float(np.abs(found - expected).max()) for found, expected in pairs)
            fault = worst > (SDPA_TOLERANCE if case["attention"] == "sdpa" else TOLERANCE)
            faults += fault
            print(f"{case['name']:28} {len(pairs)} calls, {worst:.1e} {'DIFFERENT' if fault else ''}")
    return faults


if __name__ == "__main__":
    sys.exit(main())
