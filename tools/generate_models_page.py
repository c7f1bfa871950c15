"""Write docs/reference/models.md: every model of this workspace's plugins, and what its entry says.

python tools/generate_models_page.py           # rewrite the page
python tools/generate_models_page.py --check   # fail if it is not current
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from workspace import ROOT, own_plugins, write_or_check

from FlagEmbedding.config import EmbedderConfig, RerankerConfig
from FlagEmbedding.plugins.records import PluginRecord

HEAD = """# Models

Generated from the plugins by `make generate`. *Tokens* is the length that the model card uses, special tokens included.
A query instruction in brackets is optional on the card and off by default. Sources and licences are those that the
catalogues state; read the model's own licence before you rely on one.
"""

COLUMNS = ("model", "dimension", "tokens", "pooling", "before a query", "before a passage", "licence", "source")
RERANKER_COLUMNS = ("reranker", "tokens", "class", "licence", "source")


def section(record: PluginRecord) -> str:
    """Return one family as a heading and its tables."""
    tables = record.contribution
    parts = [f"## {record.name}", f"`pip install {record.distribution}`"]
    if tables.embedders:
        parts.append(table(COLUMNS, map(row, tables.embedders.values())))
    if tables.rerankers:
        parts.append(table(RERANKER_COLUMNS, map(reranker_row, tables.rerankers.values())))
    return "\n\n".join(parts)


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table."""
    columns = list(columns)
    return "\n".join([line(columns), line(["---"] * len(columns)), *map(line, rows)])


def reranker_row(config: RerankerConfig) -> list[str]:
    """Return one reranker's cells."""
    name = config.model_class_reference.partition(":")[2]
    how = "cannot be run: loading it says why" if config.unsupported else f"`{name}`"
    return [f"`{config.hub_id}`", str(config.max_length), how, config.licence or "", config.source or ""]


def row(config: EmbedderConfig) -> list[str]:
    """Return one model's cells."""
    query = instruction(config.query_instruction_format, config.query_instruction)
    passage = instruction(config.passage_instruction_format, config.passage_instruction)
    dims = f" ({', '.join(map(str, config.matryoshka_dims))})" if config.matryoshka_dims else ""
    return [
        f"`{config.hub_id}`",
        f"{config.dimension}{dims}",
        str(config.max_length),
        str(config.pooling_method),
        query if config.query_instruction_required or not query else f"[{query}]",
        passage,
        config.licence or "",
        config.source or "",
    ]


def instruction(template: str, text: str | None) -> str:
    """Return what stands before a text, as code."""
    return "`" + template.format(text, "").replace("\n", "\\n") + "`" if text else ""


def line(cells: Iterable[str]) -> str:
    """Return one line of a table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    FAMILIES = [each for each in own_plugins() if each.contribution.embedders or each.contribution.rerankers]
    PAGE = "\n\n".join([HEAD.strip(), *map(section, FAMILIES)]) + "\n"
    sys.exit(write_or_check(ROOT / "docs/reference/models.md", PAGE))
