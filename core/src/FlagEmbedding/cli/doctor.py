"""``flagembedding doctor``."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import urllib.request
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.client import HTTPException
from urllib.error import HTTPError

import click

from FlagEmbedding.cli.table import show_json, show_table
from FlagEmbedding.plugins.manager import plugin_manager
from FlagEmbedding.plugins.records import Status

_PACKAGES = ("flagembedding-core", "torch", "transformers", "tokenizers", "safetensors", "huggingface-hub", "numpy")
_PATIENCE_S = 5.0

Finding = tuple[bool, str, str]  # whether it is well, what was looked at, what was found


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--offline", is_flag=True, help="Do not ask the hub.")
def command(as_json: bool, offline: bool) -> None:
    """Look for what keeps models from loading: versions, devices, plugins, clashes, the hub. Exit status 1 if found."""
    looked_at = {what: check for what, check in _CHECKS.items() if not (offline and check is _hub)}
    findings = [finding for what, check in looked_at.items() for finding in _findings(what, check)]
    rows = [{"": "ok" if well else "PROBLEM", "what": what, "found": found} for well, what, found in findings]
    if as_json:
        show_json([{"ok": well, "what": what, "found": found} for well, what, found in findings])
    else:
        show_table(rows)
    if not all(well for well, _, _ in findings):
        raise click.exceptions.Exit(1)


def _findings(what: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield what a check finds; that it fails itself is a finding too, and the others are made all the same."""
    try:
        yield from check()
    except Exception as error:  # noqa: BLE001 - a broken torch raises what it likes, and this is asked because of it
        yield False, what, f"cannot be looked at: {type(error).__name__}: {error}"


def _versions() -> Iterator[Finding]:
    yield True, "python", f"{platform.python_version()} on {platform.platform()}"
    for package in _PACKAGES:
        try:
            yield True, package, importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            yield False, package, "not installed"


def _owners() -> Iterator[Finding]:
    """Say when two distributions own the import package: whichever was installed last has overwritten the other."""
    try:
        other = importlib.metadata.version("FlagEmbedding")
    except importlib.metadata.PackageNotFoundError:
        yield True, "import FlagEmbedding", "flagembedding-core alone"
    else:
        clash = f"flagembedding-core and FlagEmbedding {other} overwrite each other's files"
        yield False, "import FlagEmbedding", f"{clash}: pip uninstall both, then install flagembedding-core again"


def _plugins() -> Iterator[Finding]:
    for record in plugin_manager().records():
        found = f"{record.status.value}, {record.owner}{record.reason and ': '}{record.reason}"
        yield record.status is not Status.FAILED, f"plugin {record.name}", found


def _devices() -> Iterator[Finding]:
    from FlagEmbedding.engine.devices import target_devices  # noqa: PLC0415 - torch, which may be what is broken

    yield True, "devices", ", ".join(target_devices(None))


def _hub() -> Iterator[Finding]:
    from huggingface_hub import constants  # noqa: PLC0415 - asked for the hub only

    yield True, "hub cache", os.fspath(constants.HF_HUB_CACHE)
    if constants.HF_HUB_OFFLINE:
        yield True, "hub", "not asked: HF_HUB_OFFLINE is set; models come from the cache and from folders"
        return
    try:
        yield _answer(constants.ENDPOINT)
    # ValueError: no address of the web, HTTPException: no server of it.
    except (OSError, ValueError, HTTPException) as error:
        yield False, constants.ENDPOINT, f"{type(error).__name__}: {error}; the cache and folders still work"


def _answer(endpoint: str) -> Finding:
    asked = urllib.request.Request(endpoint, method="HEAD")  # noqa: S310 - the user's own endpoint
    try:
        with urllib.request.urlopen(asked, timeout=_PATIENCE_S):  # noqa: S310
            return True, endpoint, "answers"
    except HTTPError as error:
        error.close()
        if error.code >= HTTPStatus.INTERNAL_SERVER_ERROR or error.code == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            raise
        return True, endpoint, f"answers ({error.code} {error.reason})"  # to this question; models are asked otherwise


_CHECKS: dict[str, Callable[[], Iterator[Finding]]] = {
    "versions": _versions,
    "import FlagEmbedding": _owners,
    "plugins": _plugins,
    "devices": _devices,
    "hub": _hub,
}
