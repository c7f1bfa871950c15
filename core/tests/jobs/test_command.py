"""``flagembedding embed``, as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("pyarrow", reason="needs flagembedding-core[jobs]")

import pyarrow.parquet as pq

from FlagEmbedding.cli.main import cli


@pytest.fixture
def command(corpus, model, tmp_path):
    def run(*arguments, inputs=None):
        given = [str(inputs or corpus), "-o", str(tmp_path / "out"), "--model", model, "--devices", "cpu"]
        return CliRunner().invoke(cli, ["embed", *given, "--shard-size", "256", "--no-progress", *arguments])

    return run


def test_the_output_and_what_is_said_of_it(command, tmp_path):
    done = command("--id", "doc", "--keep", "year", "--keep", "text", "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert (report["shards"], report["embedded"], report["rejected"]) == (4, 1000, 0)
    assert done.stderr.splitlines()[-1].startswith(
        f"1000 of 1000 rows are embedded, in 4 files in {tmp_path / 'out'}. "
    )
    assert pq.read_schema(tmp_path / "out/part-000000.parquet").names == ["id", "year", "text", "embedding"]
    again = command("--id", "doc", "--keep", "year", "--keep", "text")
    assert (again.exit_code, again.stdout) == (0, "")
    assert "(4 of them were there before)" in again.stderr


def test_a_change_is_a_message_and_exit_status_1(command):
    assert command().exit_code == 0
    done = command("--dtype", "int8")
    assert (done.exit_code, done.stdout) == (1, "")
    assert 'setting dtype: "float32" then, "int8" now' in done.stderr
    assert "Traceback" not in done.stderr


def test_rejects_are_counted(command, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "the river"}\nno json\n')
    done = command("--on-error", "reject", inputs=tmp_path / "a.jsonl")
    assert done.exit_code == 0
    assert "1 of 2 rows are embedded" in done.stderr
    assert "1 rows are not: rejects-*.jsonl there say why." in done.stderr


def test_several_devices_give_the_same_vectors(command, tmp_path):
    assert command("--devices", "cpu,cpu").exit_code == 0
    assert sum(pq.read_metadata(path).num_rows for path in (tmp_path / "out").glob("part-*")) == 1000


@pytest.mark.parametrize(
    "arguments", [["embed"], ["embed", "a.txt"], ["embed", "a.txt", "-o", "out", "--model", "m", "--dtype", "x"]]
)
def test_wrong_usage_is_exit_status_2(arguments):
    assert CliRunner().invoke(cli, arguments).exit_code == 2


WITHOUT = """
import sys
for name in ("pyarrow", "fsspec", "torch"):
    sys.modules[name] = None
from FlagEmbedding.cli.main import cli
cli(sys.argv[1:])
"""


@pytest.mark.parametrize(
    ("arguments", "status"), [(["embed", "--help"], 0), (["embed", "a", "-o", "b", "--model", "c"], 1)]
)
def test_without_the_extra_there_is_help_and_a_message(arguments, status):
    done = subprocess.run([sys.executable, "-c", WITHOUT, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    if status:
        assert "pip install 'flagembedding-core[jobs]'" in done.stderr
        assert "Traceback" not in done.stderr
    assert Path.cwd().joinpath("b").exists() is False
