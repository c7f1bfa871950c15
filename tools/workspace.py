"""What the generators share: the plugins of this workspace alone, and how a file is kept current."""

from __future__ import annotations

import sys
from pathlib import Path

from FlagEmbedding.plugins.manager import PluginManager
from FlagEmbedding.plugins.records import PluginRecord

ROOT = Path(__file__).resolve().parent.parent


def own_plugins() -> list[PluginRecord]:
    """Return the records of this workspace's plugins; a failed one raises."""
    names = ",".join(f"flagembedding-{path.name}" for path in (ROOT / "plugins").iterdir())
    return PluginManager({"FLAGEMBEDDING_PLUGINS": names, "FLAGEMBEDDING_STRICT_PLUGINS": "1"}).records()


def write_or_check(path: Path, text: str) -> int:
    """Write ``text`` to ``path``, or with ``--check`` say whether it stands there; return the exit status."""
    if "--check" not in sys.argv[1:]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return 0
    current = path.is_file() and path.read_text(encoding="utf-8") == text
    if not current:
        print(f"{path.relative_to(ROOT)} is not current. Run: make generate", file=sys.stderr)
    return 0 if current else 1
