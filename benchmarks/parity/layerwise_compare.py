"""Our layerwise reranker beside FlagEmbedding 1.3.5's, on tiny checkpoints: the networks, and the classes on pairs.

    python benchmarks/parity/layerwise_compare.py --python PYTHON_OF_AN_ENVIRONMENT_WITH_UPSTREAM

layerwise_upstream.py says what that environment holds.

Intended differences, kept out of the comparison by asking both sides for the same: upstream cuts at 512 tokens unless
told otherwise, and gives layers that do not ascend each other's heads.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from flagembedding_bge.layerwise import LayerWiseLLMReranker
from flagembedding_bge.minicpm import LayerwiseMiniCPM
from flagembedding_bge.minicpm_config import native_config

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 1e-5

LAYERS: list[list[int] | None] = [None, [2], [3], [5], [2, 5], [2, 3, 4, 5]]

VARIANTS: dict[str, dict[str, Any]] = {
    "hub": {},
    "one head": {"head_multi": False},
    "grouped attention": {"num_key_value_heads": 2},
    "linear rope": {"rope_scaling": {"type": "linear", "factor": 4.0}},
    "rope theta": {"rope_theta": 500.0},
    "bias": {"attention_bias": True},
    "gelu": {"hidden_act": "gelu"},
    "defaults": {"start_layer": None, "head_type": None, "rms_norm_eps": None, "num_hidden_layers": 9},
}

PAIRS = [
    ("what is a panda?", "The giant panda is a bear of China,\nblack and white."),
    ("what is a panda?", "hi"),
    ("", "a passage without a query"),
    (" a query after a space", "\n\nand a passage\tafter lines "),
    ("大熊猫", "在四川 the panda"),
    ("which of all the queries is long, and what is left of it when it is cut?", "small words " * 30),
]

# What a call of the class may ask beside the layers.
ASKED: list[dict[str, Any]] = [
    {"max_length": 512},
    {"max_length": 60, "prompt": "Do A and B mean the same?"},
    {"max_length": 70, "query_max_length": 12, "normalize": True, "batch_size": 2},
]


def checkpoints() -> Any:
    """Return the builders of tiny checkpoints, which the tests have."""
    path = ROOT / "plugins/bge/tests/minicpm_tiny.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cases(folder: Path) -> list[dict[str, Any]]:
    """Build the checkpoints, and return what is asked of both sides."""
    build = checkpoints()
    generator = torch.Generator().manual_seed(3)
    ids = [torch.randint(3, 64, (tokens,), generator=generator).tolist() for tokens in (1, 2, 3, 12, 40, 200)]
    networks = [
        {
            "name": f"network, {name}",
            "folder": str(build.build(folder / name, **changes)),
            "calls": [{"cutoff_layers": layers} for layers in (LAYERS if name != "defaults" else [None, [8], [8, 9]])],
            "ids": ids,
        }
        for name, changes in VARIANTS.items()
    ]
    path = str(build.build_with_tokenizer(folder / "class", max_position_embeddings=1024))
    calls = [{"cutoff_layers": layers, **asked} for layers in LAYERS for asked in ASKED]
    plain = {"query_instruction_for_rerank": "", "passage_instruction_for_rerank": "passage: "}
    return [
        *networks,
        {"name": "class", "folder": path, "calls": calls, "pairs": PAIRS},
        {"name": "class, instructions", "folder": path, "calls": calls[:3], "pairs": PAIRS, "options": plain},
    ]


def ours(case: dict[str, Any]) -> list[np.ndarray]:
    """Return what our network, or our class, makes of a case, ``[layers, rows]`` each."""
    if "pairs" in case:
        reranker = LayerWiseLLMReranker(case["folder"], devices="cpu", **case.get("options", {}))
        return [np.atleast_2d(np.array(reranker.compute_score(case["pairs"], **call))) for call in case["calls"]]
    folder = Path(case["folder"])
    config = native_config(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    model = LayerwiseMiniCPM.from_pretrained(folder, config=config, dtype=torch.float32).eval()
    width = max(map(len, case["ids"]))
    ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in case["ids"]])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in case["ids"]])
    with torch.no_grad():
        return [model(ids, mask, **call).T.double().numpy() for call in case["calls"]]


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
        script = Path(__file__).with_name("layerwise_upstream.py")
        subprocess.run([python, script, folder / "cases.json", folder / "out.npz"], check=True, cwd=folder)
        theirs = np.load(folder / "out.npz")
        for case in each:
            kind = "pairs" if "pairs" in case else "ids"
            both = [(found, theirs[f"{case['name']}/{kind}/{call}"]) for call, found in enumerate(ours(case))]
            worst = max(float(np.abs(found - expected).max()) for found, expected in both)
            fault = worst > TOLERANCE or any(found.shape != expected.shape for found, expected in both)
            faults += fault
            print(f"{case['name']:28} {len(both)} calls, {worst:.1e} {'DIFFERENT' if fault else ''}")
    return faults


if __name__ == "__main__":
    sys.exit(main())
