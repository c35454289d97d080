"""The provider that streams: upstream.c, compiled for the run."""

from __future__ import annotations

import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from answers import CHAT, MESSAGES, chat_events, messages_events
from rig import LOAD_CORE, Failed, free_port, require, started, wait_for

_SOURCE = Path(__file__).with_name("upstream.c")


@dataclass(frozen=True, slots=True)
class Streaming:
    """Where it listens, and its process."""

    port: int
    pid: int

    def sent(self) -> int:
        """How many events it has sent so far."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/sent", timeout=30) as answer:
            return int(answer.read())


@contextmanager
def streaming(folder: Path, gap_ms: int) -> Iterator[Streaming]:
    """A provider of both formats whose events come so far apart."""
    require("gcc")
    home = folder / f"upstream-{gap_ms}"
    home.mkdir()
    (home / "chat.json").write_text(CHAT)
    (home / "messages.json").write_text(MESSAGES)
    (home / "chat.sse").write_bytes(chat_events())
    (home / "messages.sse").write_bytes(messages_events())
    program = home / "upstream"
    made = subprocess.run(["gcc", "-O2", "-o", program, _SOURCE], capture_output=True, text=True, check=False)
    if made.returncode:
        raise Failed(f"{_SOURCE.name} does not compile: {made.stderr}")
    port = free_port()
    command = [str(program), str(port), str(gap_ms), str(home)]
    with started(command, LOAD_CORE, log=home / "output.log") as process:
        wait_for(f"http://127.0.0.1:{port}/sent", process)
        yield Streaming(port, process.pid)
