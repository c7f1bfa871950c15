"""Our vectors beside FlagEmbedding 1.4.2's, on the same tiny checkpoints with explicit instructions.

    python benchmarks/parity/compare.py [--python PYTHON_OF_AN_ENVIRONMENT_WITH_UPSTREAM]

Without --python it makes that environment in .venv-upstream (some minutes, and a network or a package cache).

Intended differences, kept out of the comparison by asking both sides for the same:
- Upstream applies no instruction unless it is given one; ours applies what the model card requires. Both are given one.
- Upstream drops the end-of-sequence token that tokenizer_config.json asks for (transformers 5 does, and upstream does
  not put it back), so its last-token models read another token. The checkpoints here add it in tokenizer.json.
- Upstream cuts at 512 tokens unless told otherwise; ours at the card's length. The texts are short.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import FlagEmbedding

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 1e-5

QUERIES = ["river", "where is the seven stone garden?", "small words"]
PASSAGES = ["a small engine", "the river of light is in the garden of paris.", "one letter"]
EXAMPLES = [{"instruct": "Find it.", "query": "what is a river", "response": "water in a garden"}]


def tiny() -> Any:
    """Return the builders of tiny checkpoints, which the tests of the core have."""
    spec = importlib.util.spec_from_file_location("tiny", ROOT / "core/tests/tiny.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(ROOT / "core/tests/tiny.py")
    sys.modules["tiny"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cases(folder: Path) -> list[dict[str, Any]]:
    """Build the checkpoints, and return what is asked of each class."""
    build = tiny()
    encoder = str(build.build(folder / "bert", "bert", max_position_embeddings=512))
    decoder = str(build.build_decoder(folder / "mistral", "mistral", end="</s>"))
    m3 = str(with_heads(build.build(folder / "m3", "xlm-roberta", max_position_embeddings=514), build.WIDTH))
    plain = {"encode_queries": QUERIES, "encode_corpus": PASSAGES}
    instructed = {"query_instruction_for_retrieval": "Find it.", "query_instruction_format": "<instruct>{}\n<query>{}"}
    every = {"return_dense": True, "return_sparse": True, "return_colbert_vecs": True}
    return [
        case("base, cls", "FlagModel", encoder, plain, {"query_instruction_for_retrieval": "query: "}),
        case("base, mean", "FlagModel", encoder, plain, {"pooling_method": "mean"}),
        case("llm", "FlagLLMModel", decoder, plain, instructed),
        case("icl", "FlagICLModel", decoder, plain, instructed),
        case("icl, examples", "FlagICLModel", decoder, plain, {**instructed, "examples_for_task": EXAMPLES}),
        case("m3", "BGEM3FlagModel", m3, {"encode": PASSAGES, **plain}, {}, every),
    ]


def case(
    name: str,
    model_class: str,
    folder: str,
    calls: dict[str, list[str]],
    options: dict[str, Any],
    call_options: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return one case as data, for both sides."""
    parts = {"name": name, "class": model_class, "folder": folder, "calls": calls}
    return {**parts, "options": options, "call_options": call_options or {}}


def with_heads(folder: Path, width: int) -> Path:
    """Add M3's two heads, random."""
    generator = torch.Generator().manual_seed(7)
    for name, rows in (("sparse_linear", 1), ("colbert_linear", width)):
        head = {"weight": torch.randn(rows, width, generator=generator), "bias": torch.randn(rows, generator=generator)}
        torch.save(head, folder / f"{name}.pt")
    return folder


def ours(each: list[dict[str, Any]], flattened: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """Return what our classes make of each case."""
    outputs = {}
    for one in each:
        model = getattr(FlagEmbedding, one["class"])(one["folder"], use_fp16=False, devices="cpu", **one["options"])
        for method, texts in one["calls"].items():
            found = flattened(getattr(model, method)(texts, **one["call_options"]))
            outputs.update({f"{one['name']}/{method}/{kind}": values for kind, values in found.items()})
    return outputs


def flattened(found: Any) -> dict[str, Any]:
    """Return arrays by kind, as upstream.py does."""
    if not isinstance(found, dict):
        return {"dense": found}
    weights = [sorted((int(token), float(weight)) for token, weight in row.items()) for row in found["lexical_weights"]]
    sparse = np.array([pair for row in weights for pair in row])
    return {"dense": found["dense_vecs"], "colbert": np.concatenate(found["colbert_vecs"]), "sparse": sparse}


def environment() -> Path:
    """Return the Python of an environment with upstream in it, made at the first call."""
    folder = ROOT / ".venv-upstream"
    python = folder / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt"]
        subprocess.run([*pip, "torch"], check=True)
        subprocess.run([*pip, "FlagEmbedding==1.4.2", "transformers"], check=True)
    return python


def main() -> int:
    """Compare, print a line a case, and return the number of differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path)
    python = parser.parse_args().python or environment()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        each = cases(folder)
        (folder / "cases.json").write_text(json.dumps(each), encoding="utf-8")
        script = Path(__file__).with_name("upstream.py")
        subprocess.run([python, script, folder / "cases.json", folder / "out.npz"], check=True, cwd=folder)
        theirs = dict(np.load(folder / "out.npz"))
        found = ours(each, flattened)
    return sum(not report(name, found[name], theirs[name]) for name in theirs)


def report(name: str, found: Any, expected: Any) -> bool:
    """Print the greatest difference, and say whether it is within the tolerance."""
    if found.shape != expected.shape:
        print(f"{name:32} shapes differ: {found.shape} and {expected.shape}")
        return False
    difference = float(np.abs(found - expected).max())
    print(f"{name:32} {difference:.1e} {'' if difference <= TOLERANCE else 'DIFFERENT'}")
    return difference <= TOLERANCE


if __name__ == "__main__":
    sys.exit(main())
