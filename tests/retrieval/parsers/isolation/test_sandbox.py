"""Each file in a child of its own: what it costs, what stops it, and what a hostile parser can still do.

Parsers that misbehave are planted by their name: a folder on PYTHONPATH holds a module that replaces a real parser in
the prepared process.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import platform
import signal
import subprocess
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import sample_documents as samples

from headworks.errors import DocumentUnreadable, Unavailable
from headworks.retrieval.parsers.isolation import zygote
from headworks.retrieval.parsers.isolation.sandbox import ParseLimits, ParserPool

LIMITS = ParseLimits(memory_mb=256, cpu_s=20, wall_s=30.0, output_chars=100_000, input_bytes=2 << 20)
# Read at the start of the prepared process; what is planted takes the place of the parser of `.log` files.
PLANT = """
import sys
from headworks.retrieval.parsers import plain

def planted(name, data):
{body}

plain.parse_verbatim = planted
"""

_LIBC = ctypes.CDLL(None, use_errno=True)
FILTER = platform.machine() in {"x86_64", "aarch64"} and "Seccomp:" in Path("/proc/self/status").read_text()
needs_filter = pytest.mark.skipif(not FILTER, reason="this kernel or machine filters no system calls")
needs_landlock = pytest.mark.skipif(_LIBC.syscall(444, None, 0, 1) < 1, reason="this kernel has no Landlock")


@pytest.fixture
async def pool() -> AsyncIterator[ParserPool]:
    found = ParserPool(LIMITS)
    yield found
    await found.close()


PlantedPool = Callable[..., ParserPool]


@pytest.fixture
async def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PlantedPool]:
    """A pool whose parser of `.log` files has this body."""
    made: list[ParserPool] = []

    def plant(body: str, limits: ParseLimits = LIMITS) -> ParserPool:
        source = PLANT.format(body=textwrap.indent(textwrap.dedent(body), "    "))
        (tmp_path / "sitecustomize.py").write_text(source)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        made.append(ParserPool(limits))
        return made[-1]

    yield plant
    for each in made:
        await each.close()


async def refusal(pool: ParserPool, name: str, data: bytes) -> DocumentUnreadable:
    with pytest.raises(DocumentUnreadable) as refused:
        await pool.parse(name, data)
    return refused.value


def zygote_of(pool: ParserPool) -> int:
    assert pool._process is not None
    return pool._process.pid


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def until(condition: Callable[[], bool], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.02)


# ── What it is for ──


async def test_documents_of_all_kinds_are_parsed(pool: ParserPool) -> None:
    markdown = await pool.parse("a.md", b"# One\n\ntext")
    assert (markdown.title, markdown.text, markdown.headings[0].end) == ("One", "# One\n\ntext", 5)
    pages = [[(11, 100, "First page here.")], [(11, 100, "Second page here.")]]
    assert (await pool.parse("a.pdf", samples.pdf(pages))).pages == (0, 18)
    body = "<w:p><w:r><w:t>a &lt; b</w:t></w:r></w:p>"
    assert (await pool.parse("a.docx", samples.raw_docx(body))).text == "a < b"
    assert (await pool.parse("a.rtf", rb"{\rtf1 Hello}")).text == "Hello"


async def test_files_are_parsed_side_by_side_and_keep_their_own_results(pool: ParserPool) -> None:
    found = await asyncio.gather(*(pool.parse(f"{n}.md", f"# Title {n}\n\nx".encode()) for n in range(30)))
    assert [each.title for each in found] == [f"Title {n}" for n in range(30)]


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.docx", samples.zip_bomb_docx(300), "bomb"),
        ("a.pdf", samples.encrypted_pdf(), "encrypted"),
        ("a.pdf", b"%PDF-1.7 garbage", "corrupt"),
        ("a.pdf", samples.scanned_pdf(), "needs_ocr"),
        ("a.md", b"", "empty"),
        ("a.txt", bytes(range(256)) * 50, "corrupt"),
        ("a.bin", bytes(range(256)), "unsupported"),
        ("a.md", b"x" * (3 << 20), "too_large"),
        ("a.md", b"x" * 200_000, "too_large"),
    ],
    ids=["bomb", "encrypted", "corrupt", "scan", "empty", "garbage", "unsupported", "large file", "large text"],
)
async def test_each_bad_file_is_refused_with_its_code_and_the_next_is_read(
    pool: ParserPool, name: str, data: bytes, expected: str
) -> None:
    assert (await refusal(pool, name, data)).code == expected
    assert (await pool.parse("a.md", b"still here")).text == "still here"


# ── Limits ──


async def test_a_parser_that_never_ends_is_killed_by_its_cpu_time(planted: PlantedPool) -> None:
    limits = ParseLimits(cpu_s=1, wall_s=60)
    error = await refusal(planted("while True: pass", limits), "a.log", b"x")
    assert (error.code, "longer than 1 s" in str(error)) == ("timeout", True)


async def test_a_parser_that_waits_forever_is_killed_by_the_clock(planted: PlantedPool) -> None:
    limits = ParseLimits(cpu_s=60, wall_s=0.5)
    pool = planted("import time; time.sleep(600)", limits)
    assert (await refusal(pool, "a.log", b"x")).code == "timeout"
    assert children_of(zygote_of(pool)) == []


async def test_a_parser_that_eats_memory_is_stopped(planted: PlantedPool) -> None:
    pool = planted("kept = [bytearray(1 << 20) for _ in range(100_000)]")
    assert (await refusal(pool, "a.log", b"x")).code == "memory"


async def test_a_parser_that_crashes_takes_nothing_with_it(planted: PlantedPool) -> None:
    pool = planted("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    error = await refusal(pool, "a.log", b"x")
    assert (error.code, "signal 11" in str(error)) == ("crashed", True)
    assert (await pool.parse("a.md", b"text")).text == "text"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("raise KeyError('secret text of the file')", "corrupt"),
        ("import os; os._exit(3)", "crashed"),
        ("planted(name, data)", "corrupt"),
        ("return 'no document'", "corrupt"),
    ],
    ids=["exception", "exit", "recursion", "nonsense"],
)
async def test_any_other_end_of_a_parser_has_a_code_and_tells_nothing(
    planted: PlantedPool, body: str, expected: str
) -> None:
    error = await refusal(planted(body), "a.log", b"x")
    assert error.code == expected
    assert "secret" not in str(error)


async def test_a_child_that_writes_without_end_is_cut_off(planted: PlantedPool) -> None:
    body = """
        import gc, socket
        answer = next(each for each in gc.get_objects() if isinstance(each, socket.socket))
        while True: answer.sendall(b"x" * 1_000_000)
    """
    error = await refusal(planted(body), "a.log", b"x")
    assert error.code == "too_large"


# ── Confinement ──


def report(statement: str) -> str:
    """A parser that gives what a statement says, or how it failed."""
    return f"""
        from headworks.retrieval.parsers.contract import ParsedDocument
        try:
            {statement}
        except Exception as error:
            said = type(error).__name__
        return ParsedDocument(str(said), "t", (), "text/plain")
    """


async def told(pool: ParserPool) -> str:
    return (await pool.parse("a.log", b"x")).text


async def test_a_child_has_no_network(planted: PlantedPool) -> None:
    listener = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    body = report(f"import socket; said = socket.create_connection(('127.0.0.1', {port}), 2)")
    found = await told(planted(body))
    listener.close()
    if not FILTER and os.system("unshare --user --net true 2>/dev/null") != 0:  # noqa: S605 -- asks what is allowed here
        pytest.skip("this system lets nobody leave its network")
    assert found in {"OSError", "PermissionError"}


def attempts(*statements: str) -> str:
    """A parser that gives for each expression how it failed, or what it gave."""
    return f"""
        import os, socket, subprocess
        from headworks.retrieval.parsers.contract import ParsedDocument
        said = []
        for statement in {statements!r}:
            try:
                said.append(f"{{statement}}: {{eval(statement)}}")
            except PermissionError:
                pass
            except Exception as error:
                said.append(f"{{statement}}: {{type(error).__name__}}")
        return ParsedDocument(" ".join(said) or "all refused", "t", (), "text/plain")
    """


@needs_filter
async def test_a_child_opens_no_socket_of_any_kind(planted: PlantedPool) -> None:
    families = ("AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK")
    assert await told(planted(attempts(*(f"socket.socket(socket.{each})" for each in families)))) == "all refused"


async def test_a_child_can_write_no_file(planted: PlantedPool, tmp_path: Path) -> None:
    target = tmp_path / "written"
    body = report(f"file = open({str(target)!r}, 'w'); said = file.write('x' * 10); file.flush()")
    assert await told(planted(body)) in {"OSError", "PermissionError"}
    assert not target.exists() or target.read_bytes() == b""


@needs_filter
async def test_a_child_changes_nothing_that_is_there(planted: PlantedPool, tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    kept = folder / "kept"
    kept.write_text("as it was")
    mode = kept.stat().st_mode
    one, two = repr(str(kept)), repr(str(kept) + "2")
    pool = planted(
        attempts(
            f"open({one}, 'w')",
            f"open({one}, 'r+')",
            f"open({one}, 'a')",
            f"os.truncate({one}, 0)",
            f"os.unlink({one})",
            f"os.rename({one}, {two})",
            f"os.symlink({one}, {two})",
            f"os.link({one}, {two})",
            f"os.chmod({one}, 0o777)",
            f"os.mkdir({two})",
            f"os.mkfifo({two})",
        )
    )
    assert await told(pool) == "all refused"
    assert (kept.read_text(), kept.stat().st_mode, list(folder.iterdir())) == ("as it was", mode, [kept])


@needs_landlock
async def test_a_child_reads_no_file_that_is_not_of_the_programs(
    planted: PlantedPool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    secret = tmp_path_factory.mktemp("keys") / "headworks.toml"
    secret.write_text("master_key = 'abc'")
    paths = (str(secret), "/etc/passwd", "/proc/1/environ", "/etc/hosts")
    pool = planted(attempts(*(f"open({each!r}).read()" for each in paths)))
    assert [await told(pool) for _ in range(2)] == ["all refused"] * 2, "the rules are made once, and hold for each"


async def test_a_child_has_nothing_open_but_what_it_answers_on(planted: PlantedPool) -> None:
    pool = planted(
        """
        import os, stat
        from headworks.retrieval.parsers.contract import ParsedDocument
        kinds = []
        for number in range(3, 256):
            try:
                mode = os.fstat(number).st_mode
            except OSError:
                continue
            kinds.append("socket" if stat.S_ISSOCK(mode) else f"{number}: {mode:o}")
        return ParsedDocument(" ".join(kinds), "t", (), "text/plain")
        """
    )
    assert await asyncio.gather(*(told(pool) for _ in range(3))) == ["socket"] * 3, "no rules, no other's answer"


@needs_filter
async def test_a_child_starts_and_ends_no_process(planted: PlantedPool) -> None:
    pool = planted(
        attempts(
            "os.fork()",
            "os.execv('/bin/sh', ['sh', '-c', 'true'])",
            "subprocess.run(['/bin/true'])",
            "os.posix_spawn('/bin/true', ['true'], {})",
            "os.kill(os.getppid(), 9)",
            "os.kill(1, 0)",
            "os.pidfd_open(os.getppid())",
        )
    )
    assert await told(pool) == "all refused"
    assert children_of(zygote_of(pool)) == []


async def test_a_child_that_splits_without_end_leaves_none_behind(planted: PlantedPool) -> None:
    pool = planted("import os\nwhile True: os.fork()", ParseLimits(cpu_s=2, wall_s=5))
    assert (await refusal(pool, "a.log", b"x")).code in {"corrupt", "timeout", "crashed"}
    await until(lambda: not children_of(zygote_of(pool)))
    assert (await pool.parse("a.md", b"text")).text == "text"


@needs_filter
async def test_threads_are_allowed(planted: PlantedPool) -> None:
    body = report("import concurrent.futures as c; said = c.ThreadPoolExecutor(2).submit(lambda: 'done').result()")
    assert await told(planted(body)) == "done"


async def test_a_child_that_prints_a_gigabyte_prints_to_nobody(planted: PlantedPool) -> None:
    assert (
        await told(planted(report("import os; [os.write(1, bytes(1 << 24)) for _ in range(64)]; said = 'done'")))
        == "done"
    )


async def test_more_text_than_allowed_is_refused_before_it_leaves_the_child(planted: PlantedPool) -> None:
    body = """
        from headworks.retrieval.parsers.contract import ParsedDocument
        return ParsedDocument('x' * 150_000, 't', (), 'text/plain')
    """
    assert (await refusal(planted(body), "a.log", b"x")).code == "too_large"


async def test_a_child_is_in_none_of_the_pools_business(planted: PlantedPool) -> None:
    body = report(
        "import os; said = sorted(os.readlink(f'/proc/self/fd/{n}')[:5] for n in os.listdir('/proc/self/fd')[:-1])"
    )
    found = await planted(body).parse("a.log", b"x")
    # Nothing but the null device three times and the socket of its own answer.
    assert found.text in {"['/dev/', '/dev/', '/dev/', 'socke']", "FileNotFoundError", "PermissionError"}


# ── Life and death ──


async def test_a_dead_zygote_is_replaced_and_the_file_is_read(pool: ParserPool) -> None:
    await pool.parse("a.md", b"one")
    first = zygote_of(pool)
    os.kill(first, signal.SIGKILL)
    assert (await pool.parse("a.md", b"two")).text == "two"
    assert zygote_of(pool) != first


async def one_at_work(pool: ParserPool, before: int) -> int:
    """The next prepared process, as soon as it has a child."""
    await until(lambda: pool._process is not None and zygote_of(pool) != before)
    await until(lambda: bool(children_of(zygote_of(pool))))
    return zygote_of(pool)


async def test_a_zygote_that_dies_with_a_task_is_tried_once_more(planted: PlantedPool) -> None:
    pool = planted("import time; time.sleep(600)", ParseLimits(wall_s=60))
    parsing = asyncio.create_task(pool.parse("a.log", b"x"))
    first = await one_at_work(pool, 0)
    os.kill(first, signal.SIGKILL)
    os.kill(await one_at_work(pool, first), signal.SIGKILL)
    with pytest.raises(Unavailable, match="died twice"):
        await parsing
    assert (await pool.parse("a.md", b"text")).text == "text"


async def test_children_die_with_the_zygote(planted: PlantedPool) -> None:
    pool = planted("import time; time.sleep(600)", ParseLimits(wall_s=60))
    parsing = asyncio.create_task(pool.parse("a.log", b"x"))
    await until(lambda: pool._process is not None and bool(children_of(zygote_of(pool))))
    child = children_of(zygote_of(pool))[0]
    await pool.close()
    with pytest.raises(Unavailable, match="stopped"):
        await parsing
    await until(lambda: not is_alive(child))


async def test_a_cancelled_parse_leaves_no_child_behind(planted: PlantedPool) -> None:
    pool = planted("import time; time.sleep(600)", ParseLimits(wall_s=60))
    parsing = asyncio.create_task(pool.parse("a.log", b"x"))
    await until(lambda: pool._process is not None and bool(children_of(zygote_of(pool))))
    parsing.cancel()
    await asyncio.gather(parsing, return_exceptions=True)
    await until(lambda: not children_of(zygote_of(pool)))
    assert (await pool.parse("a.md", b"text")).text == "text"


async def test_closing_ends_the_process_and_the_next_file_starts_another(pool: ParserPool) -> None:
    await pool.parse("a.md", b"one")
    first = zygote_of(pool)
    await pool.close()
    assert not Path(f"/proc/{first}").exists()
    assert (await pool.parse("a.md", b"two")).text == "two"


async def test_closing_while_the_process_starts_leaves_none(pool: ParserPool) -> None:
    parsing = asyncio.create_task(pool.parse("a.md", b"text"))
    await until(lambda: pool._starting is not None)
    parsing.cancel()
    await pool.close()
    assert pool._process is None
    await asyncio.gather(parsing, return_exceptions=True)


async def test_closing_an_unused_pool_is_no_error() -> None:
    await ParserPool().close()


def test_a_child_is_killed_before_it_leads_a_group_of_its_own() -> None:
    with subprocess.Popen(["/bin/sleep", "600"]) as child:
        zygote._kill(child.pid)
        assert child.wait(20) == -signal.SIGKILL
