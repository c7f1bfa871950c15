"""Memory: how running out of it shows on each kind of device, and giving back what is held unused."""

from __future__ import annotations

import ctypes
import functools
import sys
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
    """Give what the allocator of ``device`` holds unused back to the device, or to the system."""
    kind = torch.device(device).type
    if kind == "cpu":
        _trim()
    backend: Any = getattr(torch, kind, None)
    if hasattr(backend, "empty_cache"):
        backend.empty_cache()


def _trim() -> None:
    """Give free parts of the heap back: glibc keeps what lies between parts in use, a third of it after many calls."""
    if (trim := _malloc_trim()) is not None:
        trim(0)


@functools.cache
def _malloc_trim() -> Any:
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
