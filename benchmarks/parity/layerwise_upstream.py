"""Upstream's layerwise reranker on given checkpoints: runs in an environment of its own, with nothing of ours.

    python layerwise_upstream.py CASES.json OUT.npz

FlagEmbedding 1.3.5 with transformers 4.46.3 is the last pair in which the class of MiniCPM works as it was published:

    pip install torch==2.13.0 && pip install FlagEmbedding==1.3.5 transformers==4.46.3

CASES.json is a list of cases: ``name``, ``folder``, ``calls`` (each the options of one call; upstream pairs layers and
heads rightly only where ``cutoff_layers`` ascend), and ``ids`` (rows of token ids) or ``pairs`` (query and passage), or
both; ``options`` are given to the class. OUT.npz holds float64 ``[layers, rows]``: what the network gives under
``NAME/ids/INDEX``, what ``compute_score`` gives under ``NAME/pairs/INDEX``, INDEX being the place of the call.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

import FlagEmbedding


def main() -> None:
    """Write what upstream makes of each case."""
    if Path(FlagEmbedding.__file__).with_name("plugins").exists():
        sys.exit(f"{FlagEmbedding.__file__} is ours, not upstream's")
    outputs: dict[str, Any] = {}
    for case in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        for kind, scores in (("ids", network_scores), ("pairs", pair_scores)):
            if case.get(kind):
                found = scores(case)
                outputs.update({f"{case['name']}/{kind}/{index}": rows for index, rows in enumerate(found)})
    np.savez(sys.argv[2], **outputs)


def network_scores(case: dict[str, Any]) -> list[np.ndarray]:
    """Return the network's scores, one row at a time: nothing is padded."""
    module = sys.modules[FlagEmbedding.LayerWiseFlagLLMReranker.__module__]  # it imports the network's class
    model = module.LayerWiseMiniCPMForCausalLM.from_pretrained(case["folder"], torch_dtype=torch.float32).eval()
    every = []
    for call in case["calls"]:
        columns = []
        for ids in case["ids"]:
            with torch.no_grad():
                found = model(torch.tensor([ids]), output_hidden_states=True, **call)
            columns.append([logits[0, -1].item() for logits in found.logits])
        every.append(np.array(columns).T)
    return every


def pair_scores(case: dict[str, Any]) -> list[np.ndarray]:
    """Return what ``compute_score`` gives on the CPU, in float32."""
    options = {"use_fp16": False, "devices": "cpu", **case.get("options", {})}
    reranker = FlagEmbedding.LayerWiseFlagLLMReranker(case["folder"], **options)
    pairs = [tuple(pair) for pair in case["pairs"]]
    return [np.atleast_2d(reranker.compute_score(pairs, **call)) for call in case["calls"]]


if __name__ == "__main__":
    main()
