"""Who looks on at an experiment, and stops to."""

from __future__ import annotations

from typing import Any

import pytest

from headworks.cli import awaiting
from headworks.cli.commands import eval as command


def test_interrupted_it_says_under_which_id_the_experiment_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(awaiting, "ended", interrupted)
    row = {"id": "019a-some-id", "feature": "claims", "release": "sha256:" + "a" * 64}
    with pytest.raises(KeyboardInterrupt):
        command._watch(None, row)  # type: ignore[arg-type] # nobody is asked
    assert "It goes on as 019a-some-id: `headworks eval show`" in capsys.readouterr().err
