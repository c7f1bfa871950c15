"""Disks that are full, inputs that change, damaged files, interrupts: a clear error, and finished shards stay."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import ClassVar

import pytest

pytest.importorskip("pyarrow", reason="needs flagembedding-core[jobs]")

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.memory import MemoryFileSystem

from FlagEmbedding.errors import JobError
from FlagEmbedding.jobs import embed_corpus, local
from FlagEmbedding.jobs import shards as shards_module
from FlagEmbedding.jobs.folder import LocalFolder, output_folder


def part_names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name.startswith(("part-", ".tmp-")))


def ids_in(folder):
    return [one for path in sorted(folder.glob("part-*")) for one in pq.read_table(path)["id"].to_pylist()]


@pytest.fixture
def growing(tmp_path):
    """Texts, the last of which are long: the shards that have them need more room than those before."""
    draw = random.Random(1)
    rows = [*["the river"] * 300, *[f"stone {draw.randbytes(400).hex()}" for _ in range(300)]]
    pq.write_table(pa.table({"text": rows}), tmp_path / "a.parquet")
    return tmp_path / "a.parquet"


@contextlib.contextmanager
def file_size_limit(size):
    """Let no file of this process grow beyond ``size``, as a full disk would not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_that_cannot_grow(embed, growing, tmp_path):
    with file_size_limit(60_000), pytest.raises(JobError, match=r"out' cannot be written: .*File too large.*goes on"):
        embed(str(growing), columns=("text",))
    assert part_names(tmp_path / "out") == ["part-000000.parquet", "part-000001.parquet"]
    report = embed(str(growing), columns=("text",))
    assert (report.found, report.embedded) == (2, 600)
    assert ids_in(tmp_path / "out") == [*range(600)]


def test_a_disk_that_is_full(embed, growing, tmp_path):
    disk = tmp_path / "out"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    try:
        with pytest.raises(JobError, match=r"out' cannot be written: .*No space left on device.*goes on"):
            embed(str(growing), columns=("text",))
        assert part_names(disk) == ["part-000000.parquet", "part-000001.parquet"]
        subprocess.run(["mount", "-o", "remount,size=8m", disk], check=True)
        assert embed(str(growing), columns=("text",)).found == 2
        assert ids_in(disk) == [*range(600)]
    finally:
        subprocess.run(["umount", disk], check=True)


class FullStore(MemoryFileSystem):
    """A store with room for two shards."""

    protocol = "fullstore"
    store: ClassVar = {}
    pseudo_dirs: ClassVar = [""]
    room = 3

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix("fullstore://"))

    def put_file(self, lpath, rpath, **options):
        if FullStore.room == 0:
            super().put_file(lpath, rpath, **options)
            with self.open(rpath, "r+b") as half:
                half.truncate(10)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        FullStore.room -= 1
        super().put_file(lpath, rpath, **options)


def test_a_store_that_is_full(model, growing):
    fsspec.register_implementation("fullstore", FullStore, clobber=True)
    options = {"shard_size": 128, "devices": "cpu", "show_progress": False}
    with pytest.raises(JobError, match=r"fullstore://vectors' cannot be written: .*No space left on device"):
        embed_corpus(str(growing), "fullstore://vectors", model, **options)
    store = FullStore()
    names = [path.rpartition("/")[2] for path in sorted(store.find("/vectors"))]
    assert names == ["manifest.json", "part-000000.parquet", "part-000001.parquet"]
    FullStore.room = 99
    assert embed_corpus(str(growing), "fullstore://vectors", model, **options).found == 2
    tables = [pq.read_table(store.open(path)) for path in sorted(store.glob("/vectors/part-*"))]
    assert pa.concat_tables(tables)["id"].to_pylist() == [*range(600)]


def test_input_and_output_behind_urls(model, texts):
    store = fsspec.filesystem("memory")
    store.pipe("/corpus/a.txt", "\n".join(texts[:100]).encode())
    store.pipe("/corpus/b.txt", "\n".join(texts[100:]).encode())
    options = {"shard_size": 128, "devices": "cpu", "show_progress": False}
    assert embed_corpus("memory://corpus/*.txt", "memory://vectors", model, **options).embedded == 1000
    assert embed_corpus("memory://corpus/*.txt", "memory://vectors", model, **options).found == 8
    names = {path.rpartition("/")[2] for path in store.find("/vectors")}
    assert names == {"manifest.json", "report.json", *(f"part-{number:06d}.parquet" for number in range(8))}


