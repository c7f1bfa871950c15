"""The plots of ``make bench`` stand at the end of the page about performance, those that it does not place itself."""

from __future__ import annotations

from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent.parent


def add_plots(_app: Sphinx, docname: str, content: list[str]) -> None:
    """Append each plot that the page does not name, with its file's name for words."""
    if docname == "performance":
        plots = [path for path in sorted((DOCS / "benchmarks").glob("*.svg")) if path.name not in content[0]]
        images = [f"![{path.stem.replace('-', ' ')}]({path.relative_to(DOCS).as_posix()})" for path in plots]
        content[0] += "\n\n".join(["\n## Plots", *images]) if images else ""


def setup(app: Sphinx) -> dict[str, bool]:
    """Register it."""
    app.connect("source-read", add_plots)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
