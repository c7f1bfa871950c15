"""Linears on a CPU: plain ones, and weights prepacked for oneDNN where that is the same and faster."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from statistics import geometric_mean
from typing import Literal, Protocol, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

Activation: TypeAlias = Literal["none", "gelu"]
"""What follows the product; ``gelu`` is the exact one, with erf."""

# oneDNN keeps a kernel for each number of rows, a thousand of them by default; beside all lengths of queries they took
# 270 MB in MiniLM. It reads this when it first makes one; what the program has set counts.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")

_GIVEN_ROWS = (16, 512)  # a query, and a batch: the sizes that a probe tries
_PROBE_FLOPS = 500_000_000  # of one probed product; some milliseconds
_ROUNDS = 5
_TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}
_BATCH = 2048  # rows that the packed form is made for; it does for fewer, a query's too


class Linear(Protocol):
    """``rows [n, in] -> [n, out]`` with all that follows the product in one step."""

    def __call__(self, rows: Tensor, residual: Tensor | None = None) -> Tensor:
        """Return ``activation(rows @ weight.T + bias) + residual``."""


class PlainLinear:
    """What ``torch.nn.functional`` does, on any device.

    Args:
        weight: ``[out, in]``.
        bias: ``[out]``, or None.
        activation: What follows.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, activation: Activation = "none") -> None:
        self.weight = weight
        self.bias = bias
        self._activation = activation

    def __call__(self, rows: Tensor, residual: Tensor | None = None) -> Tensor:
        """Compute it step by step."""
        product = functional.linear(rows, self.weight, self.bias)
        if self._activation == "gelu":
            product = functional.gelu(product)
        return product if residual is None else product.add_(residual)


class PrepackedLinear:
    """oneDNN's: the weight in the kernel's own layout, bias, activation and residual in its epilogue.

    torch has the operators for its own compiler; they are not part of its public interface, so the probe at load
    counts any failure as "not faster".
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, activation: Activation = "none") -> None:
        self._packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), _BATCH)  # noqa: SLF001
        self.bias = bias
        self._activation = activation

    @property
    def weight(self) -> Tensor:
        """The weight as it was, ``[out, in]``; a copy."""
        return self._packed.to_dense()

    def __call__(self, rows: Tensor, residual: Tensor | None = None) -> Tensor:
        """Compute it in one kernel."""
        pointwise = torch.ops.mkldnn._linear_pointwise  # noqa: SLF001
        product: Tensor
        if residual is not None and self._activation == "none":
            product = pointwise.binary(rows, residual, self._packed, self.bias, "add")
            return product
        product = pointwise(rows, self._packed, self.bias, self._activation, [], "none")
        return product if residual is None else product.add_(residual)


_faster: dict[tuple[object, ...], bool] = {}  # what the probe found, by shape; the machine stays the same


def best_linear(weight: Tensor, bias: Tensor | None, activation: Activation = "none") -> Linear:
    """Return the faster of the two on this machine; the plain one wherever oneDNN is not an option or not exact."""
    plain = PlainLinear(weight, bias, activation)
    if weight.device.type != "cpu" or weight.dtype not in _TOLERANCE:
        return plain
    key = (tuple(weight.shape), weight.dtype, bias is None, activation, torch.get_num_threads())
    if not _faster.get(key, True):
        return plain
    try:
        packed = PrepackedLinear(weight, bias, activation)
        if not is_same(packed, plain, weight):
            return plain
        if key not in _faster:
            _faster[key] = _is_faster(packed, plain, weight)
    except (RuntimeError, AttributeError, TypeError):  # no oneDNN, or other operators than these
        _faster[key] = False
    return packed if _faster[key] else plain


@torch.inference_mode()
def is_same(one: Linear, other: Linear, weight: Tensor) -> bool:
    """Whether both give the same for some random rows, measured by the size of the results."""
    rows = _rows(_GIVEN_ROWS[0], weight)
    wanted = other(rows).float()
    return float((one(rows).float() - wanted).abs().max()) <= _TOLERANCE[weight.dtype] * float(wanted.abs().max())


@torch.inference_mode()
def _is_faster(packed: Linear, plain: Linear, weight: Tensor) -> bool:
    ratios = [_ratio(packed, plain, _rows(count, weight)) for count in _sizes(weight)]
    return geometric_mean(ratios) <= 1


def _sizes(weight: Tensor) -> list[int]:
    most = max(1, _PROBE_FLOPS // (2 * weight.numel()))
    return sorted({min(count, most) for count in _GIVEN_ROWS})


def _rows(count: int, weight: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, weight.shape[1], generator=generator).to(weight.dtype)


def _ratio(one: Callable[[Tensor], Tensor], other: Callable[[Tensor], Tensor], rows: Tensor) -> float:
    """Return how long ``one`` takes in units of ``other``: the least of some turns, for a busy machine only adds."""
    turns = [(_seconds(one, rows), _seconds(other, rows)) for _ in range(_ROUNDS)]
    return min(turn[0] for turn in turns) / min(turn[1] for turn in turns)


def _seconds(call: Callable[[Tensor], Tensor], rows: Tensor) -> float:
    start = time.perf_counter()
    call(rows)
    return time.perf_counter() - start
