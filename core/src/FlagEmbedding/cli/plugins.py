"""``flagembedding plugins``."""

from __future__ import annotations

from typing import Any

import click

from FlagEmbedding.cli.table import show_json, show_table
from FlagEmbedding.plugins.manager import plugin_manager
from FlagEmbedding.plugins.records import PluginRecord


@click.command("plugins")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(as_json: bool) -> None:
    """List the plugins: active, disabled and failed, with the reason."""
    rows = [_row(record) for record in plugin_manager().records()]
    if as_json:
        show_json(rows)
    elif rows:
        show_table(rows)
    else:
        click.echo("No plugin is installed. Install a family: pip install 'flagembedding-core[all]'", err=True)


def _row(record: PluginRecord) -> dict[str, Any]:
    return {
        "plugin": record.name,
        "status": record.status.value,
        "distribution": record.distribution,
        "version": record.version,
        "embedders": len(record.contribution.embedders),
        "rerankers": len(record.contribution.rerankers),
        "reason": record.reason,
    }
