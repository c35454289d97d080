"""What can be measured, one function each: it starts what it needs, and returns rows for a table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import latency
import open_streams
import soak
import windows
from answers import CHAT, CHUNKS, MESSAGES, MODEL, chat
from peers import PEERS, running, version
from product import Product, product
from rig import (
    SYSTEM_CORE,
    Failed,
    System,
    Window,
    free_port,
    measure,
    probe,
    provider,
    started,
    undisturbed,
    wait_for,
    yardstick,
)
from upstream import streaming
from windows import Row

_HERE = Path(__file__).parent
_OURS = "headworks.server.http_protocol:OneWriteProtocol"
_STREAMS_AT_ONCE = 16
_WARM_UP_S = 3


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to look, and at whom: with `venvs`, at other gateways, which are installed there."""

    rounds: int
    seconds: int
    connections: int
    venvs: Path | None = None


@contextmanager
def _stage() -> Iterator[tuple[ExitStack, Path]]:
    """What has been started is ended in reverse; a folder of its own."""
    with ExitStack() as stack:
        yield stack, Path(stack.enter_context(TemporaryDirectory(prefix="hw-bench-")))


def hop(effort: Effort, kb: int = 1) -> list[Row]:
    """CPU of the plain hop with a prompt of so many KB."""
    with _stage() as (stack, folder):
        # SGLang's router sends what nginx refuses.
        is_alone = effort.venvs is None
        to = stack.enter_context(provider(folder, CHAT) if is_alone else _lenient(folder))
        base = replace(stack.enter_context(yardstick(folder, to)), body=chat(MODEL, kb))
        ours = stack.enter_context(product(folder, chat_port=to)).system(kb=kb)
        others, missing = _peers(effort, stack, folder, to, lambda model: chat(model, kb))
        seen, failed = _compare(effort, [base, ours], others, partial(_window, effort, folder))
        return windows.summary(seen) + missing + failed


def bare(effort: Effort) -> list[Row]:
    """CPU of the hop in our parts alone: with uvicorn's HTTP protocol, with ours, and served at once by it."""
    with _stage() as (stack, folder):
        to = stack.enter_context(provider(folder, CHAT))
        systems = [stack.enter_context(yardstick(folder, to))]
        for name, *options in (
            ("uvicorn's protocol",),
            ("our protocol", f"--protocol={_OURS}"),
            ("at once", f"--protocol={_OURS}", "--at-once"),
        ):
            systems.append(stack.enter_context(_bare(name, folder, to, *options)))
        seen, _ = _compare(effort, systems, [], partial(_window, effort, folder))
        return windows.summary(seen)


def translation(effort: Effort) -> list[Row]:
    """CPU of a hop between two formats, beside those that stay in one."""
    with _stage() as (stack, folder):
        to = stack.enter_context(provider(folder, CHAT))
        claude = stack.enter_context(provider(folder, MESSAGES, "messages-provider"))
        base = stack.enter_context(yardstick(folder, to))
        ours = stack.enter_context(product(folder, chat_port=to, messages_port=claude))
        systems = [
            base,
            ours.system(name="Chat to Chat"),
            ours.by_messages(name="Messages to Messages", to="messages"),
            ours.system(name="Chat to Messages", to="messages"),
            ours.by_messages(name="Messages to Chat", to="chat"),
        ]
        seen, _ = _compare(effort, systems, [], partial(_window, effort, folder))
        rows = windows.summary(seen)
        windows.more_than(rows, seen, "Chat to Chat")
        return rows


def chunks(effort: Effort, gap_ms: int) -> list[Row]:
    """CPU per chunk of streams whose chunks come so far apart, 16 streams at once."""
    effort = replace(effort, connections=_STREAMS_AT_ONCE)
    with _stage() as (stack, folder):
        source = stack.enter_context(streaming(folder, gap_ms))
        base = _streaming(stack.enter_context(yardstick(folder, source.port, streams=True)), MODEL)
        ours = stack.enter_context(product(folder, chat_port=source.port))
        translated = replace(
            ours.system(name="headworks, from Messages", to="messages", streams=True), expects=b"data: [DONE]", events=1
        )
        others, missing = _peers(effort, stack, folder, source.port, partial(chat, streams=True))
        others = [replace(each, expects=b"data: [DONE]", events=1) for each in others]
        look = partial(_window, effort, folder, counted=source.sent)
        seen, failed = _compare(effort, [base, _streamed(ours), translated], others, look)
        return windows.summary(seen, "chunk") + missing + failed


