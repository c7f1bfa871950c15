"""The documentation does what it says: its code and its commands are run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import FlagEmbedding
from FlagEmbedding import temporary_registration
from FlagEmbedding.engine.pair_tokens import longest_first, only_second
from FlagEmbedding.inference.embedder.model_mapping import AUTO_EMBEDDER_MAPPING
from FlagEmbedding.inference.reranker.model_mapping import AUTO_RERANKER_MAPPING
from FlagEmbedding.plugins.manager import PluginManager, plugin_manager
from FlagEmbedding.references import load_reference
from FlagEmbedding.registry.extensions import exported_names

ROOT = Path(__file__).resolve().parent.parent
READMES = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("*/*/README.md"))
DOCS = {str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts}
RUN_ELSEWHERE = {
    "docs/plugins.md",  # its blocks are the files of a plugin: test_new_plugin.py
    "docs/new-plugin.md",  # likewise
    "docs/adapters.md",  # needs the programs it is about: tests/adapters
    "docs/jobs.md",  # needs pyarrow: tests/jobs/test_page.py
}


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"(?s)```{language}\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"))


RUNNING = sorted(page for page in DOCS - RUN_ELSEWHERE if blocks(page, "python"))
PAGES = ["README.md", "core/README.md", *RUNNING, *READMES]


@pytest.fixture
def own_models() -> Iterator[None]:
    """Forget what a page registers."""
    with temporary_registration():
        yield


# What a page constructs a class with, which the hub of tiny models cannot find: folders where the page is run.
FOLDERS = {
    "docs/customisation.md": {"path/to/my-model": "bert"},
    "docs/moving-from-flagembedding.md": {
        "BAAI/bge-base-en-v1.5": "bert",
        "BAAI/bge-reranker-v2-m3": "xlm-roberta reranker",
    },
}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.usefixtures("own_models", "capsys")
def test_the_python_blocks_run(
    page: str,
    tiny_hub: Any,
    architectures: dict[str, Path],
    rerankers: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One after the other, as a reader would: what a block defines is there for the next."""
    monkeypatch.chdir(tmp_path)  # some write files
    for name, folder in FOLDERS.get(page, {}).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).symlink_to({**architectures, "xlm-roberta reranker": rerankers["xlm-roberta"]}[folder])
    code = blocks(page, "python")
    assert code
    names: dict[str, Any] = {}
    for block in code:
        exec(compile(block, page, "exec"), names)


@pytest.mark.usefixtures("own_models")
def test_the_tutorial_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """With the real weights; what its comparisons print is that both sides are equal."""
    names: dict[str, Any] = {}
    for block in blocks("docs/tutorial.md", r"\{code-cell\} python"):
        exec(compile(block, "docs/tutorial.md", "exec"), names)
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert (lines.count("True"), lines.count("False"), said.err) == (5, 0, "")
    best = [passage.split()[0] for passage in re.findall(r"->  (.*)", said.out)]
    assert best == ["Thread.join", "csv.reader"]


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


def table(page: str, heading: str, level: int = 2) -> list[list[str]]:
    """Return the cells of the first table under a heading, the head left out."""
    text = (ROOT / page).read_text(encoding="utf-8")
    part = text[text.index(f"\n{'#' * level} {heading}\n") :]
    lines = re.search(r"(?m)(^\|.*\n)+", part)
    assert lines is not None
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[0].splitlines()[2:]]


@pytest.mark.parametrize("page", sorted(DOCS))
def test_every_link_of_the_documentation_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", (ROOT / page).read_text(encoding="utf-8")):
        assert target.startswith("http") or ((ROOT / page).parent / target).exists(), target


def test_every_page_is_in_the_index() -> None:
    """As a link for those who read it here, and in a table of contents of the site."""
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    contents = "\n".join(re.findall(r"(?s)```\{toctree\}(.*?)```", index)).splitlines()
    pages = {page.removeprefix("docs/") for page in DOCS if not page.startswith("docs/families/")} - {"index.md"}
    assert {page for page in pages if f"]({page})" not in index} == set()
    assert {page for page in pages if page.removesuffix(".md") not in contents} == set()


