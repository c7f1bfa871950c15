"""Tables and JSON on stdout."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click


def show_json(rows: Sequence[dict[str, Any]]) -> None:
    """Print ``rows`` as one JSON array."""
    click.echo(json.dumps(rows, ensure_ascii=False, indent=2))


def show_table(rows: Sequence[dict[str, Any]]) -> None:
    """Print ``rows`` in aligned columns, the keys of the first as headings; numbers to the right.

    (rich would draw it, and its import takes longer than the whole listing.)
    """
    if not rows:
        return
    cells = [list(rows[0]), *[["" if value is None else str(value) for value in row.values()] for row in rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [isinstance(value, int) for value in rows[0].values()]
    for line in cells:
        padded = [
            cell.rjust(width) if numeric else cell.ljust(width)
            for cell, width, numeric in zip(line, widths, right, strict=True)
        ]
        click.echo("  ".join(padded).rstrip())
