"""The texts: Cranfield abstracts where they are, else the docstrings of Python's standard library."""

from __future__ import annotations

import ast
import itertools
import json
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.environments import ROOT

CRANFIELD = ROOT.parent / "shared/data/cranfield"
RERANK_QUERY = "what similarity laws must be obeyed when constructing aeroelastic models of heated high speed aircraft"

_LEAST = 200  # characters of a docstring that is long enough to stand for an abstract
_DOCSTRINGS = 2000
_QUERY_WORDS = 12  # at most: some 12 to 16 tokens
_PASSAGE_WORDS = 95  # some 130 tokens
_SHORT_WORDS = 12


@dataclass(frozen=True)
class Texts:
    """Files of texts, each a JSON list, which the commands to the peers name."""

    source: str
    corpus: Path
    queries: Path
    passages: Path
    short: Path

    def of(self, kind: str) -> Path:
        """Return the file that a case of ``kind`` reads."""
        files = {"corpus": self.corpus, "rerank": self.passages, "memory": self.short}
        return files.get(kind, self.queries)

    def count(self, kind: str) -> int:
        """Return how many texts it holds."""
        return len(json.loads(self.of(kind).read_text(encoding="utf-8")))


def prepare(folder: Path, short: int) -> Texts:
    """Write the files, with ``short`` short texts for the measurement of memory."""
    source, corpus, queries = _cranfield() if CRANFIELD.is_dir() else _docstrings()
    passages = [" ".join(text.split()[:_PASSAGE_WORDS]) for text in corpus if len(text.split()) >= _PASSAGE_WORDS]
    brief = sorted({query for query in queries if len(query.split()) <= _QUERY_WORDS})
    folder.mkdir(parents=True, exist_ok=True)
    return Texts(
        source,
        _written(folder / "corpus.json", corpus),
        _written(folder / "queries.json", brief),
        _written(folder / "passages.json", passages),
        _written(folder / "short.json", itertools.islice(_windows(corpus), short)),
    )


def _cranfield() -> tuple[str, list[str], list[str]]:
    def read(name: str) -> list[str]:
        lines = (CRANFIELD / name).read_text(encoding="utf-8").splitlines()
        found = (json.loads(line)["text"].strip() for line in lines)
        return list(dict.fromkeys(text for text in found if text))

    return "Cranfield abstracts", read("corpus.jsonl"), read("queries.jsonl")


def _docstrings() -> tuple[str, list[str], list[str]]:
    found = list(dict.fromkeys(itertools.islice(_walk(Path(sysconfig.get_path("stdlib"))), _DOCSTRINGS)))
    return "docstrings of the standard library", found, [text.splitlines()[0] for text in found]


def _walk(library: Path) -> Iterator[str]:
    for path in sorted(library.rglob("*.py")):
        if not {"test", "tests", "site-packages"}.intersection(path.parts):
            tree = ast.parse(path.read_text(encoding="utf-8", errors="replace"))
            documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
            nodes = (node for node in ast.walk(tree) if isinstance(node, documented))
            yield from (text for node in nodes if (text := ast.get_docstring(node)) and len(text) >= _LEAST)


def _windows(corpus: list[str]) -> Iterator[str]:
    """Yield distinct runs of words: short texts in any number that these corpora can give."""
    seen = set()
    for start in range(_SHORT_WORDS):
        for text in corpus:
            words = text.split()
            for first in range(start, len(words) - _SHORT_WORDS, _SHORT_WORDS):
                window = " ".join(words[first : first + _SHORT_WORDS])
                if window not in seen:
                    seen.add(window)
                    yield window


def _written(path: Path, texts: Iterable[str]) -> Path:
    path.write_text(json.dumps(list(texts)), encoding="utf-8")
    return path
