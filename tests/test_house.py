"""The rules of the house that no linter knows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "core/src/FlagEmbedding"
FAMILIES = ("bce", "bge", "e5", "gte", "jina", "linq", "qwen3", "sfr")
DISTRIBUTIONS = [ROOT / "core", *sorted((ROOT / "plugins").iterdir()), ROOT / "examples/flagembedding-minilm"]


def test_the_core_names_no_family() -> None:
    pattern = re.compile(rf"(?<![a-z])({'|'.join(FAMILIES)})(?![a-z])", re.IGNORECASE)
    named = [
        f"{path.relative_to(CORE)}:{number}: {line.strip()}"
        for path in sorted(CORE.rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        # detection knows architectures, and the documentation gives examples
        if pattern.search(line) and not re.search(r"``|:\w+:|#|\"\"\"|is_causal|bidirectional|\(E5", line)
    ]
    assert named == []


@pytest.mark.parametrize("generator", ["generate_hints.py", "generate_models_page.py"])
def test_generated_files_are_current(generator: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / generator, "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("folder", DISTRIBUTIONS, ids=lambda folder: folder.name)
def test_every_distribution_is_complete(folder: Path) -> None:
    wanted = {"pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "src", "tests"}
    assert wanted - {path.name for path in folder.iterdir()} == set()
    assert len(list(folder.glob("src/*/py.typed"))) == 1
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()  # a copy: a link breaks its sdist


def test_the_library_prints_nothing_and_never_ends_the_process() -> None:
    pattern = re.compile(r"\b(print|sys\.exit|exit|quit)\(")
    named = [
        f"{path.relative_to(CORE)}: {line.strip()}"
        for path in sorted(CORE.rglob("*.py"))
        if path.parent.name != "cli"
        for line in path.read_text(encoding="utf-8").splitlines()
        if pattern.search(line)
    ]
    assert named == []
