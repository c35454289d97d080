"""A jobs process of the tests: one kind of work, `count`, whose steps note themselves in the table `noted`.

Run as a program with the database's URL, for how long it may be idle, and how often a run is taken over.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys

import psycopg

from headworks.jobs.engine import Jobs, Run


async def main(url: str, idle_s: float, most_takeovers: int) -> None:
    async def note(run: str, step: int, pause_s: float) -> int:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute("INSERT INTO public.noted VALUES (%s, %s, 'begun')", [run, step])
            await asyncio.sleep(pause_s)
            await connection.execute("INSERT INTO public.noted VALUES (%s, %s, 'ended')", [run, step])
        return step

    async def count(run: Run, steps: int, pause_s: float) -> int:
        total = 0
        for step in range(steps):
            total += await run.step("note", note, run.id, step, pause_s)
        return total

    async def fail(run: Run) -> None:
        async def refuse() -> None:
            raise ValueError("the row says: secret of a patient")

        await run.step("refuse", refuse)

    jobs = Jobs(url, most_takeovers=most_takeovers)
    jobs.register("count", count)
    jobs.register("fail", fail)
    await jobs.start()
    print("working", flush=True)
    idle = asyncio.create_task(jobs.run_until_idle(idle_s))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, idle.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await idle
    stopping = asyncio.create_task(jobs.stop())
    while not stopping.done():
        await asyncio.to_thread(int)  # as the gateway's view does, which is looked at until everything is down
    await stopping
    print("idle", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))
