"""Precision: the number format in which a model computes, chosen once the device is known."""

from __future__ import annotations

import torch


def compute_dtype(device: str, use_fp16: bool, use_bf16: bool) -> torch.dtype:
    """Return the dtype for ``device``.

    Half precision on accelerators when asked for. On a CPU it is float32: fp16 is two orders slower there, and weights
    that went through it are no longer the checkpoint's. ``use_bf16`` counts on every device.
    """
    if use_bf16:
        return torch.bfloat16
    return torch.float16 if use_fp16 and device != "cpu" else torch.float32
