"""onnxruntime itself, with tokenizers and numpy: no torch, no framework, batches cut as ours are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from protocol import Peer, serve

_TOKENS, _TEXTS = 2048, 256  # one batch: padding counted; what our planner takes on a CPU


class RawOnnx(Peer):
    """An InferenceSession on the exported model, with onnxruntime's own default optimisations."""

    packages = ("onnxruntime", "tokenizers")

    def load(self, model: dict[str, Any]) -> None:
        """Open the tokenizer and the session."""
        import onnxruntime  # noqa: PLC0415 - part of what a cold start costs
        from tokenizers import Tokenizer  # noqa: PLC0415

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = model["threads"]
        path, providers = Path(model["folder"]) / "model.onnx", ["CPUExecutionProvider"]
        self.session = onnxruntime.InferenceSession(path, options, providers=providers)
        self.inputs = {each.name for each in self.session.get_inputs()}
        self.tokenizer = Tokenizer.from_file(str(Path(model["folder"]) / "tokenizer.json"))
        self.tokenizer.enable_truncation(model["max_length"])
        self.tokenizer.no_padding()

    def encode(self, texts: list[str], batch_size: int | None) -> Any:
        """Encode many."""
        return self._run(self.tokenizer.encode_batch_fast(texts), _mean, batch_size or _TEXTS)

    def query(self, text: str) -> Any:
        """Encode one: no sorting, no padding."""
        return _mean(*self._forward([self.tokenizer.encode(text)]))[0]

    def rerank(self, query: str, passages: list[str]) -> Any:
        """Score pairs."""
        pairs = self.tokenizer.encode_batch_fast([(query, passage) for passage in passages])
        return self._run(pairs, lambda logits, _: logits[:, 0], _TEXTS)

    def _run(self, encodings: list[Any], head: Any, texts: int) -> Any:
        rows: list[Any] = [None] * len(encodings)
        for batch in _batches([len(encoding.ids) for encoding in encodings], texts):
            found = head(*self._forward([encodings[index] for index in batch]))
            for index, row in zip(batch, found, strict=True):
                rows[index] = row
        return np.stack(rows)

    def _forward(self, encodings: list[Any]) -> tuple[Any, Any]:
        """Return the model's output, and the mask."""
        length = max(len(encoding.ids) for encoding in encodings)
        ids, types, mask = (np.zeros((len(encodings), length), dtype=np.int64) for _ in range(3))
        for row, encoding in enumerate(encodings):
            size = len(encoding.ids)
            ids[row, :size], types[row, :size], mask[row, :size] = encoding.ids, encoding.type_ids, 1
        fed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        (output,) = self.session.run(None, {name: fed[name] for name in self.inputs})
        return output, mask


def _mean(hidden: Any, mask: Any) -> Any:
    """Return unit vectors: the mean of the tokens that count."""
    weights = mask[:, None, :].astype(np.float32)
    means = (weights @ hidden)[:, 0] / weights.sum(-1)
    return means / np.linalg.norm(means, axis=-1, keepdims=True)


def _batches(lengths: list[int], texts: int) -> Iterator[list[int]]:
    """Yield indices, longest first, as many at a time as the tokens allow: what ours does on one thread."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        longest = lengths[batch[0]] if batch else 0
        if batch and (len(batch) == texts or (len(batch) + 1) * longest > _TOKENS):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


serve(RawOnnx())