def test_an_output_that_cannot_be_written(embed, corpus, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(JobError, match=r"the output folder '.*file/out' cannot be made: .*Not a directory"):
        embed(str(corpus), "file/out")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_output_without_permission(embed, corpus, tmp_path):
    (tmp_path / "out").mkdir(mode=0o555)
    with pytest.raises(JobError, match=r"out' cannot be written: .*Permission denied"):
        embed(str(corpus))


def after_the_first_shard(monkeypatch, act):
    """Do something when the first shard has its name."""
    publish = shards_module.publish

    def publishing(*arguments):
        for shard in publish(*arguments):
            if shard.number == 0:
                act()
            yield shard

    monkeypatch.setattr(local, "publish", publishing)


def append(path):
    with path.open("a") as file:
        file.write("one more\n")


@pytest.mark.parametrize("change", [append, lambda path: os.utime(path, ns=(1, 1)), Path.unlink])
def test_an_input_that_changes_in_the_middle(embed, texts, tmp_path, monkeypatch, change):
    path = tmp_path / "a.txt"
    path.write_text("\n".join(texts * 3))
    after_the_first_shard(monkeypatch, lambda: change(path))
    with pytest.raises(JobError, match=r"a\.txt (was changed while|cannot be looked at any more).*[Ff]inished shards"):
        embed(str(path))
    found = part_names(tmp_path / "out")
    assert 1 <= len(found) < 24
    assert found == [f"part-{number:06d}.parquet" for number in range(len(found))]
    assert ids_in(tmp_path / "out") == [*range(128 * len(found))]


def test_a_damaged_row_group(embed, texts, tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": texts}), path, row_group_size=300, write_page_checksum=True, compression="none")
    content = path.read_bytes()
    assert content.count(texts[650].encode()) == 1
    content = content.replace(
        texts[650].encode(), texts[650].encode().swapcase()
    )  # well formed, and not what was written
    path.write_bytes(content)
    with pytest.raises(JobError, match=r"a\.parquet cannot be read in row group 2 \(rows 600 to 899\): .*shards stay"):
        embed(str(path))
    assert ids_in(tmp_path / "out") == [*range(512)]  # four whole shards before row 600


def test_two_jobs_at_once_are_refused(embed, corpus, tmp_path):
    (tmp_path / "out").mkdir()
    with LocalFolder(tmp_path / "out").lock(), pytest.raises(JobError, match="another job is writing to"):
        embed(str(corpus))
    assert embed(str(corpus)).embedded == 1000


def test_what_a_killed_job_left_is_removed_and_nothing_else(embed, corpus, tmp_path):
    embed(str(corpus))
    (tmp_path / "out/.tmp-abc-part-000001.parquet").write_bytes(b"half")
    (tmp_path / "out/.mine").write_bytes(b"kept")
    embed(str(corpus))
    assert not (tmp_path / "out/.tmp-abc-part-000001.parquet").exists()
    assert (tmp_path / "out/.mine").exists()


def test_a_file_is_synced_before_it_has_its_name_and_its_folder_after(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, Path.replace

    def syncing(handle):
        done.append(Path(f"/proc/self/fd/{handle}").readlink().name.split("-")[0])
        fsync(handle)

    monkeypatch.setattr(os, "fsync", syncing)
    monkeypatch.setattr(Path, "replace", lambda path, target: (done.append("rename"), replace(path, target)))
    output_folder(str(tmp_path / "out")).publish("a", lambda path: path.write_bytes(b"content"))
    assert (done, (tmp_path / "out/a").read_bytes()) == ([".tmp", "rename", "out"], b"content")


def test_a_write_that_fails_leaves_no_file(tmp_path):
    def write(path):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        output_folder(str(tmp_path / "out")).publish("a", write)
    assert [*(tmp_path / "out").iterdir()] == []


def test_an_interrupt_leaves_finished_shards_and_no_other_file(model, texts, tmp_path):
    """Ctrl-C, as a terminal sends it, to the command."""
    (tmp_path / "a.txt").write_text("\n".join(f"{text} {index}" for index in range(200) for text in texts))
    arguments = [str(tmp_path / "a.txt"), "-o", str(tmp_path / "out"), "--model", model, "--shard-size", "100"]
    command = [Path(sys.executable).with_name("flagembedding"), "embed", *arguments, "--devices", "cpu"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while len([*tmp_path.glob("out/part-*")]) < 2:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, messages = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert messages.splitlines()[-1] == "Aborted!"
    found = part_names(tmp_path / "out")
    assert 2 <= len(found) < 200
    assert found == [f"part-{number:06d}.parquet" for number in range(len(found))]
    assert ids_in(tmp_path / "out") == [*range(100 * len(found))]


def test_no_thread_is_left(embed, corpus, tmp_path, monkeypatch):
    after_the_first_shard(monkeypatch, lambda: (_ for _ in ()).throw(OSError("gone")))
    with pytest.raises(OSError, match="gone"):
        embed(str(corpus))
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("FlagEmbedding job")] == []


def test_rejects_are_in_their_place_before_their_shard(embed, tmp_path, monkeypatch):
    """A kill between the two then leaves a shard to be done, never one whose rejects are lost."""
    pq.write_table(pa.table({"text": [*["the river"] * 150, None]}), tmp_path / "a.parquet")
    named, publish = [], LocalFolder.publish

    def publishing(folder, name, write):
        publish(folder, name, write)
        named.append(name)

    monkeypatch.setattr(LocalFolder, "publish", publishing)
    embed(str(tmp_path / "a.parquet"), on_error="reject")
    shards = ["part-000000.parquet", "rejects-000001.jsonl", "part-000001.parquet"]
    assert named == ["manifest.json", *shards, "report.json"]
