from __future__ import annotations

from headworks.cli.doctor.findings import Finding, checked
from headworks.errors import ModelMissing


def test_an_error_is_something_to_do_with_its_next_step() -> None:
    def broken() -> str:
        raise ModelMissing("Not there.", next_step="Install it.")

    assert checked("model", broken) == Finding("model", "to do", "Not there.", "Install it.")
    assert checked("model", lambda: "fine") == Finding("model", "ok", "fine")


def test_scripts_see_all_of_it() -> None:
    assert Finding("a", "note", "b").as_json() == {"what": "a", "state": "note", "detail": "b", "next_step": ""}
