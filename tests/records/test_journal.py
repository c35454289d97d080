"""The journal: what `append` has returned is read back, whatever happens to the process."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import StartupRefused, Unavailable
from headworks.records.journal import Journal, read_journal, replayable
from headworks.records.journal_segments import MAGIC, framed, segment_path, segments


def payloads(folder: Path, from_position: int = 0) -> list[bytes]:
    return [payload for _, payload in read_journal(folder, from_position)]


def abandon(journal: Journal) -> None:
    """Let go of the lock without confirming, as a worker's death does."""
    journal.close()


def child(script: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_records_come_back_in_order_with_their_positions(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    written = [b"%d" % number * (number + 1) for number in range(50)]
    positions = [journal.append(payload) for payload in written]
    assert positions == sorted(set(positions))
    assert list(read_journal(journal.path)) == list(zip(positions, written, strict=True))
    assert payloads(journal.path, positions[9]) == written[10:]
    assert payloads(journal.path, positions[-1]) == []
    assert journal.position == positions[-1]
    journal.close()


def test_an_empty_record_is_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with pytest.raises(ValueError, match="no empty records"):
        journal.append(b"")
    journal.close()


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.append(b"x")
    for path in (tmp_path / "journal", journal.path, *journal.path.iterdir(), journal.path.with_suffix(".lock")):
        assert path.stat().st_mode & 0o077 == 0
    journal.close()


def test_segments_end_at_their_size_and_are_read_as_one(tmp_path: Path) -> None:
    journal = Journal(tmp_path, rotate_bytes=100)
    positions = [journal.append(b"record %03d" % number) for number in range(40)]
    found = segments(journal.path)
    assert len(found) > 5
    assert all(path.stat().st_size <= 100 + len(MAGIC) + 18 for _, path in found)
    assert [position for position, _ in read_journal(journal.path)] == positions
    for index in range(40):
        assert payloads(journal.path, positions[index]) == [b"record %03d" % number for number in range(index + 1, 40)]
    journal.close()


def test_confirmed_segments_are_deleted_and_others_are_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path, rotate_bytes=100, sync_ms=1)
    positions = [journal.append(b"record %03d" % number) for number in range(40)]
    found = segments(journal.path)
    journal.confirm(positions[19])
    assert journal.backlog_bytes == positions[-1] - positions[19]
    kept = [start for start, _ in found if start >= positions[19]]
    wait_until(lambda: [start for start, _ in segments(journal.path)][1:] == kept)
    assert payloads(journal.path, positions[19]) == [b"record %03d" % number for number in range(20, 40)]
    journal.confirm(positions[-1])
    wait_until(lambda: len(segments(journal.path)) == 1)
    journal.append(b"after")
    assert payloads(journal.path)[-1] == b"after"
    journal.close()


def test_a_position_that_was_never_written_cannot_be_confirmed(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with pytest.raises(ValueError, match="never written"):
        journal.confirm(journal.append(b"x") + 1)
    journal.close()


def test_a_journal_that_is_confirmed_to_its_end_leaves_nothing_behind(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.confirm(journal.append(b"x"))
    journal.close()
    journal.close()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Unavailable, match="closed"):
        journal.append(b"y")


@given(
    st.lists(st.binary(min_size=1, max_size=300), max_size=20),
    st.integers(30, 400),
    st.data(),
)
def test_any_records_in_any_segments_survive_a_cut_up_to_the_last_whole_one(
    tmp_path_factory: pytest.TempPathFactory, written: list[bytes], rotate_bytes: int, data: st.DataObject
) -> None:
    journal = Journal(tmp_path_factory.mktemp("journal"), rotate_bytes=rotate_bytes)
    positions = [journal.append(payload) for payload in written]
    start, last = segments(journal.path)[-1]
    size = last.stat().st_size
    cut = data.draw(st.integers(0, size), label="bytes left of the last segment")
    os.truncate(last, cut)
    whole = [
        p
        for p, position in zip(written, positions, strict=True)
        if position <= start or position - start <= cut - len(MAGIC)
    ]
    assert payloads(journal.path) == whole
    os.truncate(last, size)  # what was cut off reads as zeros now
    assert payloads(journal.path) == whole
    abandon(journal)


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=8), st.data())
def test_a_flipped_bit_never_changes_a_record_unseen(
    tmp_path_factory: pytest.TempPathFactory, written: list[bytes], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    raw = bytearray(MAGIC + b"".join(framed(payload) for payload in written))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= 1 << data.draw(st.integers(0, 7))
    segment_path(folder, 0).write_bytes(raw)
    assert payloads(folder) == written[: len(payloads(folder))]
    assert len(payloads(folder)) < len(written)


def test_damage_in_the_middle_hides_its_segment_only_and_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(tmp_path, rotate_bytes=50)
    for number in range(12):
        journal.append(b"record %03d" % number)
    first = segments(journal.path)[0][1]
    raw = bytearray(first.read_bytes())
    raw[len(MAGIC) + 18 + 9] ^= 1
    first.write_bytes(raw)
    left = payloads(journal.path)
    assert left[0] == b"record 000"
    assert left[1:] == [b"record %03d" % number for number in range(13 - len(left), 12)]
    assert "is damaged" in caplog.text
    abandon(journal)


KILLED = """
    import sys
    from pathlib import Path
    from headworks.records.journal import Journal
    journal = Journal(Path(sys.argv[1]), rotate_bytes=20_000)
    number = 0
    while True:
        journal.append(b"request %d " % number + bytes([number % 256]) * (number % 700))
        sys.stdout.buffer.write(b"%d\\n" % number)
        sys.stdout.buffer.flush()
        number += 1
"""


@pytest.mark.parametrize("acknowledged", [1, 300, 2000])
def test_kill_9_loses_nothing_that_was_acknowledged(acknowledged: int, tmp_path: Path) -> None:
    with child(KILLED, str(tmp_path)) as worker:
        assert worker.stdout is not None
        seen = -1
        for line in worker.stdout:
            seen = int(line)
            if seen >= acknowledged:
                break
        assert list(replayable(tmp_path)) == [], "a living worker owns its journal"
        worker.send_signal(signal.SIGKILL)
        seen = max([seen, *map(int, worker.stdout.read().split())])
        assert worker.wait(10) == -signal.SIGKILL
    (numbers,) = [[int(payload.split()[1]) for _, payload in abandoned.records()] for abandoned in replayable(tmp_path)]
    assert numbers == list(range(len(numbers)))
    assert seen < len(numbers) <= seen + 2


def test_an_abandoned_journal_is_replayed_until_it_is_confirmed(tmp_path: Path) -> None:
    journal = Journal(tmp_path, rotate_bytes=100)
    written = [b"record %03d" % number for number in range(30)]
    for payload in written:
        journal.append(payload)
    alive = Journal(tmp_path)
    alive.append(b"alive")
    abandon(journal)

    for abandoned in replayable(tmp_path):  # interrupted before anything was confirmed
        assert abandoned.path == journal.path
        assert next(iter(abandoned.records()))[1] == written[0]
    copied = []
    for abandoned in replayable(tmp_path):  # interrupted half-way
        for position, payload in abandoned.records():
            copied.append(payload)
            if len(copied) == 20:
                abandoned.confirm(position)
                break
    assert copied == written[:20]
    again = []
    for abandoned in replayable(tmp_path):
        for position, payload in abandoned.records():
            again.append(payload)
            abandoned.confirm(position)
    assert again[-10:] == written[20:]
    assert len(again) < 20, "segments that were confirmed are not read again"
    assert list(replayable(tmp_path)) == []
    assert not journal.path.exists()
    assert alive.path.exists()
    alive.close()


def test_a_journal_is_replayed_by_one_at_a_time(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(b"x")
    abandon(journal)
    for abandoned in replayable(tmp_path):
        assert list(replayable(tmp_path)) == []
        assert [payload for _, payload in abandoned.records()] == [b"x"]
    assert len(list(replayable(tmp_path))) == 1


def test_a_journal_without_whole_records_is_cleared_away(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(b"x")
    abandon(journal)
    os.truncate(segments(journal.path)[0][1], len(MAGIC) + 3)
    for abandoned in replayable(tmp_path):
        assert list(abandoned.records()) == []
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_replayed_from_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert list(replayable(tmp_path / "none")) == []


FULL = """
    import resource, sys
    from pathlib import Path
    from headworks.errors import Unavailable
    from headworks.records.journal import Journal, read_journal
    journal = Journal(Path(sys.argv[1]), rotate_bytes=1 << 30)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
    kept = 0
    try:
        while True:
            journal.append(b"%d " % kept + b"x" * 700)
            kept += 1
    except Unavailable as error:
        print(error, flush=True)
    small = journal.append(b"small")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    journal.append(b"again")
    found = [payload.split()[0] for _, payload in read_journal(journal.path)]
    assert found == [b"%d" % number for number in range(kept)] + [b"small", b"again"], found
    journal.close()
"""


def test_a_full_disk_refuses_the_record_says_what_to_do_and_leaves_no_half_of_it(tmp_path: Path) -> None:
    with child(FULL, str(tmp_path)) as worker:
        said, complained = worker.communicate(timeout=60)
    assert worker.returncode == 0, complained.decode()
    assert b"could not be recorded" in said
    assert b"File too large" in said
    assert b"Free space on the disk" in said


def test_when_no_new_segment_can_be_created_the_record_is_refused_and_later_ones_go_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path, rotate_bytes=1)
    journal.append(b"first")
    aside = tmp_path / "aside"
    journal.path.rename(aside)
    with pytest.raises(Unavailable, match="No such file or directory"):
        journal.append(b"second")
    aside.rename(journal.path)
    journal.append(b"third")
    assert payloads(journal.path) == [b"first", b"third"]
    journal.close()


def test_a_folder_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartupRefused, match=r"can't be created.*Make the data folder writable"):
        Journal(tmp_path / "file" / "journal")


def test_what_is_written_is_brought_to_the_disk_without_being_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    real = os.fdatasync

    def noting(fd: int) -> None:
        synced.append(os.fstat(fd).st_size)
        real(fd)

    monkeypatch.setattr(os, "fdatasync", noting)
    journal = Journal(tmp_path, sync_ms=1)
    for number in range(3):
        position = journal.append(b"record %d" % number)
        wait_until(lambda position=position: position + len(MAGIC) in synced)
    journal.close()


def test_a_failed_sync_starts_a_new_segment_and_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(fd: int) -> None:
        raise OSError(5, os.strerror(5))

    journal = Journal(tmp_path, sync_ms=1)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", failing)
        journal.append(b"first")
        wait_until(lambda: "could not be brought to the disk" in caplog.text)
    journal.append(b"second")
    assert len(segments(journal.path)) == 2
    assert payloads(journal.path) == [b"first", b"second"]
    journal.close()


def test_the_lock_is_held_while_the_journal_lives_and_no_longer(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(b"x")
    with journal.path.with_suffix(".lock").open() as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        abandon(journal)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def wait_until(condition: object, seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.001)
