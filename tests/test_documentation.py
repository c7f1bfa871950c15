"""The documentation does what it says: its code and its commands are run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from FlagEmbedding.engine.pair_tokens import longest_first, only_second
from FlagEmbedding.inference.embedder.model_mapping import AUTO_EMBEDDER_MAPPING
from FlagEmbedding.inference.reranker.model_mapping import AUTO_RERANKER_MAPPING
from FlagEmbedding.plugins.manager import PluginManager
from FlagEmbedding.references import load_reference

ROOT = Path(__file__).resolve().parent.parent
MAPPINGS: dict[str, Any] = {"embedders": AUTO_EMBEDDER_MAPPING, "rerankers": AUTO_RERANKER_MAPPING}
READMES = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("*/*/README.md"))
PAGES = ["README.md", "core/README.md", "docs/rerankers.md", *READMES]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"(?s)```{language}\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"))


@pytest.fixture
def own_models() -> Iterator[None]:
    """Forget what a page registers."""
    before = {name: set(mapping) for name, mapping in MAPPINGS.items()}
    yield
    for name, mapping in MAPPINGS.items():
        for model in set(mapping) - before[name]:
            del mapping[model]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.usefixtures("own_models")
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
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"\| `flagembedding-core\[(\w+)\]` \| (\d+) \| (\d+) \| (.*) \|", text)
    tables = {record.name: record.contribution for record in PluginManager({}).records()}
    assert {family: (int(embedders), int(rerankers)) for family, embedders, rerankers, _ in rows} == {
        family: (len(tables[family].embedders), len(tables[family].rerankers))
        for family in ("bce", "bge", "e5", "gte", "jina", "linq", "qwen3", "sfr")
    }
    for family, _, _, examples in rows:
        known = {*tables[family].embedders, *tables[family].rerankers}
        assert set(re.findall(r"`(.*?)`", examples)) <= known


def test_the_page_of_rerankers_has_every_one_with_its_length() -> None:
    rows = table("docs/rerankers.md", "What each model reads")
    lengths = {name: tokens for names, *_, tokens in rows for name in re.findall(r"`(.*?)`", names)}
    runs = {name: config for name, config in AUTO_RERANKER_MAPPING.items() if not config.unsupported}
    assert {name: int(tokens) for name, tokens in lengths.items() if tokens} == {
        name: config.max_length for name, config in runs.items()
    }
    assert {name for name, tokens in lengths.items() if not tokens} == set(AUTO_RERANKER_MAPPING) - set(runs)


def test_the_example_of_truncation_is_true() -> None:
    """32 tokens, four of them special."""
    for query, passage, *kept in table("docs/rerankers.md", "Lengths, and what is cut"):
        limit = re.search(r"query_max_length=(\d+)", query)
        rule = only_second(int(limit[1]) if limit else None, 28, 32)
        truncate = longest_first(28) if "longest_first" in query else rule
        assert truncate(*(int(text.split()[0]) for text in (query, passage))) == tuple(map(int, kept))


@pytest.mark.parametrize("plugin", ["bce", "bge", "gte", "qwen3"])
def test_the_readme_of_a_family_has_its_rerankers_with_their_lengths(plugin: str) -> None:
    text = (ROOT / f"plugins/{plugin}/README.md").read_text(encoding="utf-8")
    part = text[text.index("| reranker |") :]
    rows = dict(re.findall(r"(?m)^\| (\w[\w-]*/\S+) \| (\d+) \|", part))
    [record] = [record for record in PluginManager({}).records() if record.name == plugin]
    assert {name: int(tokens) for name, tokens in rows.items()} == {
        config.hub_id: config.max_length for config in record.contribution.rerankers.values()
    }


def table(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table under a heading, the head left out."""
    text = (ROOT / page).read_text(encoding="utf-8")
    part = text[text.index(f"## {heading}\n") :]
    lines = re.search(r"(?m)(^\|.*\n)+", part)
    assert lines is not None
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[0].splitlines()[2:]]


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_every_link_of_the_documentation_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), target


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert {page for page in pages if f"]({page})" not in index} == set()


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
    assert record.contribution.rerankers["acme-rerank"].max_length == 512
    overlap = load_reference(record.contribution.reranker_classes["acme-overlap"].reference)
    assert overlap("nothing is loaded", devices="cpu").compute_score([("a b", "b c"), ("", "c")]) == [0.5, 0.0]
    pool = load_reference(record.contribution.poolings["acme-max"])
    states = torch.tensor([[[1.0, -2.0], [3.0, -5.0], [9.0, 9.0]]])
    assert pool(states, torch.tensor([[True, True, False]])).tolist() == [[3.0, -2.0]]
