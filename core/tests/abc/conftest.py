"""Puts ``worker_embedder`` where this process and its workers, which inherit the path, can import it."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
