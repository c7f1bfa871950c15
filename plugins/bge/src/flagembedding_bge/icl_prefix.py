"""A prefix that all texts of a batch share, run once: later batches read its keys and values."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

from FlagEmbedding.engine.forward import Hidden, PaddedForward, padded

logger = logging.getLogger(__name__)

_KNOWN_ATTENTION = {"full_attention", "sliding_attention"}


class PrefixForward:
    """A causal backbone that computes the beginning its texts share only once.

    In a causal model a token's keys and values depend on the tokens before it alone, so those of a few-shot prefix
    are the same for every query. They are computed at the first batch and never changed. Texts that begin otherwise,
    reach past a sliding window or meet a model that is not causal are run in full: the result is the same.

    Args:
        model: A transformers backbone, on ``device``.
        pad_id: What shorter rows are padded with.
        device: As torch spells it.
        prefix: The ids that texts are expected to begin with; may be longer than what they have in common.
    """

    def __init__(self, model: Any, pad_id: int, device: str, prefix: Sequence[int]) -> None:
        self._model = model
        self._pad_id = pad_id
        self._device = torch.device(device)
        self._prefix = list(prefix) if can_continue(model) else []
        self._window: int | None = getattr(model.config.get_text_config(), "sliding_window", None)
        self._full = PaddedForward(model, pad_id, device)
        self._layers: list[tuple[Tensor, Tensor]] | None = None

    def __call__(self, ids: Sequence[Sequence[int]], /) -> Hidden:
        """Return float32 states of the tokens after the shared ones, so of each row's last token at least."""
        shared = shared_length([self._prefix, *(list(row[:-1]) for row in ids)])
        if not shared or (self._window is not None and max(map(len, ids)) > self._window):
            return self._full(ids)
        if self._layers is None:
            self._layers = self._computed()
        return self._continued([row[shared:] for row in ids], shared, self._layers)

    def _computed(self) -> list[tuple[Tensor, Tensor]]:
        """Return each layer's keys and values of the prefix, ``[1, heads, tokens, width]``."""
        cache: Any = DynamicCache()
        self._model(input_ids=torch.tensor([self._prefix], device=self._device), past_key_values=cache, use_cache=True)
        logger.info("the %d tokens of the few-shot prefix are computed once", len(self._prefix))
        return [(layer.keys, layer.values) for layer in cache.layers]

    def _continued(self, rows: list[Sequence[int]], shared: int, layers: Iterable[tuple[Tensor, Tensor]]) -> Hidden:
        ids, mask = padded(rows, self._pad_id, self._device)
        before = torch.ones(len(rows), shared, dtype=torch.long, device=self._device)
        output = self._model(
            input_ids=ids,
            attention_mask=torch.cat([before, mask.long()], dim=1),
            past_key_values=Cache([_ReadOnlyLayer(keys, values, shared) for keys, values in layers]),
        )
        return Hidden(output.last_hidden_state.float(), mask, ids)


class _ReadOnlyLayer(DynamicLayer):  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    """One layer's keys and values: joined with those of each batch for its attention, and never grown.

    transformers' own layers keep what they join, which would hold the prefix once a text and layer at the same time.
    """

    def __init__(self, keys: Tensor, values: Tensor, length: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # likewise
        self.keys, self.values = keys[:, :, :length], values[:, :, :length]
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        return _joined(self.keys, key_states), _joined(self.values, value_states)


def _joined(prefix: Tensor | None, states: Tensor) -> Tensor:
    assert prefix is not None  # set in the constructor; transformers declares it optional
    return torch.cat([prefix.expand(len(states), -1, -1, -1), states], dim=-2)


def shared_length(rows: Sequence[list[int]]) -> int:
    """Return how many leading ids all ``rows`` have in common."""
    # The least and the greatest row differ where any two first do.
    least, greatest = min(rows), max(rows)
    pairs = enumerate(zip(least, greatest, strict=False))
    return next((index for index, (one, other) in pairs if one != other), min(map(len, rows)))


def can_continue(model: Any) -> bool:
    """Say whether the model is known to give a token the same vector when what precedes it comes as keys and values.

    So for transformers' own decoders whose attention is causal in every layer. Not for Python code of a checkpoint.
    """
    config = model.config.get_text_config()
    directions = [module.is_causal for module in model.modules() if hasattr(module, "is_causal")]
    return (
        type(model).__module__.startswith("transformers.")
        and "past_key_values" in inspect.signature(model.forward).parameters
        and set(getattr(config, "layer_types", None) or _KNOWN_ATTENTION) <= _KNOWN_ATTENTION
        and getattr(config, "is_causal", True) is not False
        and bool(directions)
        and all(directions)
    )
