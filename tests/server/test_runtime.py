from __future__ import annotations

import dataclasses
import io
import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.config import Settings
from headworks.server.runtime import Runtime, load_runtime, read_runtime
from headworks.storage.pool import DatabaseUrls

URLS = DatabaseUrls("owner", "app", "system", "ingest")


def changed(value: Any, draw: st.DrawFn) -> Any:
    """The same dataclass with other values in every field, of the right types."""
    hints = get_type_hints(type(value))
    news = {}
    for each in dataclasses.fields(value):
        kind, old = hints[each.name], getattr(value, each.name)
        if dataclasses.is_dataclass(old):
            news[each.name] = changed(old, draw)
        elif kind is bool:
            news[each.name] = draw(st.booleans())
        elif kind is int:
            news[each.name] = draw(st.integers(0, 2**31))
        elif kind is float:
            news[each.name] = draw(st.floats(0.001, 1e6))
        elif kind is str:
            news[each.name] = draw(st.text(max_size=20))
        elif kind is Path:
            news[each.name] = Path("/") / draw(st.text("abc é", min_size=1, max_size=9))
        elif kind == Path | None:
            news[each.name] = draw(st.sampled_from([None, Path("/models")]))
        elif get_origin(kind) is Literal:
            news[each.name] = draw(st.sampled_from(get_args(kind)))
        else:
            assert kind == tuple[str, ...], f"{each.name}: teach this test and runtime.py about {kind}"
            news[each.name] = tuple(draw(st.lists(st.text(max_size=9), max_size=3)))
    return dataclasses.replace(value, **news)


@st.composite
def runtimes(draw: st.DrawFn) -> Runtime:
    return Runtime(
        settings=changed(Settings(), draw),
        urls=DatabaseUrls(*(draw(st.text(max_size=20)) for _ in range(4))),
        master_key=draw(st.binary(min_size=32, max_size=32)),
        base_url=draw(st.text(max_size=20)),
        workspace=draw(st.text(max_size=20)),
        process=draw(st.text(max_size=20)),
        socket_fd=draw(st.integers(-1, 100)),
        ready_fd=draw(st.integers(-1, 100)),
    )


@given(runtimes())
def test_a_process_gets_every_setting_as_it_was_given(runtime: Runtime) -> None:
    assert load_runtime(runtime.dump()) == runtime


def test_the_master_key_is_not_shown_by_accident() -> None:
    runtime = Runtime(Settings(), URLS, b"k" * 32, "http://127.0.0.1:8484")
    assert "kkkk" not in repr(runtime)


def test_it_is_read_up_to_the_end_of_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = Runtime(Settings(data=Path("/data")), URLS, b"k" * 32, "http://127.0.0.1:8484", process="gateway-0")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(runtime.dump())))
    read = read_runtime()
    assert read == runtime
    assert read.journal_folder == Path("/data/journal")
