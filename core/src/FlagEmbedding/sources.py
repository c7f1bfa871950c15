"""Where a model's files can be: a local folder or a hub repository, told apart by how they are written."""

from __future__ import annotations

from pathlib import Path


def looks_like_path(text: str) -> bool:
    """Say whether ``text`` can only be a path: hub ids have one slash at most, and start with a letter or digit."""
    return Path(text).is_absolute() or text.startswith(".") or "\\" in text or text.count("/") > 1


def is_folder(text: str) -> bool:
    """Say whether ``text`` is a folder of this machine."""
    return bool(text) and Path(text).is_dir()  # Path("") is the working folder
