"""The doctor and the hub: a server that answers, one that refuses the question, and what is no server."""

from __future__ import annotations

import contextlib
import json
import socketserver
import threading

import pytest
from click.testing import CliRunner
from huggingface_hub import constants

from FlagEmbedding.cli import doctor


@contextlib.contextmanager
def serving(answer):
    """Answer whatever is asked on a port of this machine, with these bytes; gives its address."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            while self.rfile.readline().strip():
                pass
            self.wfile.write(answer)

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def ask(monkeypatch):
    """``ask(address)`` gives the exit code, and what was found of the hub there."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    def asked(endpoint):
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        done = CliRunner().invoke(doctor.command, ["--json"], catch_exceptions=False)
        found = {row["what"]: (row["ok"], row["found"]) for row in json.loads(done.output)}
        return done.exit_code, found[endpoint]

    return asked


@pytest.mark.parametrize(
    ("status", "found"),
    [
        ("200 OK", "answers"),
        ("403 Forbidden", "answers (403 Forbidden)"),
        ("405 Method Not Allowed", "answers (405 Method Not Allowed)"),
    ],
)
def test_a_hub_that_answers(ask, status, found):
    with serving(f"HTTP/1.0 {status}\r\n\r\n".encode()) as address:
        assert ask(address) == (0, (True, found))


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (b"HTTP/1.0 502 Bad Gateway\r\n\r\n", "HTTPError: HTTP Error 502: Bad Gateway"),
        (b"HTTP/1.0 407 Proxy Authentication Required\r\n\r\n", "HTTPError: HTTP Error 407"),
        (b"220 ready for mail\r\n", "BadStatusLine: 220 ready for mail"),
    ],
)
def test_a_hub_that_is_none(ask, answer, found):
    with serving(answer) as address:
        code, (well, said) = ask(address)
    assert (code, well) == (1, False)
    assert said.startswith(found)
    assert said.endswith("; the cache and folders still work")


def test_an_address_that_is_none(ask):
    assert ask("huggingface.co") == (
        1,
        (False, "ValueError: unknown url type: 'huggingface.co'; the cache and folders still work"),
    )
