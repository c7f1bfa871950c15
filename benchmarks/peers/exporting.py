"""Export to ONNX, for onnxruntime and fastembed: last hidden states of an encoder, logits of a reranker.

The fastest of the ways tried for onnxruntime, some 10 to 20 % before torch's newer exporter on SDPA: eager attention
through the tracing exporter, then onnxruntime's own optimiser, which fuses attention, embeddings, GELU and norms.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from onnxruntime.transformers import optimizer
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

_OPSET = 17
_EXAMPLES = ["a river", "where is the garden of seven stones?"]


class _Output(torch.nn.Module):
    """The one output that is wanted, of a model called with positional inputs."""

    def __init__(self, model: Any, names: list[str], wanted: str) -> None:
        super().__init__()
        self.model, self.names, self.wanted = model, names, wanted

    def forward(self, *inputs: Any) -> Any:
        """Return it."""
        return getattr(self.model(**dict(zip(self.names, inputs, strict=True))), self.wanted)


def export(folder: Path) -> None:
    """Write ``model.onnx`` into ``folder``: any number of texts of any length."""
    reranker = json.loads((folder / "bench.json").read_text(encoding="utf-8"))["kind"] == "reranker"
    found = AutoModelForSequenceClassification if reranker else AutoModel
    model = found.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    example = dict(AutoTokenizer.from_pretrained(folder)(_EXAMPLES, padding=True, return_tensors="pt"))
    wanted = "logits" if reranker else "last_hidden_state"
    part = folder / "model.onnx.part"
    _trace(_Output(model, list(example), wanted), example, part, wanted)
    shape = {"num_heads": model.config.num_attention_heads, "hidden_size": model.config.hidden_size}
    optimizer.optimize_model(str(part), model_type="bert", opt_level=0, **shape).save_model_to_file(str(part))
    part.rename(folder / "model.onnx")


def _trace(model: Any, example: dict[str, Any], path: Path, wanted: str) -> None:
    axes = {0: "texts", 1: "tokens"}
    outputs = {wanted: {0: "texts"} if wanted == "logits" else axes}
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's, on branches that the lengths of these inputs do not change
        torch.onnx.export(
            model,
            tuple(example.values()),
            str(path),
            input_names=list(example),
            output_names=[wanted],
            dynamic_axes={**dict.fromkeys(example, axes), **outputs},
            opset_version=_OPSET,
            dynamo=False,
        )
