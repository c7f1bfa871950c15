"""Options that the help of a command names (``--output``) are set as code, so that no dash is made of them."""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

_OPTION = re.compile(r"(?<![\w`-])--[a-z][a-z-]*")


def as_code(_app: Sphinx, _context: Any, lines: list[str]) -> None:
    """Mark the options in a text of some lines."""
    lines[:] = [_OPTION.sub(lambda option: f"``{option[0]}``", line) for line in lines]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register it for what sphinx-click shows of a command."""
    app.connect("sphinx-click-process-description", as_code)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
