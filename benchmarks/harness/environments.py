"""One virtual environment a peer: made at first use from ``peers/requirements``, with torch first.

torch comes first and alone because the constraint takes a CPU build where one is provided; asked for by another
package it may bring gigabytes.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = ROOT / "constraints.txt"
REQUIREMENTS = ROOT / "benchmarks/peers/requirements"
REFERENCE = ROOT / "benchmarks/requirements.txt"
WEIGHTS = ROOT / "examples/flagembedding-minilm/weights.txt"

TORCHLESS = frozenset({"fastembed", "onnxruntime"})
DISTRIBUTIONS = ("core", "plugins/*", "examples/flagembedding-minilm")
_SHOWN = 400  # characters of pip's last words


class EnvironmentFailedError(RuntimeError):
    """The virtual environment of a peer cannot be made."""


def python_of(peer: str, given: Mapping[str, Path]) -> Path:
    """Return the interpreter of ``peer``: of the environment that is given, or else of its own, made when needed.

    Raises:
        EnvironmentFailedError: It cannot be made, or what is given is no environment.
    """
    if peer in given:
        python = given[peer] / "bin/python"
        if not python.exists():
            raise EnvironmentFailedError(f"there is no {python}")
        return python
    folder = ROOT / f".venv-bench-{peer}"
    stamp, wanted = folder / ".installed", _fingerprint(peer)
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        print(f"making {folder.name} ...", file=sys.stderr, flush=True)
        _make(peer, folder)
        stamp.write_text(wanted, encoding="utf-8")
    return folder / "bin/python"


def _make(peer: str, folder: Path) -> None:
    if not (folder / "bin/python").exists():
        _run([sys.executable, "-m", "venv", str(folder)])
    for arguments in _steps(peer):
        pip = [str(folder / "bin/python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        _run([*pip, *arguments])


def _steps(peer: str) -> list[list[str]]:
    """Return the arguments of each call of pip."""
    if peer in TORCHLESS:
        return [["-r", str(_file(peer))]]
    constrained = ["-c", str(CONSTRAINTS)]
    torch = [*constrained, "torch"]
    if peer == "ours":
        paths = [str(path) for pattern in DISTRIBUTIONS for path in sorted(ROOT.glob(pattern))]
        editable = [part for path in paths for part in ("-e", path)]
        builders = [*constrained, "hatchling", "editables"]
        return [torch, builders, [*constrained, "--no-build-isolation", *editable]]
    steps = [torch, [*constrained, "-r", str(_file(peer))]]
    weights = [["--no-deps", "--require-hashes", "-r", str(WEIGHTS)]] if peer == "reference" else []
    return steps + weights


def _file(peer: str) -> Path:
    return REFERENCE if peer == "reference" else REQUIREMENTS / f"{peer}.txt"


def _fingerprint(peer: str) -> str:
    """Return what the environment depends on, as one hash."""
    own = [path for pattern in DISTRIBUTIONS for path in sorted(ROOT.glob(f"{pattern}/pyproject.toml"))]
    files = own if peer == "ours" else [_file(peer)]
    shared = [] if peer in TORCHLESS else [CONSTRAINTS]
    return hashlib.sha256(b"".join(path.read_bytes() for path in (*shared, *files))).hexdigest()


def _run(command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        words = (done.stderr or done.stdout).strip()[-_SHOWN:]
        raise EnvironmentFailedError(f"{' '.join(command[:7])} ... failed: {words}")
