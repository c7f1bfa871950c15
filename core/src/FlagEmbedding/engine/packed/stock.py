"""A transformers model as it is, run packed."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor

from FlagEmbedding.engine.packed import interface
from FlagEmbedding.engine.packed.attention import NotPackableError
from FlagEmbedding.engine.packed.layout import Layout, Wanted
from FlagEmbedding.engine.packed.modules import (
    needed_rows,
    pack_linears,
    unpack_linears,
    unwrap_last_mlp,
    wrap_last_mlp,
)
from FlagEmbedding.engine.rotary import changes_with_length


class StockBody:
    """A transformers model as it is, with the packed attention in it.

    Args:
        model: A backbone in evaluation mode. Its ``attn_implementation`` changes, so nothing else may run it after.

    Raises:
        NotPackableError: Its attention does not go through transformers' interface.
    """

    def __init__(self, model: Any) -> None:
        if not getattr(model, "_supports_attention_backend", False):
            raise NotPackableError(f"the attention of {type(model).__name__} is outside transformers' interface")
        if changes_with_length(model.config):
            raise NotPackableError("its rotary positions change with the longest text")
        interface.register()
        model.set_attn_implementation(interface.NAME)
        self._model = model
        wrap_last_mlp(model)
        self._packed = pack_linears(model) if model.device.type == "cpu" else 0
        self.dtype: torch.dtype = next(model.parameters()).dtype
        # torch's own linears of half precision are oneDNN's too.
        self.uses_onednn = model.device.type == "cpu" and (self._packed > 0 or self.dtype != torch.float32)
        accepted = inspect.signature(model.forward).parameters
        # No cache of keys and values: nothing is generated.
        self._options = {"use_cache": False} if "use_cache" in accepted else {}
        self._has_types = "token_type_ids" in accepted

    def __str__(self) -> str:
        linears = f", {self._packed} prepacked linears" if self._packed else ""
        return f"transformers' {type(self._model).__name__} with packed attention{linears}"

    def __call__(
        self, ids: Tensor, positions: Tensor, types: Tensor | None, layout: Layout, wanted: Wanted = "all"
    ) -> Tensor:
        """Return the last hidden state."""
        typed = {"token_type_ids": types.unsqueeze(0)} if types is not None and self._has_types else {}
        # The mask of ones keeps decoders from looking for packed texts themselves, which costs a synchronisation.
        mask = torch.ones(1, len(ids), dtype=torch.bool, device=ids.device)
        inputs = {"input_ids": ids.unsqueeze(0), "position_ids": positions.unsqueeze(0), "attention_mask": mask}
        layouts = {interface.LAYOUT: layout}
        rows = layout.rows(wanted)
        with needed_rows(rows):
            output = self._model(**inputs, **typed, **self._options, **layouts)
        states: Tensor = output.last_hidden_state[0]
        return states if rows is None else states[rows]


def restore(model: Any, implementation: str) -> None:
    """Make a model what it was before :class:`StockBody` took it, with its former ``attn_implementation``."""
    if model.config._attn_implementation == interface.NAME:  # noqa: SLF001 -- it has no public name
        model.set_attn_implementation(implementation)
    unwrap_last_mlp(model)
    unpack_linears(model)
