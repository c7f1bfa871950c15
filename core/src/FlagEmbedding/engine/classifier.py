"""Classifiers: a backbone and a head that reads query and passage together. Packed where that gives the same."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndCrossAttentions

from FlagEmbedding.engine.explaining import running
from FlagEmbedding.engine.forward import Hidden, padded
from FlagEmbedding.engine.packed import probe
from FlagEmbedding.engine.packed.attention import NotPackableError
from FlagEmbedding.engine.packed.forward import PackedForward
from FlagEmbedding.engine.packed.loading import pack
from FlagEmbedding.engine.pair_tokens import PairIds
from FlagEmbedding.engine.quiet import quiet_transformers


class PaddedClassifier:
    """A transformers classifier, run on rectangles.

    Args:
        model: The classifier, on ``device``.
        pad_id: What shorter rows are padded with.
        device: As torch spells it.
        typed: Whether the model is told which tokens are the passage's.
    """

    def __init__(self, model: Any, pad_id: int, device: str, *, typed: bool) -> None:
        self._model = model
        self.pad_id = pad_id
        self.device = device
        self.typed = typed

    def __call__(self, rows: Sequence[PairIds], /) -> Tensor:
        """Return the logits, float32 ``[rows, labels]``."""
        ids, mask = padded([row.ids for row in rows], self.pad_id, torch.device(self.device))
        inputs = {"input_ids": ids, "attention_mask": mask.long()}
        if self.typed:
            types, _ = padded(list(map(part_numbers, rows)), 0, torch.device(self.device))
            inputs["token_type_ids"] = types
        logits: Tensor = self._model(**inputs).logits
        return logits.float()


def part_numbers(row: PairIds) -> list[int]:
    """Return 0 for each token before the passage, 1 for the others."""
    return [0] * row.before + [1] * (len(row) - row.before)


class PackedClassifier:
    """A packed backbone with the classifier's own head on what it reads.

    Args:
        forward: The backbone.
        head: The classifier without its backbone.
        wanted: What the head reads: each row's ``"first"`` or ``"last"`` token, or ``"all"``.
        pad_id: What a head that reads the last token takes for padding, wherever it stands.
        typed: As for :class:`PaddedClassifier`.
    """

    def __init__(self, forward: PackedForward, head: _Head, wanted: str, pad_id: int, *, typed: bool) -> None:
        self._forward = forward
        self._head = head
        self._wanted = wanted
        self._pad_id = pad_id
        self._typed = typed

    def __str__(self) -> str:
        return str(self._forward.body)

    def __call__(self, rows: Sequence[PairIds], /) -> Tensor:
        """Return the logits, float32 ``[rows, labels]``."""
        ids = [row.ids if self._wanted != "last" else _without_padding(row.ids, self._pad_id) for row in rows]
        types = None
        if self._typed:
            types = [part_numbers(row)[: len(kept)] for row, kept in zip(rows, ids, strict=True)]
        if self._wanted == "all":
            return self._head(self._forward(ids, types).padded())
        read = self._forward.first if self._wanted == "first" else self._forward.last
        return self._head(_unmasked(read(ids, types).unsqueeze(1)))


def _without_padding(ids: list[int], pad_id: int) -> list[int]:
    """Return the ids up to the last that is no padding: a text may well end in the padding token's own name."""
    end = next((index for index in range(len(ids), 1, -1) if ids[index - 1] != pad_id), 1)
    return ids[:end]


class _Head:
    """A classifier whose backbone is replaced by one that hands on given states."""

    def __init__(self, model: Any) -> None:
        pooler = getattr(model.base_model, "pooler", None)
        self._dtype = model.dtype
        self._model: Any = copy.copy(model)
        # The shallow copy shares the head's modules with the model, and holds nothing of its backbone.
        self._model._modules = {**model._modules, model.base_model_prefix: _Given(pooler)}  # noqa: SLF001

    def __call__(self, hidden: Hidden) -> Tensor:
        states = hidden.states.to(self._dtype)
        logits: Tensor = self._model(inputs_embeds=states, attention_mask=hidden.mask.long()).logits
        return logits.float()


class _Given(torch.nn.Module):
    """Hands on the embeddings that it is given as last hidden states, with what the backbone's pooler makes of them."""

    def __init__(self, pooler: Any) -> None:
        super().__init__()
        self.pooler = pooler

    def forward(self, *_: Any, inputs_embeds: Tensor, **__: Any) -> BaseModelOutputWithPoolingAndCrossAttentions:
        return BaseModelOutputWithPoolingAndCrossAttentions(
            last_hidden_state=inputs_embeds,
            pooler_output=None if self.pooler is None else self.pooler(inputs_embeds),
        )


@torch.inference_mode()
def pack_classifier(model: Any, plain: PaddedClassifier) -> PackedClassifier:
    """Return the packed form of a classifier, once it gives the classifier's own logits.

    Raises:
        NotPackableError: There is none. The model may have changed in the attempts: load it again.
    """
    texts = probe.rows(model.base_model)
    texts.append([*texts[0], plain.pad_id, plain.pad_id])
    rows = [PairIds(ids, (len(ids) + 1) // 2, len(ids) // 2) for ids in texts]
    with running(model.config.name_or_path):
        expected = torch.cat([plain([row]) for row in rows])
    head = _Head(model)
    forward = pack(model.base_model, plain.device)
    try:
        with quiet_transformers():  # some heads say that they see no padding: there is none
            packed = PackedClassifier(forward, head, _read_by(head, model), plain.pad_id, typed=plain.typed)
            apart = float((packed(rows) - expected).abs().max())
    except (AttributeError, TypeError, ValueError, RuntimeError) as error:  # a head that wants more of its backbone
        raise NotPackableError(f"the head of {type(model).__name__} cannot be run alone: {error}") from error
    if not apart <= probe.TOLERANCE[model.dtype] * max(1.0, float(expected.abs().max())):
        raise NotPackableError(f"packed logits of {type(model).__name__} differ by {apart:.1e}")
    return packed


def _read_by(head: _Head, model: Any) -> str:
    """Return which token a head reads: the one that alone must be the same for the logits to be.

    Of states that no backbone gave: a trained one's logits of random tokens are all alike.
    """
    generator = torch.Generator().manual_seed(0)
    width = model.config.get_text_config().hidden_size
    one, other = torch.randn(2, 1, 5, width, generator=generator).to(model.device)
    for wanted, index in (("first", 0), ("last", -1)):
        changed = other.clone()
        changed[:, index] = one[:, index]
        if torch.equal(head(_unmasked(one)), head(_unmasked(changed))):
            return wanted
    return "all"


def _unmasked(states: Tensor) -> Hidden:
    return Hidden(states, torch.ones(states.shape[:2], dtype=torch.bool, device=states.device), states)
