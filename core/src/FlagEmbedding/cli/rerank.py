"""``flagembedding rerank``."""

from __future__ import annotations

from typing import Any, TextIO

import click

from FlagEmbedding.cli.inputs import input_options, rows
from FlagEmbedding.inference.auto_reranker import FlagAutoReranker


@click.command("rerank")
@click.argument("model")
@input_options
@click.option("-q", "--query", required=True, help="What the texts are compared with.")
@click.option("-n", "--top", type=click.IntRange(min=1), help="Only so many, the best.")
@click.option("-o", "--output", type=click.File("w", encoding="utf-8"), default="-", help="Default: stdout.")
@click.option("--batch-size", type=click.IntRange(min=1), help="At most so many pairs in one forward.")
@click.option("--max-length", type=click.IntRange(min=1), help="Tokens of a pair that count.")
@click.option("--normalize", is_flag=True, help="Scores between 0 and 1.")
@click.option("--device", help="cpu, cuda, cuda:1, ...")
@click.option("--progress/--no-progress", default=None, help="Default: on a terminal, if it takes long.")
def command(
    model: str,
    text: tuple[str, ...],
    source: TextIO | None,
    kind: str | None,
    column: str,
    query: str,
    top: int | None,
    output: TextIO,
    device: str | None,
    progress: bool | None,
    **options: Any,
) -> None:
    """Sort TEXT, or what --input holds, by relevance to --query with MODEL (a name, a hub id or a local folder).

    Writes a JSON object a text, best first: its row as it was read ({"text": ...} for TEXT and for lines), with
    "index" (its place in what was read, from 0) and "score". A row that has a column of these names is refused.
    """
    found = list(rows(text, source, kind, column, adds=("index", "score")))
    reranker = FlagAutoReranker.from_finetuned(model, devices=device)
    hits = reranker.rank(query, [row.text for row in found], top, show_progress=progress, **options)
    output.writelines(found[hit["index"]].line(index=hit["index"], score=hit["score"]) for hit in hits)
