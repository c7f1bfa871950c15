"""The documentation does what it says: its code and its commands are run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from FlagEmbedding.plugins.manager import PluginManager
from FlagEmbedding.references import load_reference

ROOT = Path(__file__).resolve().parent.parent
PAGES = ["README.md", "core/README.md", *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("*/*/README.md"))]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"(?s)```{language}\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES)
def test_the_python_blocks_run(page: str, tiny_hub: Any, capsys: pytest.CaptureFixture[str]) -> None:
    code = blocks(page, "python")
    assert code
    for block in code:
        exec(compile(block, page, "exec"), {})


def commands(page: str) -> list[str]:
    lines = [line.partition("#")[0].strip() for block in blocks(page, "bash") for line in block.splitlines()]
    return [line for line in lines if line.startswith("flagembedding")]


def test_the_commands_of_the_readme_run() -> None:
    found = commands("README.md")
    assert len(found) >= 3
    for line in found:
        name, *arguments = shlex.split(line)
        done = subprocess.run(
            [Path(sys.executable).with_name(name), *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )
        assert (done.returncode, bool(done.stdout)) == (0, True), done.stderr


def test_the_targets_of_the_readme_exist() -> None:
    targets = {
        line.split()[1] for line in "\n".join(blocks("README.md", "bash")).splitlines() if line.startswith("make")
    }
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert targets == {"demo", "test"}
    assert all(re.search(rf"(?m)^{target}:", makefile) for target in targets)


def test_the_table_of_families_is_true() -> None:
    rows = re.findall(r"\| `flagembedding-core\[(\w+)\]` \| (\d+) \| (.*) \|", (ROOT / "README.md").read_text("utf-8"))
    records = {record.name: record for record in PluginManager({}).records()}
    assert {family: int(count) for family, count, _ in rows} == {
        family: len(records[family].contribution.embedders)
        for family in ("bce", "bge", "e5", "gte", "jina", "linq", "qwen3", "sfr")
    }
    for family, _, examples in rows:
        assert set(re.findall(r"`(.*?)`", examples)) <= set(records[family].contribution.embedders)


def test_the_plugin_of_the_documentation_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an author copies from docs/plugins.md is a plugin: installed by hand here, found and loaded as it stands."""
    for code in blocks("docs/plugins.md", "python"):
        path = tmp_path / code.splitlines()[0].removeprefix("# ")
        path.parent.mkdir(exist_ok=True)
        path.write_text(code, encoding="utf-8")
    [toml] = blocks("docs/plugins.md", "toml")
    info = tmp_path / "flagembedding_acme-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: flagembedding-acme\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[flagembedding]\n" + toml.rpartition("]\n")[2].replace('"', ""))
    monkeypatch.syspath_prepend(tmp_path)

    manager = PluginManager({"FLAGEMBEDDING_PLUGINS": "acme", "FLAGEMBEDDING_STRICT_PLUGINS": "1"})
    [record] = [record for record in manager.records() if record.status == "active"]
    assert record.contribution.embedders["acme-embed"].dimension == 384
    pool = load_reference(record.contribution.poolings["acme-max"])
    states = torch.tensor([[[1.0, -2.0], [3.0, -5.0], [9.0, 9.0]]])
    assert pool(states, torch.tensor([[True, True, False]])).tolist() == [[3.0, -2.0]]
