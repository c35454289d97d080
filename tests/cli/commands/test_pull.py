from __future__ import annotations

import pytest

from headworks.cli.commands.pull import _check
from headworks.errors import WorkspaceInvalid


@pytest.mark.parametrize("path", ["../a", "a/../../b", "/etc/passwd", "a\\b", "C:/x", ""])
def test_a_server_can_not_write_outside_of_the_folder(path: str) -> None:
    with pytest.raises(WorkspaceInvalid, match="leads out"):
        _check(path)


def test_paths_inside_are_fine() -> None:
    _check("features/claims/prompts/answer.prompty")
