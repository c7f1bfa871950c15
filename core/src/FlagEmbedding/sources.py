"""Where a model's files can be: a local folder or a hub repository, told apart by how they are written."""

from __future__ import annotations

from pathlib import Path, PureWindowsPath


def looks_like_path(text: str) -> bool:
    """Say whether ``text`` can only be a path: hub ids have one slash at most, and start with a letter or digit."""
    return Path(text).is_absolute() or text.startswith(".") or "\\" in text or text.count("/") > 1


def is_folder(text: str) -> bool:
    """Say whether ``text`` is a folder of this machine."""
    try:
        return bool(text) and Path(text).is_dir()  # Path("") is the working folder
    except OSError:  # a name that is too long for a folder, or one behind a door that is closed
        return False


def is_file(path: Path) -> bool:
    """Say whether ``path`` is a file to be read: no folder, no pipe, and no name that a file cannot have."""
    try:
        return path.is_file()
    except OSError:
        return False


def leads_out(path: str) -> bool:
    """Say whether a path that a model's files name leads out of the model's folder, on any system."""
    parts = PureWindowsPath(path)  # knows the roots and separators of every system
    return bool(parts.anchor) or ".." in parts.parts or "\0" in path
