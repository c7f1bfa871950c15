"""``flagembedding embed``."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from FlagEmbedding.jobs import EmbedJob, Report

_MODEL = ("query_instruction_for_retrieval", "truncate_dim", "use_fp16", "use_bf16", "cache_dir", "engine")
_COUNT = click.IntRange(min=1)


@click.command("embed")
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("-o", "--output", required=True, help="A folder for the shards, or its URL.")
@click.option("--model", required=True, help="A name, a hub id or a local folder.")
@click.option("--format", type=click.Choice(["parquet", "jsonl", "csv", "tsv", "text"]),
              help="Of the input; default: by the files' names.")  # fmt: skip
@click.option("--column", "text_column", default="text", show_default=True, help="Where a row has its text.")
@click.option("--id", "id_column", help="Where a row has its id; default: ids are the numbers of the rows.")
@click.option("--keep", "columns", multiple=True, help="A column that is written too; may be given several times.")
@click.option("--as", "role", type=click.Choice(["passage", "query", "text"]), default="passage", show_default=True,
              help="Which instruction of the model goes before each text; text: none.")  # fmt: skip
@click.option("--instruction", "query_instruction_for_retrieval", help="A query instruction other than the model's.")
@click.option("--give", "outputs", type=click.Choice(["dense", "sparse", "colbert"]), multiple=True,
              help="What the model is to give; may be given several times. Default: dense.")  # fmt: skip
@click.option("--dtype", type=click.Choice(["float32", "float16", "int8"]), default="float32", show_default=True,
              help="Of the vectors; int8 with a scale each.")  # fmt: skip
@click.option("--truncate-dim", type=_COUNT, help="Keep so many leading components.")
@click.option("--max-length", type=_COUNT, help="Tokens of a text that count.")
@click.option("--max-characters", type=_COUNT, help="A longer text is a bad row.")
@click.option("--on-error", type=click.Choice(["stop", "reject"]), default="stop", show_default=True,
              help="What a bad row does: stop the job, or go into a file of rejects with the reason.")  # fmt: skip
@click.option("--shard-size", type=_COUNT, default=16384, show_default=True, help="Rows of the input a file.")
@click.option("--hash-input", is_flag=True, help="Know the input again by its content, not by size and time.")
@click.option("--batch-size", type=_COUNT, help="At most so many texts in one forward.")
@click.option("--devices", help="cpu, cuda, cuda:0,cuda:1, ...; a worker each where there are several.")
@click.option("--fp16/--no-fp16", "use_fp16", default=None, help="Half precision on accelerators; default: yes.")
@click.option("--bf16", "use_bf16", is_flag=True, default=None, help="bfloat16 on every device.")
@click.option("--engine", help="What runs the model in torch's place: onnx, with flagembedding-onnx.")
@click.option("--cache-dir", help="Where the hub's files are kept.")
@click.option("--ray", "on_ray", is_flag=True, help="On Ray: the cluster that there is, else one of this machine.")
@click.option("--workers", type=_COUNT, default=1, show_default=True, help="With --ray: models at work.")
@click.option("--gpus-per-worker", type=click.FloatRange(min=0), default=0.0, show_default=True,
              help="With --ray: a part of a GPU will do.")  # fmt: skip
@click.option("--cpus-per-worker", type=click.FloatRange(min=0), default=1.0, show_default=True, help="With --ray.")
@click.option("--progress/--no-progress", "show_progress", default=None,
              help="Default: on a terminal, if it takes long.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def command(
    inputs: tuple[str, ...],
    output: str,
    model: str,
    devices: str | None,
    outputs: tuple[str, ...],
    on_ray: bool,
    workers: int,
    gpus_per_worker: float,
    cpus_per_worker: float,
    as_json: bool,
    **options: Any,
) -> None:
    """Embed the rows of INPUT (files, folders, globs; paths or URLs) into Parquet files below --output.

    Rows come from Parquet, JSON lines, CSV, TSV or text. What is finished when the job is interrupted stays; the same
    command again goes on after it. Exit status: 0 done (rejects are counted on stderr), 1 failed or interrupted,
    2 wrong usage.
    """
    # Here, so that --help needs none of what a job needs.
    from FlagEmbedding.jobs import EmbedJob, run  # noqa: PLC0415

    job = EmbedJob(
        inputs=inputs,
        output=output,
        model=model,
        model_options={name: value for name in _MODEL if (value := options.pop(name)) is not None},
        devices=None if devices is None else tuple(devices.split(",")),
        outputs=outputs or ("dense",),
        **options,
    )
    done = _on_ray(job, workers, gpus_per_worker, cpus_per_worker) if on_ray else run(job)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(done)))
    click.echo(_said(done), err=True)


def _on_ray(job: EmbedJob, workers: int, gpus: float, cpus: float) -> Report:
    from FlagEmbedding.jobs.ray import run_on_ray  # noqa: PLC0415 - ray is asked for

    return run_on_ray(job, workers=workers, gpus_per_worker=gpus, cpus_per_worker=cpus)


def _said(done: Report) -> str:
    rows = f"{done.embedded} of {done.rows} rows are embedded, in {done.shards} files in {done.output}"
    found = f" ({done.found} of them were there before)" if done.found else ""
    rejects = f" {done.rejected} rows are not: rejects-*.jsonl there say why." if done.rejected else ""
    return f"{rows}{found}. {done.seconds:.1f} s, {done.rate:.0f} texts/s.{rejects}"
