"""Search the docstrings of Python's own standard library: the main job, end to end, with a real model and no network.

python examples/stdlib_search.py                                   # three questions
python examples/stdlib_search.py "how do I parse command line options?"
"""

from __future__ import annotations

import ast
import inspect
import itertools
import sys
import sysconfig
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from rich.console import Console
from rich.table import Table

from FlagEmbedding import FlagAutoModel

MODEL = "all-MiniLM-L6-v2"
QUESTIONS = (
    "How do I start another program and capture its output?",
    "break a long paragraph into lines of a given width",
    "make several threads wait for each other",
)
HITS = 5
SHOWN = 160  # characters of a hit's documentation
LIMIT = 4000  # passages; a minute's work on two cores
LEAST = 60  # characters: shorter docstrings say too little to be found by
SKIPPED = {"test", "tests", "idlelib", "lib2to3", "site-packages", "dist-packages", "__pycache__", "pydoc_data"}


Documented: TypeAlias = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Passage:
    """A docstring, and the dotted name of what it documents."""

    name: str
    docstring: str

    @property
    def text(self) -> str:
        """What is encoded: a name such as ``subprocess.run`` says as much as its documentation."""
        return f"{self.name}: {self.docstring}"


def passages(library: Path) -> Iterator[Passage]:
    """Yield the docstrings of all public modules, classes and functions below ``library``. Nothing is imported."""
    for path in sorted(library.rglob("*.py")):
        parts = path.relative_to(library).with_suffix("").parts
        if not SKIPPED.intersection(parts) and not any(part.startswith("_") for part in parts):
            tree = ast.parse(path.read_text(encoding="utf-8", errors="replace"))
            yield from docstrings(tree, ".".join(parts))


def docstrings(node: Documented, name: str) -> Iterator[Passage]:
    """Yield the docstring of ``node``, then those of its public parts."""
    text = ast.get_docstring(node)
    if text and len(text) >= LEAST:
        yield Passage(name, inspect.cleandoc(text))
    for child in node.body:
        if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and not child.name.startswith("_"):
            yield from docstrings(child, f"{name}.{child.name}")


def answer(question: str, scores: np.ndarray, found: list[Passage]) -> Table:
    """Return the best passages for ``question`` as a table."""
    table = Table(title=question, title_justify="left", title_style="bold", expand=True)
    table.add_column("score", justify="right")
    table.add_column("name", style="cyan", overflow="fold", ratio=2)
    table.add_column("documentation", ratio=3)
    for position in np.argsort(-scores)[:HITS]:
        text = textwrap.shorten(found[position].docstring, SHOWN, placeholder=" ...")
        table.add_row(f"{scores[position]:.3f}", found[position].name, text)
    return table


def main() -> None:
    """Encode the passages, then answer the questions of the command line, or three of our own."""
    # Not narrower than a table of names and texts needs, where there is no terminal to ask.
    console = Console(width=None if sys.stdout.isatty() else 120)
    model = FlagAutoModel.from_finetuned(MODEL, devices="cpu")
    found = list(itertools.islice(passages(Path(sysconfig.get_path("stdlib"))), LIMIT))
    console.print(f"Encoding {len(found)} docstrings of the Python {sys.version.split()[0]} library with {MODEL} ...")
    start = time.perf_counter()
    corpus = model.encode_corpus([passage.text for passage in found], show_progress=True)
    seconds = time.perf_counter() - start
    console.print(f"{len(found)} texts in {seconds:.1f} s: {len(found) / seconds:.0f} texts/s\n")
    for question in [question for question in sys.argv[1:] if question.strip()] or QUESTIONS:
        console.print(answer(question, corpus @ model.encode_queries(question), found), "")


if __name__ == "__main__":
    main()