def low_rate(effort: Effort, per_s: float) -> list[Row]:
    """What the hop adds to the latency at so many requests a second."""
    with _stage() as (stack, folder):
        source = stack.enter_context(streaming(folder, 0))
        base = stack.enter_context(yardstick(folder, source.port))
        direct = System("direct", source.pid, f"http://127.0.0.1:{source.port}/v1/chat/completions", chat(MODEL))
        ours = stack.enter_context(product(folder, chat_port=source.port)).system()
        others, missing = _peers(effort, stack, folder, source.port, chat)
        with undisturbed(direct, base, ours, *others) as is_first:
            if not is_first:
                print("not allowed to run before other processes: neighbours will show", file=sys.stderr)
            look = partial(latency.window, per_s=per_s, seconds=effort.seconds)
            seen, failed = _compare(effort, [direct, base, ours], others, look)
        return latency.summary(seen) + missing + failed


def many_streams(count: int) -> list[Row]:
    """Memory and failures with so many streams open at once, a chunk a second in each."""
    with _stage() as (stack, folder):
        source = stack.enter_context(streaming(folder, 1000))
        base = _streaming(
            stack.enter_context(yardstick(folder, source.port, streams=True, connections=3 * count + 1000)), MODEL
        )
        ours = _streamed(stack.enter_context(product(folder, chat_port=source.port)))
        rows: list[Row] = []
        for system in (base, ours):
            # What the first requests load and compile is not the streams'.
            measure(replace(system, body=chat("chat")), _WARM_UP_S, _STREAMS_AT_ONCE, folder)
            with undisturbed():
                rows.append(open_streams.look(system, count))
        return rows


def long_run(effort: Effort, requests: int) -> list[Row]:
    """Memory over so many requests."""
    with _stage() as (stack, folder):
        to = stack.enter_context(provider(folder, CHAT))
        ours = stack.enter_context(product(folder, chat_port=to)).system()
        probe(ours)
        return soak.summary(ours.name, soak.soak(ours, requests, effort.connections, folder))


def _window(effort: Effort, folder: Path, system: System, counted: Callable[[], int] | None = None) -> Window:
    return measure(system, effort.seconds, effort.connections, folder, counted)


def _compare(
    effort: Effort, systems: list[System], others: list[System], look: Callable[[System], windows.Seen]
) -> tuple[dict[str, list[windows.Seen]], list[Row]]:
    """All windows after a warm-up of each system; of the `others` one that fails there is only named."""
    failed: list[Row] = []
    for system in [*systems, *others]:
        try:
            probe(system)
            look(system)
        except Failed as error:
            if system not in others:
                raise
            failed.append(windows.not_measured(system.name, error))
    gone = {row["system"] for row in failed}
    kept = [system for system in [*systems, *others] if system.name not in gone]
    return windows.alternate(kept, effort.rounds, look), failed


def _peers(
    effort: Effort, stack: ExitStack, folder: Path, to: int, body: Callable[[str], bytes]
) -> tuple[list[System], list[Row]]:
    found: list[System] = []
    missing: list[Row] = []
    for peer in PEERS if effort.venvs else ():
        assert effort.venvs is not None
        try:
            system = stack.enter_context(running(peer, effort.venvs, folder, to, body))
        except Failed as error:
            missing.append(windows.not_measured(peer.name, error))
        else:
            found.append(replace(system, name=f"{peer.name} {version(peer, effort.venvs)}"))
    return found, missing


@contextmanager
def _lenient(folder: Path) -> Iterator[int]:
    with streaming(folder, 0) as source:
        yield source.port


def _streaming(system: System, model: str) -> System:
    return replace(system, body=chat(model, streams=True), expects=b"data: ", events=CHUNKS + 1)


def _streamed(ours: Product) -> System:
    return _streaming(ours.system(), "chat")


@contextmanager
def _bare(name: str, folder: Path, to: int, *options: str) -> Iterator[System]:
    port = free_port()
    command = [sys.executable, str(_HERE / "bare_app.py"), f"--port={port}", f"--provider={to}", *options]
    log = folder / f"{name.replace(' ', '-')}.log"
    with started(command, SYSTEM_CORE, log=log) as process:
        wait_for(f"http://127.0.0.1:{port}/v1/models", process)
        yield System(name, process.pid, f"http://127.0.0.1:{port}/v1/chat/completions", chat(MODEL))
