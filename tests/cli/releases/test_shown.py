"""Proposals and releases as people see them."""

from __future__ import annotations

from typing import Any

from headworks.cli.releases import shown

A, B = "sha256:" + "a1" * 32, "sha256:" + "b2" * 32


def standing(digest: str = A, **more: Any) -> dict[str, Any]:
    usual = {"feature": "claims", "kind": "feature", "risk": "low", "live": None, "gate": None, "conditions": []}
    return usual | {"digest": digest, "behaviour": None} | more


def proposal(*standings: dict[str, Any], **more: Any) -> dict[str, Any]:
    usual = {"number": 7, "title": "Kinder", "state": "open", "by": "jane", "at": "2026-01-02T03:04:05.6Z"}
    empty: dict[str, Any] = {"stale": None, "description": "", "files": [], "comments": []}
    return usual | empty | {"releases": [{"base": None, "files": [], "standing": each} for each in standings]} | more


def test_an_open_proposal_ends_with_the_command_that_approves_what_was_shown() -> None:
    told = shown.proposal(proposal(standing(A), standing(B, kind="gate")))
    assert told.splitlines()[0] == "#7 Kinder"
    assert "open, by jane at 2026-01-02 03:04:05" in told
    assert told.endswith(
        "To approve what you have read: headworks release approve 7 --digest a1a1a1a1a1a1,b2b2b2b2b2b2"
    )
    assert "release approve" not in shown.proposal(proposal(standing(A), state="accepted"))


def test_releases_and_gates_are_named_in_a_sentence() -> None:
    said = shown.names([standing(A), standing(B, kind="gate")])
    assert said == "`claims` a1a1a1a1a1a1, the gate of `claims` b2b2b2b2b2b2"


def test_a_title_can_not_move_the_cursor() -> None:
    assert "\x1b" not in shown.proposal(proposal(standing(), title="x\x1b[2J", description="y\x1b[1m"))
