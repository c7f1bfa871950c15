"""``flagembedding models``."""

from __future__ import annotations

from typing import Any

import click

from FlagEmbedding.cli.table import show_json, show_table
from FlagEmbedding.config import EmbedderConfig
from FlagEmbedding.registry.mapping import EMBEDDERS


@click.command("models")
@click.option("--json", "as_json", is_flag=True, help="Everything that is known of each model, as JSON.")
def command(as_json: bool) -> None:
    """List the models that the installed plugins register."""
    if as_json:
        show_json([_details(name, config) for name, config in EMBEDDERS.items()])
    else:
        show_table([_row(name, config) for name, config in EMBEDDERS.items()])
    _say_what_is_missing()


def _row(name: str, config: EmbedderConfig) -> dict[str, Any]:
    return {
        "name": name,
        "family": EMBEDDERS.owner(name).partition(" ")[0].removeprefix("flagembedding-"),
        "dimension": config.dimension,
        "max length": config.max_length,
        "licence": config.licence,
        "hub id": config.hub_id,
    }


def _details(name: str, config: EmbedderConfig) -> dict[str, Any]:
    known = {**config.as_dict(), "model_class": config.model_class_reference}
    return {"name": name, "registered_by": EMBEDDERS.owner(name), **known}


def _say_what_is_missing() -> None:
    if not EMBEDDERS:
        click.echo("No model is registered. Install a family: pip install 'flagembedding-core[all]'", err=True)
    for name, owners in EMBEDDERS.conflicts().items():
        click.echo(f"{name!r} is left out: claimed by {' and '.join(owners)}.", err=True)
