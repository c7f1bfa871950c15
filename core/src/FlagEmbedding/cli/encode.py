"""``flagembedding encode``."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TextIO

import click

from FlagEmbedding.cli.inputs import Row, input_options, rows
from FlagEmbedding.inference.auto_embedder import FlagAutoModel

# Texts that are encoded and written at a time, so that a long input starts to come out early and memory stays flat.
_BLOCK = 4096
# The same where there are several devices: the others are started for what takes long within one call.
_BLOCK_OF_SEVERAL = 65536


@click.command("encode")
@click.argument("model")
@input_options
@click.option("-o", "--output", type=click.File("w", encoding="utf-8"), default="-", help="Default: stdout.")
@click.option("--as", "role", type=click.Choice(["query", "passage", "text"]), default="text", show_default=True,
              help="Which instruction of the model goes before each text; text: none.")  # fmt: skip
@click.option("--instruction", help="A query instruction other than the model's own.")
@click.option("--batch-size", type=click.IntRange(min=1), help="At most so many texts in one forward.")
@click.option("--max-length", type=click.IntRange(min=1), help="Tokens of a text that count.")
@click.option("--truncate-dim", type=click.IntRange(min=1), help="Keep so many leading components.")
@click.option("--device", help="cpu, cuda, cuda:1, ...")
@click.option("--progress/--no-progress", default=None, help="Default: on a terminal, if it takes long.")
def command(
    model: str,
    text: tuple[str, ...],
    source: TextIO | None,
    kind: str | None,
    column: str,
    output: TextIO,
    role: str,
    **options: Any,
) -> None:
    """Encode TEXT, or what --input holds, with MODEL (a name, a hub id or a local folder).

    Writes a JSON object a text, in order: its row as it was read ({"text": ...} for TEXT and for lines), with
    "embedding". A row that has a column of this name is refused.
    """
    found = rows(text, source, kind, column, adds=("embedding",))
    embedder = FlagAutoModel.from_finetuned(
        model,
        devices=options["device"],
        query_instruction_for_retrieval=options["instruction"],
        truncate_dim=options["truncate_dim"],
    )
    encode = _encoder(embedder, role, options)
    for block in _blocks(found, _BLOCK_OF_SEVERAL if len(embedder.target_devices) > 1 else _BLOCK):
        vectors = _dense(encode([row.text for row in block]))
        output.writelines(row.line(embedding=vector.tolist()) for row, vector in zip(block, vectors, strict=True))


def _encoder(embedder: Any, role: str, options: dict[str, Any]) -> Callable[[list[str]], Any]:
    methods: dict[str, Callable[..., Any]] = {
        "query": embedder.encode_queries,
        "passage": embedder.encode_corpus,
        "text": embedder.encode,
    }
    # A class that knows no bars is told of none.
    shown = {} if options["progress"] is None else {"show_progress": options["progress"]}
    return functools.partial(methods[role], batch_size=options["batch_size"], max_length=options["max_length"], **shown)


def _dense(vectors: Any) -> Any:
    """Return the dense ones of a model that gives several kinds."""
    return vectors["dense_vecs"] if isinstance(vectors, Mapping) else vectors


def _blocks(found: Iterator[Row], size: int) -> Iterator[list[Row]]:
    while block := list(itertools.islice(found, size)):
        yield block
