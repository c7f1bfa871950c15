"""The bench's own worker: builds models, computes the vectors to compare with, measures matrix multiplication."""

from __future__ import annotations

import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from exporting import export
from models import build
from protocol import Peer, serve
from tokenizers import Tokenizer
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

_GEMM_SIDES = {"cpu": 2048, "cuda": 8192}
_GEMM_SECONDS = 1.0


class Reference(Peer):
    """transformers' eager attention in float32, one text at a time: no padding, no batch."""

    packages = ("torch", "transformers", "onnx")

    def load(self, model: dict[str, Any]) -> None:
        """Load for exactness, on the CPU whatever the others use."""
        self.kind, self.max_length, folder = model["kind"], model["max_length"], model["folder"]
        found = AutoModelForSequenceClassification if self.kind == "reranker" else AutoModel
        self.model = found.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)

    @torch.inference_mode()
    def encode(self, texts: list[str], batch_size: int | None) -> Any:  # noqa: ARG002 - never more than one
        """Return unit vectors."""
        return torch.stack([self._vector(text) for text in texts]).numpy()

    @torch.inference_mode()
    def rerank(self, query: str, passages: list[str]) -> Any:
        """Return logits."""
        return torch.cat([self.model(**self._inputs(query, passage)).logits[:, 0] for passage in passages]).numpy()

    def _inputs(self, *text: str) -> Any:
        return self.tokenizer(*text, truncation=True, max_length=self.max_length, return_tensors="pt")

    def _vector(self, text: str) -> torch.Tensor:
        hidden = self.model(**self._inputs(text)).last_hidden_state[0]
        pooled = hidden[-1] if self.kind == "decoder" else hidden.mean(0)
        return torch.nn.functional.normalize(pooled, dim=-1)

    def do_build(self, name: str, folder: str, texts: str) -> dict[str, Any]:
        """Build a model unless it is there."""
        if not Path(folder).exists():
            build(name, Path(folder), json.loads(Path(texts).read_text(encoding="utf-8")))
        return dict(json.loads((Path(folder) / "bench.json").read_text(encoding="utf-8")))

    def do_export(self, folder: str) -> dict[str, Any]:
        """Export a model unless it is there."""
        if not (Path(folder) / "model.onnx").exists():
            export(Path(folder))
        return {}

    def do_lengths(self, folder: str, texts: str, max_length: int, query: str | None = None) -> dict[str, Any]:
        """Return the tokens of each text, special ones included, as they count after cutting."""
        tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
        tokenizer.enable_truncation(max_length)
        tokenizer.no_padding()
        each = json.loads(Path(texts).read_text(encoding="utf-8"))
        inputs = each if query is None else [(query, text) for text in each]
        return {"lengths": [len(encoding.ids) for encoding in tokenizer.encode_batch_fast(inputs)]}

    def do_gemm(self, device: str, dtypes: list[str]) -> dict[str, Any]:
        """Return the best FLOP/s of a square matrix product in each dtype."""
        return {"flops": {dtype: _gemm(device, getattr(torch, dtype)) for dtype in dtypes}}

    def do_machine(self) -> dict[str, Any]:
        """Return what the machine is, as torch sees it."""
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else None
        return {"gpu": device, "cpu": torch.backends.cpu.get_cpu_capability(), "python": platform.python_version()}


def _gemm(device: str, dtype: torch.dtype) -> float:
    side = _GEMM_SIDES[device]
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    torch.mm(left, right)
    times, stop = [], time.perf_counter() + _GEMM_SECONDS
    while time.perf_counter() < stop:
        start = time.perf_counter()
        torch.mm(left, right)
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return 2 * side**3 / float(np.min(times))


serve(Reference())
