"""Modules that take the place of others in a loaded model, so that transformers' own code runs on them."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

from FlagEmbedding.engine.packed.linears import Linear, PrepackedLinear, best_linear


class LinearModule(nn.Module):
    """A linear in the form of a module.

    It holds no parameter, so it neither moves to another device nor shows in a state dict; see :func:`unpack_linears`.
    """

    def __init__(self, linear: Linear) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, rows: Tensor) -> Tensor:
        """Return ``[..., out]`` of ``[..., in]``."""
        product = self.linear(rows.reshape(-1, rows.shape[-1]).contiguous())
        return product.view(*rows.shape[:-1], -1)


def pack_linears(model: nn.Module) -> int:
    """Put prepacked linears where they are faster, each original freed before the next; return how many.

    The weights exist once, in the packed form. Until :func:`unpack_linears` the model stays on its CPU, and cannot be
    saved, copied or trained.
    """
    packed = 0
    for parent, name, linear in _linears(model, nn.Linear):
        bias = linear.bias.detach() if linear.bias is not None else None
        best = best_linear(linear.weight.detach(), bias)
        if isinstance(best, PrepackedLinear):
            setattr(parent, name, LinearModule(best))
            packed += 1
    return packed


def unpack_linears(model: nn.Module) -> None:
    """Undo :func:`pack_linears`: the weights become what they were, bit for bit."""
    for parent, name, module in _linears(model, LinearModule):
        setattr(parent, name, _plain(module.linear))


def _plain(linear: PrepackedLinear) -> nn.Linear:
    weight = linear.weight
    plain = nn.Linear(weight.shape[1], weight.shape[0], bias=linear.bias is not None, device="meta")
    plain.weight = nn.Parameter(weight, requires_grad=False)
    if linear.bias is not None:
        plain.bias = nn.Parameter(linear.bias, requires_grad=False)
    return plain.eval()


def _linears(model: nn.Module, kind: type[nn.Module]) -> list[tuple[nn.Module, str, Any]]:
    """Return the model's modules of exactly this kind, each with its parent and its name there."""
    return [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if type(child) is kind
    ]


_needed: ContextVar[Tensor | None] = ContextVar("needed rows", default=None)


class needed_rows:  # noqa: N801 -- read as a verb: with needed_rows(...)
    """Within it, :class:`SomeRows` computes these rows of ``[tokens, width]`` alone; in this thread alone."""

    def __init__(self, rows: Tensor | None) -> None:
        self._rows = rows

    def __enter__(self) -> None:
        self._token = _needed.set(self._rows)

    def __exit__(self, *_: object) -> None:
        _needed.reset(self._token)


class SomeRows(nn.Module):
    """A module that works row by row, computed for the needed ones; the others are zero, and nobody reads them."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, states: Tensor) -> Tensor:
        """Return ``[1, tokens, width]`` of such."""
        rows = _needed.get()
        if rows is None:
            result: Tensor = self.module(states)
            return result
        result = torch.zeros_like(states)
        result[:, rows] = self.module(states[:, rows])
        return result


def wrap_last_mlp(model: Any) -> None:
    """Let the last layer's feed-forward part, most of a layer's work, compute the needed rows, where there is one."""
    layers = getattr(model, "layers", None) or [None]
    mlp = getattr(layers[-1], "mlp", None)
    if isinstance(mlp, nn.Module) and not isinstance(mlp, SomeRows):
        layers[-1].mlp = SomeRows(mlp)


def unwrap_last_mlp(model: Any) -> None:
    """Undo :func:`wrap_last_mlp`."""
    layers = getattr(model, "layers", None)
    if layers and isinstance(getattr(layers[-1], "mlp", None), SomeRows):
        layers[-1].mlp = layers[-1].mlp.module
