"""Memory: what is given back is gone from the process."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from FlagEmbedding.engine.memory import release


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library gives back in its own way")
def test_giving_back_is_seen_by_the_system():
    # Small blocks, every other one freed: no whole part of the heap is left that would go back by itself.
    blocks = [bytearray(40_000) for _ in range(4000)]
    kept = blocks[::2]
    before = resident()
    del blocks
    freed = before - resident()
    release("cpu")
    assert before - resident() > max(60_000_000, freed + 30_000_000)
    assert len(kept) == 2000


def resident() -> int:
    """Return the memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
