"""Running out of memory: how it shows on each kind of device, and making room before another attempt."""

from __future__ import annotations

from typing import Any

import torch

# What torch says where it has no type of its own for it: the CPU's allocator, and backends that raise RuntimeError.
_WORDS = ("DefaultCPUAllocator", "out of memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether ``error`` means that a smaller batch may succeed."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)


def release(device: str) -> None:
    """Give what the allocator of ``device`` holds unused back to the device."""
    backend: Any = getattr(torch, torch.device(device).type, None)
    if hasattr(backend, "empty_cache"):
        backend.empty_cache()
