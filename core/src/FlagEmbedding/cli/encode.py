"""``flagembedding encode``."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from typing import Any, TextIO

import click

from FlagEmbedding.inference.auto_embedder import FlagAutoModel

# Texts that are encoded and written at a time, so that a long input starts to come out early and memory stays flat.
_BLOCK = 4096


@click.command("encode")
@click.argument("model")
@click.argument("text", nargs=-1)
@click.option("-i", "--input", "source", type=click.File(encoding="utf-8"), help="A text a line; - is stdin.")
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
    model: str, text: tuple[str, ...], source: TextIO | None, output: TextIO, role: str, **options: Any
) -> None:
    """Encode TEXT, or the lines of --input, with MODEL (a name, a hub id or a local folder).

    Writes a JSON object a line, in order: {"text": ..., "embedding": [...]}.
    """
    if bool(text) == (source is not None):
        raise click.UsageError("give either TEXT or --input.")
    encode = _encoder(model, role, options)
    for block in _blocks(source if source is not None else iter(text)):
        rows = ({"text": line, "embedding": row.tolist()} for line, row in zip(block, encode(block), strict=True))
        output.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _encoder(model: str, role: str, options: dict[str, Any]) -> Callable[[list[str]], Any]:
    embedder = FlagAutoModel.from_finetuned(
        model,
        devices=options["device"],
        query_instruction_for_retrieval=options["instruction"],
        truncate_dim=options["truncate_dim"],
    )
    methods: dict[str, Callable[..., Any]] = {
        "query": embedder.encode_queries,
        "passage": embedder.encode_corpus,
        "text": embedder.encode,
    }
    return functools.partial(
        methods[role],
        batch_size=options["batch_size"],
        max_length=options["max_length"],
        show_progress=options["progress"],
    )


def _blocks(lines: Iterator[str]) -> Iterator[list[str]]:
    block: list[str] = []
    for line in lines:
        block.append(line.rstrip("\r\n"))
        if len(block) == _BLOCK:
            yield block
            block = []
    if block:
        yield block