def test_every_family_has_a_page() -> None:
    text = "".join((ROOT / page).read_text(encoding="utf-8") for page in DOCS)
    included = re.findall(r"include\} \.\./\.\./(\S+)", text)
    assert sorted(included) == [name for name in READMES if not name.startswith("core/")]


def test_every_changelog_is_on_the_page() -> None:
    page = (ROOT / "docs/changelog.md").read_text(encoding="utf-8")
    logs = {str(path.relative_to(ROOT)) for path in ROOT.glob("*/*/CHANGELOG.md")} | {"core/CHANGELOG.md"}
    assert set(re.findall(r"include\} \.\./(\S+)", page)) == logs


@pytest.mark.parametrize("name", sorted([*FlagEmbedding.__all__, *exported_names()]))
def test_every_public_name_is_in_the_reference(name: str) -> None:
    pages = "".join((ROOT / page).read_text(encoding="utf-8") for page in DOCS if page.startswith("docs/reference/"))
    same = {other for other in exported_names() if getattr(FlagEmbedding, other) is getattr(FlagEmbedding, name)}
    assert any(re.search(rf"auto\w+:: (FlagEmbedding\.)?{each}$", pages, re.MULTILINE) for each in {name, *same})


LANGUAGES = {"English": ("en",), "Chinese": ("zh",)}
EMBEDDER_TABLES = ("English", "Chinese", "Several languages")


def test_the_page_of_choices_has_every_model_as_the_catalogue_has_it() -> None:
    known = dict(AUTO_EMBEDDER_MAPPING)
    for heading in EMBEDDER_TABLES:
        for name, _, *said, place in table("docs/choosing.md", heading, level=3):
            config = known.pop(name.strip("`"))
            assert said == [str(config.dimension), str(config.max_length), config.licence]
            assert LANGUAGES.get(heading, ()) == (config.languages if heading in LANGUAGES else ())
            assert heading in LANGUAGES or len(config.languages) > 1 or config.languages == ("multilingual",)
            check_place(name.strip("`"), place)
    assert known == {}
    rerankers = {name: config for name, config in AUTO_RERANKER_MAPPING.items() if not config.unsupported}
    for name, _, *said, place in table("docs/choosing.md", "Rerankers"):
        config = rerankers.pop(name.strip("`"))
        assert said == [", ".join(config.languages), str(config.max_length), config.licence]
        check_place(name.strip("`"), place)
    assert rerankers == {}


def check_place(model: str, place: str) -> None:
    records = plugin_manager().records()
    [record] = [each for each in records if model in {*each.contribution.embedders, *each.contribution.rerankers}]
    assert place.strip("`") == (f"[{record.name}]" if record.name in EXTRAS else record.distribution)


EXTRAS = tomllib.loads((ROOT / "core/pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]


def test_the_reasons_for_a_choice_are_true() -> None:
    """Numbers, languages and licences that stand beside a model are those of its row below."""
    tables = [table("docs/choosing.md", heading, level=3) for heading in EMBEDDER_TABLES]
    sizes = {row[0]: row for rows in [*tables, table("docs/choosing.md", "Rerankers")] for row in rows}
    for need, models, because in table("docs/choosing.md", "By need"):
        chosen = [sizes[f"`{name}`"] for name in re.findall(r"`(.*?)`", models)]
        assert chosen, need
        for count, unit in re.findall(r"(\d+(?: [MB])?) (parameters|dimensions|tokens)", because):
            column = {"parameters": 1, "dimensions": 2, "tokens": 3}[unit]
            assert all(row[column] == count for row in chosen), (need, unit)
        assert ("no commercial use" in because) == any("CC-BY-NC" in cell for row in chosen for cell in row)


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
