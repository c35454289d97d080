"""One faulty provider and one server with short deadlines, for the whole wall."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from running_server import start_server
from wall import ENVIRONMENT, Wall, faulty_provider, put_up


@pytest.fixture(scope="session")
def wall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wall]:
    folder = tmp_path_factory.mktemp("fault-wall")
    for each in (folder, *list(folder.parents)[:2]):
        each.chmod(each.stat().st_mode | 0o011)
    with faulty_provider(folder) as (ports, log):
        server = start_server(folder / "server", None, **ENVIRONMENT)
        yield put_up(server, ports, log)
        assert server.stop() == 0, server.log.read_text()
