"""The other side of compare.py: runs in an environment of its own, with FlagEmbedding 1.4.2 and nothing of ours.

python upstream.py CASES.json OUT.npz
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

import FlagEmbedding


def main() -> None:
    """Write what upstream makes of each case."""
    if Path(FlagEmbedding.__file__).with_name("plugins").exists():
        sys.exit(f"{FlagEmbedding.__file__} is ours, not upstream's")
    cases = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    outputs = {}
    for case in cases:
        model = getattr(FlagEmbedding, case["class"])(case["folder"], use_fp16=False, devices="cpu", **case["options"])
        for method, texts in case["calls"].items():
            found = getattr(model, method)(texts, **case["call_options"])
            for kind, values in flattened(found).items():
                outputs[f"{case['name']}/{method}/{kind}"] = values
    np.savez(sys.argv[2], **outputs)


def flattened(found: object) -> dict[str, np.ndarray]:
    """Return arrays by kind: M3 gives a dictionary of three kinds, a reranker a list, the others one array."""
    if isinstance(found, list):
        return {"scores": np.array(found)}
    if not isinstance(found, dict):
        return {"dense": np.asarray(found)}
    arrays = {"dense": np.asarray(found["dense_vecs"]), "colbert": np.concatenate(found["colbert_vecs"])}
    weights = [sorted((int(token), float(weight)) for token, weight in row.items()) for row in found["lexical_weights"]]
    return {**arrays, "sparse": np.array([pair for row in weights for pair in row])}


if __name__ == "__main__":
    main()
