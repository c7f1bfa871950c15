"""Look through docs/_build/html for what must not be there: paths of this machine, and what is fetched when it is read.

python tools/check_site.py
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from workspace import ROOT

SITE = ROOT / "docs/_build/html"
FETCHED = re.compile(r"<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)=[\"'](?:https?:)?//[^\"']+")
KEPT = {"canonical", "license"}  # links that a browser does not fetch


def faults() -> Iterator[str]:
    """Yield each fault in words."""
    if not (SITE / "index.html").is_file():
        yield f"{SITE.relative_to(ROOT)} holds no site; run: make docs"
    machine = {str(ROOT), str(Path.home()), sys.prefix} - {"/"}
    for page in sorted(path for path in SITE.rglob("*") if path.suffix in {".html", ".js", ".txt", ".md"}):
        text = page.read_text(encoding="utf-8", errors="replace")
        yield from (f"{page.relative_to(SITE)} has the path {path}" for path in machine if path in text)
        for tag in FETCHED.findall(text) if page.suffix == ".html" else []:
            if not any(f'rel="{kind}"' in tag for kind in KEPT):
                yield f"{page.relative_to(SITE)} fetches: {tag}"


if __name__ == "__main__":
    FOUND = list(faults())
    print("\n".join(FOUND), file=sys.stderr, end="\n" if FOUND else "")
    sys.exit(bool(FOUND))
