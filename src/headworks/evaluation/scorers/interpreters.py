"""Processes that run other libraries' metrics: one a library, in an interpreter that need not be ours.

Their packages want versions that ours exclude (docs/reference/scorers.md), import for seconds, and send telemetry. So
none is imported here: a child runs `adapters/scoring`, with no environment, no network and no files, and asks its
models over its pipe. It starts with the first score, and ends with its pipe.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headworks.errors import Unavailable

Answer = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""What a metric asks of models, answered; an error is an answer with `error` and `reason`, never raised."""

TIMEOUT = "scorer_timeout"
LONGEST_S = 600.0
_SOURCE = Path(__file__).parents[3]
# Ours may not be installed there, and nothing of what stands beside ours may come in: only our own folder can be found.
_START = """
import sys, types
headworks = sys.modules["headworks"] = types.ModuleType("headworks")
headworks.__path__ = [sys.argv[2] + "/headworks"]
from headworks.adapters.scoring.program import main
main(*sys.argv[1:])
"""
_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/nonexistent",
    "DEEPEVAL_TELEMETRY_OPT_OUT": "1",
    "DEEPEVAL_DISABLE_DOTENV": "1",
    "DEEPEVAL_FILE_SYSTEM": "READ_ONLY",
    "RAGAS_DO_NOT_TRACK": "true",
    "OTEL_SDK_DISABLED": "true",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "NO_COLOR": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
_LONGEST_LINE = 1 << 25
_CLOSING_S = 5.0


@dataclass(slots=True)
class _Scoring:
    """One score that is being made."""

    done: asyncio.Future[Mapping[str, Any]]
    answer: Answer
    context: Context = field(default_factory=copy_context)
    """Of who waits for it: calls are paid from his purse."""
    asking: set[asyncio.Task[None]] = field(default_factory=set)


class Interpreters:
    """One for a process and its event loop. `python` None: our own interpreter, where the libraries may be, too."""

    def __init__(self, python: Path | None = None, longest_s: float = LONGEST_S) -> None:
        self._python = python or Path(sys.executable)
        self._longest_s = longest_s
        self._children: dict[str, _Child] = {}
        self._starting = asyncio.Lock()

    async def score(self, library: str, task: Mapping[str, Any], answer: Answer) -> Mapping[str, Any]:
        """`{"value", "reason"}` or `{"error", "reason"}`. Raises Unavailable where the interpreter can't be started."""
        async with self._starting:
            child = self._children.get(library)
            if child is None or child.is_over:
                child = self._children[library] = await self._started(library)
        return await child.score(task, answer, self._longest_s)

    async def close(self) -> None:
        """End them all."""
        children, self._children = list(self._children.values()), {}
        await asyncio.gather(*(child.close() for child in children))

    async def _started(self, library: str) -> _Child:
        try:
            process = await asyncio.create_subprocess_exec(
                *(str(self._python), "-I", "-B", "-c", _START, library, str(_SOURCE)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,  # what a library prints may quote the texts that it scores
                env=_ENVIRONMENT,
                cwd="/",
                limit=_LONGEST_LINE,
            )
        except OSError as error:
            raise Unavailable(
                f"The interpreter of scorers {self._python} can't be started: {error.strerror}.",
                next_step="Correct `evaluation.scorer_python`.",
            ) from None
        return _Child(process)


class _Child:
    """A running child."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("It needs both its pipes.")
        self._process = process
        self._in, self._out = process.stdin, process.stdout
        self._numbers = itertools.count(1)
        self._scorings: dict[int, _Scoring] = {}
        self._reader = asyncio.create_task(self._read())
        self.is_over = False

    async def score(self, task: Mapping[str, Any], answer: Answer, longest_s: float) -> Mapping[str, Any]:
        number = next(self._numbers)
        scoring = _Scoring(asyncio.get_running_loop().create_future(), answer)
        self._scorings[number] = scoring
        try:
            await self._write({"score": number, **task})
            async with asyncio.timeout(longest_s):
                return await scoring.done
        except TimeoutError:
            self._end()  # what hangs in it can't be stopped otherwise
            return {"error": TIMEOUT, "reason": f"It took longer than {longest_s:g} seconds."}
        finally:
            del self._scorings[number]
            for each in scoring.asking:
                each.cancel()

    async def close(self) -> None:
        self._in.close()
        try:
            async with asyncio.timeout(_CLOSING_S):
                await self._process.wait()
        except TimeoutError:
            self._end()
        await self._reader
        await self._process.wait()

    def _end(self) -> None:
        self.is_over = True
        if self._process.returncode is None:
            self._process.kill()

    async def _read(self) -> None:
        """Until it ends, or says what is no message."""
        try:
            while line := await self._out.readline():
                self._take(json.loads(line))
        except ValueError:
            self._end()
        self.is_over = True
        for each in self._scorings.values():
            if not each.done.done():
                each.done.set_result({"error": "scorer_failed", "reason": "Its process ended before it had a score."})

    def _take(self, message: dict[str, Any]) -> None:
        if "done" in message:
            scoring = self._scorings.get(message["done"])
            if scoring is not None and not scoring.done.done():
                scoring.done.set_result(message)
            return
        scoring = self._scorings.get(message["of"])
        if scoring is None:  # nobody waits for it any more; its thread is not to wait for ever
            gone = {"answer": message["asked"], "error": "scorer_failed", "reason": "Nobody waits for the score."}
            self._in.write(json.dumps(gone).encode() + b"\n")
            return
        asking = asyncio.create_task(self._reply(scoring, message), context=scoring.context.copy())
        scoring.asking.add(asking)
        asking.add_done_callback(scoring.asking.discard)

    async def _reply(self, scoring: _Scoring, message: Mapping[str, Any]) -> None:
        answered: Mapping[str, Any] = {"error": "scorer_failed", "reason": "Nobody waits for the score."}
        try:
            answered = await scoring.answer(message)
        finally:
            await self._write({"answer": message["asked"], **answered})

    async def _write(self, message: Mapping[str, Any]) -> None:
        try:
            self._in.write(json.dumps(message).encode() + b"\n")
            await self._in.drain()
        except (ConnectionError, RuntimeError):
            self.is_over = True  # the reader tells everybody who waits
