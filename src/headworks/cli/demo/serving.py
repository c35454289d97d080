"""A server for as long as a story takes: it runs in this process's main thread, the story in another."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from headworks.cli.demo.keys import keep_key
from headworks.cli.local import remove_address, write_address
from headworks.config import Settings
from headworks.server.supervisor import Supervisor

_ENDING_LIMIT_S = 10.0


class Run:
    """One server with one story. `stays`: the server stays up after the story, until a signal comes."""

    def __init__(self, settings: Settings, story: Callable[[str, str], None], *, stays: bool) -> None:
        """`story` gets the server's address and the administrator's key."""
        self._settings = settings
        self._story = story
        self._stays = stays
        self._interrupted = False
        self._is_ending = False
        self._is_told = False
        self._error: BaseException | None = None

    def serve(self, progress: Callable[[str], None]) -> bool:
        """Start, tell, and end everything; False when it was interrupted before the story's end.

        Raises StartupRefused, or what the story raised.
        """
        supervisor = Supervisor(self._settings, None)
        prepared = supervisor.start(progress)
        try:
            # Before `run`, which takes it that the first key has been shown.
            key = keep_key(self._settings.data, prepared.admin_key)
            teller = threading.Thread(target=self._tell, args=(prepared.url, key), name="story", daemon=True)
            with self._signals(), _address(self._settings, prepared.url):
                teller.start()
                supervisor.run()
        finally:
            supervisor.stop()
        teller.join(_ENDING_LIMIT_S)
        if self._error is not None and not self._interrupted:
            raise self._error
        return self._is_told

    def _tell(self, url: str, key: str) -> None:
        try:
            self._story(url, key)
            self._is_told = True
        except Exception as error:  # noqa: BLE001 -- carried to the main thread, which raises it
            self._error = error
        if self._error is not None or not self._stays:
            self._is_ending = True
            os.kill(os.getpid(), signal.SIGTERM)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Remember that somebody wants it to stop; the supervisor, whose signals they are, does it."""
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def note(number: int, frame: FrameType | None) -> None:
            self._interrupted = self._interrupted or not self._is_ending
            handler = before[signal.Signals(number)]
            if callable(handler):
                handler(number, frame)

        for number in before:
            signal.signal(number, note)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def _address(settings: Settings, url: str) -> Iterator[None]:
    write_address(settings.data, url)
    try:
        yield
    finally:
        remove_address(settings.data)
