from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import Any

import pytest
from running_server import Server

from headworks.cli.main import run

_counter = itertools.count(1)


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Cli:
    """Commands against the server, in this process, with the administrator's key unless another is given."""

    server: Server
    monkeypatch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]

    def __call__(self, *words: str, key: str | None = None, check: bool = True) -> Done:
        self.monkeypatch.setenv("HEADWORKS_URL", self.server.url)
        self.monkeypatch.setenv("HEADWORKS_API_KEY", key or self.server.admin_key)
        self.capture.readouterr()
        status = run(words)
        done = Done(status, *self.capture.readouterr())
        assert not check or status == 0, done
        return done

    def json(self, *words: str, **more: Any) -> Any:
        """What a command prints with --json: one value, and nothing beside it."""
        done = self(*words, "--json", **more)
        assert done.stdout.count("\n") == 1
        assert done.stderr == ""
        return json.loads(done.stdout)

    def name(self, prefix: str = "p") -> str:
        """One that no other test has."""
        return f"{prefix}-cli-{next(_counter)}"


@pytest.fixture
def cli(server: Server, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Cli:
    return Cli(server, monkeypatch, capfd)
