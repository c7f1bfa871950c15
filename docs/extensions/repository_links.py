"""Links between files of the repository, as they are read there, lead to pages of the site here.

``../plugins/onnx/README.md`` becomes the page that includes that file. A file that no page includes is named, not
linked.
"""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent.parent
ROOT = DOCS.parent
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!https?:|#)([^)#\s]+)(#[^)]*)?\)")
_INCLUDE = re.compile(r"(?m)^```\{include\} (\S+)$")


@cache
def pages() -> dict[Path, Path]:
    """Return the page of each file of the repository that has one: itself, or the one that includes it first."""
    found = {page.resolve(): page.resolve() for page in sorted(DOCS.rglob("*.md")) if "_build" not in page.parts}
    for page in list(found):
        for included in _INCLUDE.findall(page.read_text(encoding="utf-8")):
            found.setdefault((page.parent / included).resolve(), page)
    return found


def rewritten(text: str, read_in: Path, shown_in: Path) -> str:
    """Return Markdown whose links are written for a file of ``read_in`` with links for a page of ``shown_in``."""

    def link(match: re.Match[str]) -> str:
        words, target, anchor = match.groups()
        file = (read_in / target).resolve()
        page = pages().get(file / "README.md", pages().get(file))
        if page is None:
            return words if file.is_relative_to(ROOT) and file.exists() and not file.is_relative_to(DOCS) else match[0]
        return f"[{words}]({Path(os.path.relpath(page, shown_in)).as_posix()}{anchor or ''})"

    return _LINK.sub(link, text)


def on_page(_app: Sphinx, docname: str, content: list[str]) -> None:
    """Rewrite a page."""
    folder = (DOCS / docname).parent
    content[0] = rewritten(content[0], folder, folder)


def on_include(app: Sphinx, path: Path, _stem: str, content: list[str]) -> None:
    """Rewrite what a page includes."""
    # MyST hands over the page's name without its folder.
    content[0] = rewritten(content[0], (DOCS / path).resolve().parent, (DOCS / app.env.docname).parent)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register both."""
    app.connect("source-read", on_page)
    app.connect("include-read", on_include)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
