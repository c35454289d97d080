"""The fault wall: every kind of upstream fault, on every surface, streamed or not, with and without fallbacks."""

from __future__ import annotations

from itertools import count

import pytest
from damages import DAMAGES
from expectations import judge
from fault_cases import WALL_CHAINS, Case, all_cases, all_leaving
from fault_surfaces import SERVED
from wall import Wall

_TURN = count(1)


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in all_cases()])
def test_whatever_the_provider_does_the_caller_is_told_the_truth(wall: Wall, case: Case) -> None:
    complaints = wall.judged(case)
    assert not complaints, "\n" + "\n".join(map(str, complaints))


@pytest.mark.parametrize(
    ("case", "how"), [pytest.param(*each, id=f"{each[0].name}-{each[1]}") for each in all_leaving()]
)
def test_the_provider_is_stopped_when_the_caller_leaves(wall: Wall, case: Case, how: str) -> None:
    complaints = wall.judged_leaving(case, how)
    assert not complaints, "\n" + "\n".join(map(str, complaints))


@pytest.mark.parametrize(
    ("kind", "surface"),
    [
        ("silence", "chat"),
        ("stall-after-tokens", "chat-stream"),
        ("silence", "embeddings"),
        ("silence", "messages"),
        ("stall-after-tokens", "messages-stream"),
        ("stall-after-tokens", "responses-stream"),
        ("stall-after-tokens", "chat-over-bedrock-stream"),
        ("silence", "chat-over-gemini"),
        ("stall-after-tokens", "responses-over-anthropic-stream"),
        ("stall-after-tokens", "chat-by-aiohttp-stream"),
    ],
)
def test_the_provider_is_stopped_within_a_tenth_of_a_second(wall: Wall, kind: str, surface: str) -> None:
    """The contract's figure. A busy machine can only make it longer, so the quickest of several has to keep it."""
    row = next(each for each in SERVED if each.name == surface)
    after = []
    for _ in range(5):
        (evidence,) = wall.play_leaving([(Case(kind, "alone", row, f" quick {next(_TURN)}"), "fin")])
        after.append(evidence.seen[-1].left_at - evidence.received.left_at)
    assert 0 <= min(after) <= 0.1, after


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    "surface", ["messages-stream", "responses-stream", "chat-over-anthropic-stream", "responses-over-anthropic-stream"]
)
def test_damage_is_heard_in_every_format(wall: Wall, surface: str, damage: str) -> None:
    """The oracle finds it in what a right gateway has answered; see test_planted_defects for one that is wrong."""
    kind, named, spoil = DAMAGES[damage]
    row = next(each for each in SERVED if each.name == surface)
    case = Case(kind, "alone", row, " damaged")
    if case not in wall.played:
        wall.play([case])
    evidence = wall.played[case]
    assert judge(evidence) == []
    if damage == "untold-usage" and row.inbound == "chat":
        assert evidence.heard().counts is None  # it was not asked for
    else:
        assert named in {each.name for each in judge(spoil(evidence))}


def test_a_request_that_a_kept_connection_swallows_is_not_sent_again_unrecorded(wall: Wall) -> None:
    """The provider reads it and hangs up: it may have been worked on, and paid for."""
    row = SERVED[0]
    first, second = (Case("reused-then-closed", "alone", row, f" reused {turn}") for turn in range(2))
    for case in (first, second):
        wall.play([case])
    evidence = wall.played[second]
    assert evidence.row is not None
    assert evidence.row["attempts"] == len(evidence.seen)


def test_the_wall_is_as_large_as_it_is_said_to_be() -> None:
    played = {case.kind for case in all_cases()}
    assert len(played) >= 40
    assert len({(case.kind, case.surface.name, case.chain) for case in all_cases()}) == len(list(all_cases()))
    assert {len(case.targets) for case in all_cases()} == {1, 2, 3}


def test_every_kind_meets_every_chain_at_every_vendor() -> None:
    """Where rows share the chains, they have all of them between them, streamed and not."""
    met: dict[tuple[str, str, bool], set[str]] = {}
    for case in all_cases():
        met.setdefault((case.kind, case.surface.upstream, case.surface.streams), set()).add(case.chain)
    short = {place for place, chains in met.items() if chains != set(WALL_CHAINS) and place[1] != "completions"}
    assert short == set()
    assert {upstream for _, upstream, _ in met} >= {
        "chat",
        "completions",
        "converse",
        "gemini",
        "messages",
        "responses",
    }
