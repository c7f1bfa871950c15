"""Loading: the fastest way to run a model packed that gives what the model itself gives."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from FlagEmbedding.engine.packed import probe
from FlagEmbedding.engine.packed.attention import NotPackableError
from FlagEmbedding.engine.packed.bare import BareEncoder
from FlagEmbedding.engine.packed.encoder import LeanEncoder
from FlagEmbedding.engine.packed.forward import Body, PackedForward, Positions

logger = logging.getLogger(__name__)

_SHORT, _MIDDLE = 64, 512


def pack(model: Any, device: str = "cpu") -> PackedForward:
    """Return a packed forward of ``model``, which belongs to it from now on.

    It has been compared with the model itself, one text at a time, on random tokens. ``str()`` of its body says what
    runs. Let go of the model: what its linears became need not exist twice.

    Args:
        model: A loaded transformers backbone in evaluation mode, on ``device``, not yet run by anything else.
        device: As torch spells it.

    Raises:
        NotPackableError: The model cannot run packed, and why; it is as it was.
    """
    positions = Positions(model)
    if isinstance(model, BareEncoder):  # there is nothing that it could be compared with
        return _forward(LeanEncoder(model), positions, device)
    wanted = probe.one_at_a_time(model, probe.rows(model))
    try:
        return probe.check(lambda: _forward(LeanEncoder(model), positions, device), model, wanted)
    except NotPackableError as error:  # most models are no such stack
        logger.debug("%s is not run as a lean encoder: %s", type(model).__name__, error)
    return _stock(model, positions, device, wanted)


def _stock(model: Any, positions: Positions, device: str, wanted: Sequence[Tensor]) -> PackedForward:
    # Here, because it brings transformers' modelling code with it.
    from FlagEmbedding.engine.packed.stock import StockBody, restore  # noqa: PLC0415

    before = model.config._attn_implementation  # noqa: SLF001 -- it has no public name
    try:
        forward = probe.check(lambda: _forward(StockBody(model), positions, device), model, wanted)
    except NotPackableError:
        restore(model, before)
        raise
    forward.shares = positions.padding is None and probe.goes_on_from_a_prefix(forward, model)
    return forward


def _forward(body: Body, positions: Positions, device: str) -> PackedForward:
    return PackedForward(body, positions, device, _step(body))


def _step(body: Body) -> Callable[[int], int]:
    """Return how the number of tokens is rounded up.

    oneDNN prepares a kernel for each number of rows, and keeps a thousand of them: 0.5 ms each in float32, 20 ms for
    many rows in bfloat16 with AMX (measured with 384 x 1536), and some hundred kB. Texts of every length would fill
    half a gigabyte with them. So large forwards come in a few sizes, at 2 % more rows on average. The few lengths of
    queries are soon all known, and 16 rows instead of 12 take a tenth longer each time.
    """
    if not body.uses_onednn:
        return lambda _: 1
    most = 32 if body.dtype == torch.float32 else 64
    return lambda tokens: 1 if tokens <= _SHORT else 16 if tokens <= _MIDDLE else most
