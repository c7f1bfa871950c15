"""``flagembedding new-plugin``: what it writes can be installed, and passes its own tests as written."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
COMMAND = Path(sys.executable).with_name("flagembedding")
FILES = [
    "README.md",
    "pyproject.toml",
    "src/flagembedding_acme_two/__init__.py",
    "src/flagembedding_acme_two/catalog.py",
    "src/flagembedding_acme_two/hooks.py",
    "src/flagembedding_acme_two/py.typed",
    "tests/test_contract.py",
]


def run(*arguments: str | Path, cwd: Path = ROOT, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(path or "")}
    return subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=cwd, env=environ, timeout=300)


def new(name: str, into: Path) -> subprocess.CompletedProcess[str]:
    return run(COMMAND, "new-plugin", name, "--into", into)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The folder of a plugin, and what the command said of it."""
    into = tmp_path_factory.mktemp("new")
    done = new("acme-two", into)
    assert done.returncode == 0, done.stderr
    return into / "flagembedding-acme-two", done.stdout.splitlines()


@pytest.fixture(scope="module")
def site(written: tuple[Path, list[str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which it was installed, as ``pip`` does it, without a network."""
    target = tmp_path_factory.mktemp("site")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-index")
    done = run(*pip, "--no-deps", "--no-build-isolation", "--target", target, written[0])
    assert done.returncode == 0, done.stderr
    return target


def test_it_says_what_it_wrote(written: tuple[Path, list[str]]) -> None:
    folder, said = written
    assert said == [str(folder / name) for name in FILES]
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == sorted(FILES)
    left = [
        path for path in folder.rglob("*") if path.is_file() and re.search(r"\$\w|PACKAGE", path.read_text("utf-8"))
    ]
    assert left == []


def test_it_is_listed_as_active(site: Path) -> None:
    rows = {row["plugin"]: row for row in json.loads(run(COMMAND, "plugins", "--json", path=site).stdout)}
    assert rows["acme-two"] == {
        "plugin": "acme-two",
        "status": "active",
        "distribution": "flagembedding-acme-two",
        "version": "0.1.0",
        "embedders": 1,
        "rerankers": 0,
        "reason": "",
    }
    assert (site / "flagembedding_acme_two/py.typed").is_file()


def test_it_passes_its_own_tests(written: tuple[Path, list[str]], site: Path) -> None:
    done = run(sys.executable, "-m", "pytest", "-W", "error", cwd=written[0], path=site)
    assert done.returncode == 0, done.stdout
    assert re.search(r"= 1\d passed, \d skipped", done.stdout), done.stdout


def test_the_plugin_of_the_documentation_passes_its_own_tests(tmp_path: Path) -> None:
    text = (ROOT / "docs/plugins.md").read_text(encoding="utf-8")
    for code in re.findall(r"(?s)```python\n# (.*?)\n(.*?)```", text):
        path = tmp_path / code[0]
        path.parent.mkdir(exist_ok=True)
        path.write_text(code[1], encoding="utf-8")
    info = tmp_path / "flagembedding_acme-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: flagembedding-acme\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[flagembedding]\nacme = flagembedding_acme.hooks\n")
    done = run(sys.executable, "-m", "pytest", "-W", "error", "tests", cwd=tmp_path, path=tmp_path)
    assert done.returncode == 0, done.stdout


def test_the_plugin_that_the_page_builds(tmp_path: Path) -> None:
    """docs/new-plugin.md from its first step to its tests: the scaffold, with the page's files over it."""
    assert new("arctic", tmp_path).returncode == 0
    folder = tmp_path / "flagembedding-arctic"
    text = (ROOT / "docs/new-plugin.md").read_text(encoding="utf-8")
    own = re.findall(r"(?s)```python\n# (\S+)\n(.*?)```", text)
    assert [name for name, _ in own] == ["src/flagembedding_arctic/catalog.py", "tests/test_contract.py"]
    for name, code in own:
        assert (folder / name).is_file()
        (folder / name).write_text(code, encoding="utf-8")
    info = folder / "src/flagembedding_arctic-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: flagembedding-arctic\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[flagembedding]\narctic = flagembedding_arctic.hooks\n")
    done = run(sys.executable, "-m", "pytest", "-W", "error", cwd=folder, path=folder / "src")
    assert done.returncode == 0, done.stdout
    assert re.search(r"= \d\d passed", done.stdout), done.stdout
    lines = [line for path in folder.rglob("*.py") for line in path.read_text("utf-8").splitlines() if line.strip()]
    assert len(lines) < 60  # the page says "some fifty lines"


def test_what_it_writes_is_in_order(written: tuple[Path, list[str]]) -> None:
    ruff = (sys.executable, "-m", "ruff")
    settings = ("--no-cache", "--config", ROOT / "pyproject.toml", written[0])
    # What the workspace leaves out for tests, by their place in it.
    for command in (("check", "--ignore", "D101,INP001"), ("format", "--check")):
        done = run(*ruff, *command, *settings)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["Acme", "acme_two", "2acme", "acme-", "../acme", "", "acme two"])
def test_a_name_that_is_none(name: str, tmp_path: Path) -> None:
    done = new(name, tmp_path)
    assert (done.returncode, done.stdout, list(tmp_path.iterdir())) == (2, "", [])
    assert f"{name!r} is no name of a plugin" in done.stderr


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "flagembedding-acme").mkdir()
    done = new("acme", tmp_path)
    assert (done.returncode, done.stdout, list(tmp_path.rglob("*"))) == (1, "", [tmp_path / "flagembedding-acme"])
    assert "is there already, and nothing was written" in done.stderr
