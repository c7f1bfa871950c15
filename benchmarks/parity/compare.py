"""Our vectors and scores beside FlagEmbedding's, on the same tiny checkpoints with explicit instructions.

    python benchmarks/parity/compare.py [--python PYTHON_WITH_1.4.2] [--older-python PYTHON_WITH_1.3.5]

Without these it makes the environments, in .venv-upstream and .venv-upstream-135 (some minutes each the first time,
and a network or a package cache). 1.4.2 is the reference. Its layerwise and lightweight rerankers do not run on
transformers 5, so those two are compared with 1.3.5 on transformers 4.46.3, by scripts of their own.

Intended differences, kept out of the comparison by asking both sides for the same:
- Upstream applies no instruction unless it is given one; ours applies what the model card requires. Both are given one.
- Upstream drops the end-of-sequence token that tokenizer_config.json asks for (transformers 5 does, and upstream does
  not put it back), so its last-token models read another token. The checkpoints here add it in tokenizer.json.
- Upstream cuts at 512 tokens unless told otherwise; ours at the card's length. The texts are short, or both are told.
- Upstream's cross-encoder tokenises twice; see reranker_cases.py.
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
from reranker_cases import by_the_rule, reranker_cases

import FlagEmbedding

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 1e-5

# The last pair in which the layerwise and the lightweight class work as they were published.
OLDER = ("FlagEmbedding==1.3.5", "transformers==4.46.3", "peft<0.14", "sentencepiece", "protobuf")
LAYERED = ("layerwise_compare.py", "lightweight_compare.py")

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
        *reranker_cases(build, folder, case),
    ]


def case(
    name: str,
    model_class: str,
    folder: str,
    calls: dict[str, list[Any]],
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
    if isinstance(found, list):
        return {"scores": np.array(found)}
    if not isinstance(found, dict):
        return {"dense": found}
    weights = [sorted((int(token), float(weight)) for token, weight in row.items()) for row in found["lexical_weights"]]
    sparse = np.array([pair for row in weights for pair in row])
    return {"dense": found["dense_vecs"], "colbert": np.concatenate(found["colbert_vecs"]), "sparse": sparse}


def environment(name: str, *requirements: str, constrained: bool = True) -> Path:
    """Return the Python of an environment with upstream in it, made at the first call.

    torch comes first and alone: asked for by another package, an unpinned one could be taken.
    """
    folder = ROOT / name
    ready = folder / "installed"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [folder / "bin/python", "-m", "pip", "install", "--quiet"]
        pinned = ["-c", ROOT / "constraints.txt"]
        subprocess.run([*pip, *pinned, "torch"], check=True)
        subprocess.run([*pip, *(pinned if constrained else []), *requirements], check=True)
        ready.touch()
    return folder / "bin/python"


def main() -> int:
    """Compare, print a line a case, and return the number of differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path)
    parser.add_argument("--older-python", type=Path)
    options = parser.parse_args()
    python = options.python or environment(".venv-upstream", "FlagEmbedding==1.4.2", "transformers")
    older = options.older_python or environment(".venv-upstream-135", *OLDER, constrained=False)
    return compare(python) + sum(layered(script, older) for script in LAYERED)


def compare(python: Path) -> int:
    """Compare with FlagEmbedding 1.4.2, and return the number of differences."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        each = cases(folder)
        (folder / "cases.json").write_text(json.dumps(each), encoding="utf-8")
        script = Path(__file__).with_name("upstream.py")
        if quietly([python, script, folder / "cases.json", folder / "out.npz"], folder):
            sys.exit(f"{script} failed under {python}")
        theirs = dict(np.load(folder / "out.npz"))
        found = ours(each, flattened)
        for one in each:
            if one.get("by_the_rule"):
                put_by_the_rule(one, found, theirs)
    return sum(not report(name, found[name], theirs[name]) for name in theirs)


def put_by_the_rule(one: dict[str, Any], found: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Print upstream's distance, which is intended, and put what the rule gives in the place of its scores."""
    output = f"{one['name']}/compute_score/scores"
    distance = np.abs(found[output] - theirs[output]).max()
    print(f"{output:48} {distance:.1e} (intended; not counted. Below, ours beside the rule)")
    theirs[output] = by_the_rule(one)


def layered(script: str, python: Path) -> int:
    """Run the comparison of a reranker whose layers are heads, and return the number of differences."""
    print(f"{script}, beside FlagEmbedding 1.3.5:", flush=True)
    return quietly([sys.executable, Path(__file__).with_name(script), "--python", python])


def quietly(command: list[Any], folder: Path | None = None) -> int:
    """Run a command and return its status; what it says beside its figures is shown only where it fails."""
    done = subprocess.run(command, cwd=folder, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.stderr.write(done.stderr)
    return done.returncode


def report(name: str, found: Any, expected: Any) -> bool:
    """Print the greatest difference, and say whether it is within the tolerance."""
    if found.shape != expected.shape:
        print(f"{name:48} shapes differ: {found.shape} and {expected.shape}")
        return False
    difference = float(np.abs(found - expected).max())
    print(f"{name:48} {difference:.1e} {'' if difference <= TOLERANCE else 'DIFFERENT'}")
    return difference <= TOLERANCE


if __name__ == "__main__":
    sys.exit(main())
