"""Upstream's lightweight reranker on given checkpoints: runs in an environment of its own, with nothing of ours.

    python lightweight_upstream.py CASES.json OUT.npz

    pip install torch==2.13.0
    pip install FlagEmbedding==1.3.5 transformers==4.46.3 "peft<0.14" sentencepiece protobuf

CASES.json is a list of cases: ``name``, ``folder``, ``calls`` (each the options of one call: ``cutoff_layers``,
``compress_layers``, ``compress_ratio``), and ``ids`` (rows of token ids, with ``query_lengths`` and ``prompt_lengths``)
or ``pairs`` (query and passage), or both; ``options`` are given to the class. The ids are run as one batch, padded on
the right. OUT.npz holds float64 ``[layers, rows]``: what the network gives under ``NAME/ids/INDEX``, what
``compute_score`` gives under ``NAME/pairs/INDEX``, INDEX being the place of the call.

``attention`` is ``"eager"``, or ``"sdpa"``: the one that upstream has by default, which leaves out the soft-capping of
Gemma2's attention (transformers' own Gemma2 switches to "eager" for that; upstream's class does not inherit from it).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from FlagEmbedding.inference.reranker.decoder_only.models.gemma_model import CostWiseGemmaForCausalLM

import FlagEmbedding


def main() -> None:
    """Write what upstream makes of each case."""
    if Path(FlagEmbedding.__file__).with_name("plugins").exists():
        sys.exit(f"{FlagEmbedding.__file__} is ours, not upstream's")
    outputs: dict[str, Any] = {}
    for case in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        CostWiseGemmaForCausalLM._supports_sdpa = case.get("attention", "sdpa") == "sdpa"  # noqa: SLF001
        for kind, scores in (("ids", network_scores), ("pairs", pair_scores)):
            if case.get(kind):
                found = scores(case)
                outputs.update({f"{case['name']}/{kind}/{index}": rows for index, rows in enumerate(found)})
    np.savez(sys.argv[2], **outputs)


def network_scores(case: dict[str, Any]) -> list[np.ndarray]:
    """Return the network's scores of the last tokens."""
    model = CostWiseGemmaForCausalLM.from_pretrained(case["folder"], torch_dtype=torch.float32).eval()
    width = max(map(len, case["ids"]))
    every = []
    for call in case["calls"]:
        with torch.no_grad():
            found = model(
                torch.tensor([[*row, *[model.config.pad_token_id] * (width - len(row))] for row in case["ids"]]),
                attention_mask=torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in case["ids"]]),
                output_hidden_states=True,
                compress_layer=call["compress_layers"],
                compress_ratio=call["compress_ratio"],
                cutoff_layers=call["cutoff_layers"],
                query_lengths=case["query_lengths"],
                prompt_lengths=case["prompt_lengths"],
            )
        each = zip(found.logits, found.attention_masks, strict=True)
        every.append(np.array([last(logits, mask).double().numpy() for logits, mask in each]))
    return every


def last(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the logits of the last token of each row."""
    return logits[torch.arange(len(logits)), mask.sum(dim=1) - 1]


def pair_scores(case: dict[str, Any]) -> list[np.ndarray]:
    """Return what ``compute_score`` gives on the CPU, in float32."""
    options = {"use_fp16": False, "devices": "cpu", **case.get("options", {})}
    reranker = FlagEmbedding.LightWeightFlagLLMReranker(case["folder"], **options)
    pairs = [tuple(pair) for pair in case["pairs"]]
    return [np.atleast_2d(np.array(reranker.compute_score(pairs, **call))) for call in case["calls"]]


if __name__ == "__main__":
    main()
