"""Drafts and proposals: what an expert writes in a browser and what an engineer commits are one thing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from release_world import FEATURE, PROMPT, World, workspace

from headworks.errors import Conflict, Forbidden, InvalidRequest, NotFound, NotSupportedYet, WorkspaceInvalid
from headworks.releases.evidence.attestations import COMPARISON, VERDICT
from headworks.releases.proposals.file_diffs import FileDiff
from headworks.releases.proposals.resolving import Wanted
from headworks.releases.proposals.word_diff import Piece, word_diff
from headworks.types.identity import Principal
from headworks.types.ids import Digest

AT = "features/claims/prompts/answer.prompty"
SETTINGS = "features/claims/feature.yaml"
GATE = {"features/claims/evals/gate.yaml": b"alpha: 0.05\n"}
KIND = PROMPT.replace("Be brief.", "Be kind, and brief.")


def edit(text: str = KIND, title: str = "kinder", more_files: dict[str, str] | None = None, **more: Any) -> Wanted:
    files = {AT: text} | (more_files or {})
    return Wanted(title, files={path: content.encode() for path, content in files.items()}, **more)


async def propose(world: World, wanted: Wanted | None = None, by: Principal | None = None, **more: Any) -> int:
    return await world.releases.proposals.make(by or world.admin, "default", wanted or edit(), **more)


async def test_an_accepted_proposal_and_an_engineers_commit_are_the_same_bytes(guest: World, world: World) -> None:
    await guest.apply()
    expert = await guest.person("jane", "expert")
    number = await propose(guest, by=expert)
    (moved,) = await guest.releases.proposals.accept(guest.admin, number)
    await world.apply(prompt=KIND)
    assert await guest.releases.pull(guest.admin, "default") == await world.releases.pull(world.admin, "default")
    assert moved.after == await guest.digest() == await world.digest()
    log, _ = await guest.releases.promotions.log(guest.admin, "default", "claims")
    assert log[-1].proposal == number


async def test_a_proposal_of_higher_risk_is_accepted_when_the_rule_is_met(guest: World) -> None:
    await guest.apply(workspace(feature=FEATURE + "risk: medium\n") | GATE)
    engineer, expert = await guest.person("ed", "engineer"), await guest.person("jane", "expert")
    number = await propose(guest, by=expert)
    proposals = guest.releases.proposals
    with pytest.raises(Forbidden, match="release:promote"):
        await proposals.accept(expert, number)
    with pytest.raises(Forbidden, match="would not count"):
        await proposals.approve(expert, number)
    with pytest.raises(Conflict, match="has not judged this digest"):
        await proposals.accept(engineer, number)
    view = await proposals.show(engineer, number)
    digest = view.entries[0].entry.digest
    assert [each.rule for each in view.entries[0].conditions if not each.is_met] == ["gate", "approvals"]
    gate = view.entries[0].standing.gate
    assert gate is not None
    await guest.releases.evidence.attest(guest.admin, digest, VERDICT, {"verdict": "PASS", "gate": gate.digest})
    await proposals.approve(engineer, number, comment="good")
    await proposals.accept(engineer, number)
    assert await guest.digest() == digest
    view = await proposals.show(engineer, number)
    assert (view.proposal.state, view.proposal.closer, view.stale) == ("accepted", "ed", None)
    assert [(each.by, each.text) for each in view.comments] == [("ed", "good")]
    with pytest.raises(Conflict, match="is accepted"):
        await proposals.accept(engineer, number)


def told(files: Sequence[FileDiff]) -> dict[str, tuple[str, str]]:
    """What goes and what comes, by path."""
    return {
        each.path: tuple("".join(p.text for p in each.pieces if p.op == op) for op in ("removed", "added"))
        for each in files
    }  # type: ignore[return-value] # two


async def test_what_waits_on_staging_is_shown_though_no_file_of_the_proposal_changes(guest: World) -> None:
    medium = FEATURE + "risk: medium\n"
    await guest.apply(workspace(feature=FEATURE))
    live = await guest.digest()
    await guest.apply(workspace(prompt=KIND, feature=medium) | GATE)
    assert await guest.digest() == live
    by_feature = await propose(guest, Wanted("what waits", features=["claims"]))
    view = await guest.releases.proposals.show(guest.admin, by_feature)
    assert view.files == ()
    changed = told(view.entries[0].files)
    assert changed.keys() == {"claims: prompts/answer.prompty", "claims: feature.json"}
    assert "kind, and " in changed["claims: prompts/answer.prompty"][1]
    assert "medium" in changed["claims: feature.json"][1]

    # One who proposes another file brings live what waits there, too, and is told so.
    brisk = edit(KIND.replace("brief", "brisk"))
    view = await guest.releases.proposals.show(guest.admin, await propose(guest, brisk))
    assert told(view.files)[AT] == ("brief", "brisk")
    assert told(view.entries[0].files)["claims: prompts/answer.prompty"][1] == "kind, and brisk"


async def test_a_gate_that_was_applied_is_shown_beside_the_one_that_judges(guest: World) -> None:
    await guest.apply(workspace() | GATE)
    await guest.apply(workspace() | {"features/claims/evals/gate.yaml": b"alpha: 0.2\n"})
    view = await guest.releases.proposals.show(guest.admin, await propose(guest, Wanted("tidy", gates=["claims"])))
    assert view.files == ()
    ((entry),) = view.entries
    assert told(entry.files)["claims: evals/gate.yaml"][1].endswith("2")


async def test_what_a_file_of_the_proposal_says_is_not_said_twice(guest: World) -> None:
    await guest.apply()
    view = await guest.releases.proposals.show(guest.admin, await propose(guest))
    assert told(view.files).keys() == {AT}
    assert view.entries[0].files == ()


async def test_of_two_proposals_on_one_base_the_second_is_stale_and_says_so(guest: World) -> None:
    await guest.apply()
    first = await propose(guest)
    second = await propose(guest, edit(PROMPT.replace("brief", "brisk"), "brisker"))
    await guest.releases.proposals.accept(guest.admin, first)
    stale = (await guest.releases.proposals.show(guest.admin, second)).stale
    assert stale is not None
    assert "was moved by admin" in stale
    with pytest.raises(Conflict, match=f"Proposal {second} is stale") as refusal:
        await guest.releases.proposals.accept(guest.admin, second)
    assert refusal.value.code == "proposal_stale"
    await guest.releases.proposals.change(guest.admin, second, edit(KIND.replace("Be kind", "Be brisk")))
    assert (await guest.releases.proposals.show(guest.admin, second)).stale is None
    assert len(await guest.releases.proposals.accept(guest.admin, second)) == 1


async def test_a_file_that_was_changed_meanwhile_makes_it_stale_though_the_digest_is_not(guest: World) -> None:
    await guest.apply()
    number = await propose(guest)
    await guest.apply(prompt=PROMPT.replace("inputs:", "description: words\ninputs:"))
    with pytest.raises(Conflict, match=r"answer\.prompty` was changed since"):
        await guest.releases.proposals.accept(guest.admin, number)


async def test_a_rollback_makes_proposals_on_what_was_live_stale(guest: World) -> None:
    await guest.apply()
    await guest.apply(prompt=PROMPT.replace("brief", "short"))
    number = await propose(guest)
    await guest.releases.promotions.roll_back(guest.admin, "default", "claims", "wrong")
    with pytest.raises(Conflict, match="was rolled back by admin"):
        await guest.releases.proposals.accept(guest.admin, number)


async def test_a_draft_is_its_makers_alone_until_it_is_proposed(guest: World) -> None:
    await guest.apply()
    expert = await guest.person("jane", "expert")
    number = await propose(guest, by=expert, is_draft=True)
    with pytest.raises(NotFound, match=f"no proposal {number}"):
        await guest.releases.proposals.show(guest.admin, number)
    assert await guest.releases.proposals.list(guest.admin) == []
    with pytest.raises(Conflict, match="is draft"):
        await guest.releases.proposals.approve(expert, number)
    await guest.releases.proposals.change(expert, number, edit(title="ready"))
    (shown,) = await guest.releases.proposals.list(guest.admin, "default", "open")
    assert (shown.number, shown.title, shown.maker, shown.risk) == (number, "ready", "jane", "low")


async def test_a_list_says_who_proposes_what_at_which_risk(guest: World) -> None:
    await guest.apply(workspace(feature=FEATURE + "risk: medium\n") | GATE)
    first = await propose(guest, edit(title="kinder"))
    second = await propose(guest, edit(title="riskier", more_files={SETTINGS: FEATURE + "risk: high\n"}))
    rows = await guest.releases.proposals.list(guest.admin)
    said = [(each.number, each.title, each.risk, each.maker) for each in rows]
    assert said == [(second, "riskier", "high", "admin"), (first, "kinder", "medium", "admin")]
    await guest.releases.proposals.change(guest.admin, second, edit(title="as risky as before"))
    assert (await guest.releases.proposals.list(guest.admin))[0].risk == "medium"
    assert (await guest.releases.proposals.show(guest.admin, second)).proposal.risk == "medium"


async def test_another_digest_needs_other_approvals(guest: World) -> None:
    await guest.apply(workspace(feature=FEATURE + "risk: medium\n") | GATE)
    expert = await guest.person("jane", "expert")
    number = await propose(guest)
    await guest.releases.proposals.approve(expert, number)
    await guest.releases.proposals.change(guest.admin, number, edit(KIND.replace("Be kind", "Be sweet")))
    (entry,) = (await guest.releases.proposals.show(guest.admin, number)).entries
    assert "approvals" in [each.rule for each in entry.conditions if not each.is_met]


async def test_a_gate_is_changed_by_a_proposal_of_its_own_that_judges_what_is_live_first(guest: World) -> None:
    files = workspace(feature=FEATURE + "risk: medium\n") | GATE
    digest = Digest((await guest.apply(files)).digest)
    at = "features/claims/evals/gate.yaml"
    with pytest.raises(InvalidRequest, match="and what judges it") as refusal:
        await propose(guest, Wanted("both", files={at: b"alpha: 0.2\n", AT: KIND.encode()}))
    assert refusal.value.code == "gate_of_its_own"
    number = await propose(guest, Wanted("looser", files={at: b"alpha: 0.2\n"}))
    (entry,) = (await guest.releases.proposals.show(guest.admin, number)).entries
    assert entry.entry.kind == "gate"
    await guest.releases.promotions.promote(guest.admin, "default", _glass(digest))
    with pytest.raises(Conflict, match=r"not judged the live release yet.*approvals: 0 of 1"):
        await guest.releases.proposals.accept(guest.admin, number)
    for word in ("PASS", "FAIL"):
        words = {"verdict": word, "gate": entry.entry.digest, "summary": f"{word} by three lines."}
        await guest.releases.evidence.attest(guest.admin, digest, VERDICT, words)
    (entry,) = (await guest.releases.proposals.show(guest.admin, number)).entries
    told = next(each for each in entry.conditions if each.rule == "live release")
    assert told.is_met
    assert re.fullmatch(r"The new gate said FAIL of the live release at .+ UTC\. FAIL by three lines\.", told.message)
    await guest.releases.proposals.approve(await guest.person("jane", "expert"), number)
    (moved,) = await guest.releases.proposals.accept(guest.admin, number)
    assert (moved.channel, moved.after) == ("gate", entry.entry.digest)
    assert (await guest.releases.pull(guest.admin, "default"))[at] == b"alpha: 0.2\n"
    standing, _ = await guest.releases.promotions.standing_of(guest.admin, digest)
    assert standing.gate is not None
    assert standing.gate.digest == entry.entry.digest


def _glass(digest: Digest) -> Any:
    from headworks.releases.channels import Order

    return Order("claims", digest, None, glass=True, reason="the first")


async def test_what_waits_on_staging_can_be_proposed_by_its_name(guest: World) -> None:
    await guest.apply(workspace(feature=FEATURE + "risk: medium\n"))
    number = await propose(guest, Wanted("go live", features=["claims"]))
    (entry,) = (await guest.releases.proposals.show(guest.admin, number)).entries
    assert (entry.entry.base, entry.standing.tier) == (None, "medium")
    assert "no gate judges it" in next(each.message for each in entry.conditions if not each.is_met)


async def test_behaviour_is_shown_by_failure_mode(guest: World) -> None:
    live = (await guest.apply()).digest
    number = await propose(guest)
    (entry,) = (await guest.releases.proposals.show(guest.admin, number)).entries
    assert entry.behaviour is None
    flips = [
        {"example": "a", "from": "fail", "to": "pass", "modes": ["rules"]},
        {"example": "b", "from": "pass", "to": "fail", "modes": ["rules", "extraction"], "metric": "right"},
        {"example": "b", "from": "pass", "to": "fail", "modes": ["rules", "extraction"], "metric": "cited"},
        {"example": "c", "from": "pass", "to": "fail"},
    ]
    words = {"base": live, "dataset": None, "examples": 120, "flips": flips}
    await guest.releases.evidence.attest(guest.admin, entry.entry.digest, COMPARISON, words)
    (entry,) = (await guest.releases.proposals.show(guest.admin, number)).entries
    found = entry.behaviour
    assert found is not None
    assert (found.examples, found.fixed, found.broken, found.is_current) == (120, 1, 2, True)
    assert [(each.mode, len(each.fixed), len(each.broken)) for each in found.modes] == [
        ("rules", 1, 1),
        ("(no failure mode)", 0, 1),
        ("extraction", 0, 1),
    ]
    (once,) = found.modes[0].broken
    assert (once.example, once.metrics) == ("b", ("right", "cited"))


@pytest.mark.parametrize(
    ("wanted", "error", "said"),
    [
        (Wanted(" ", files={AT: b"x"}), InvalidRequest, "title"),
        (Wanted("x"), InvalidRequest, "changes nothing"),
        (Wanted("x", files={AT: PROMPT.encode()}), InvalidRequest, "changes nothing"),
        (Wanted("x", files={"roles.yaml": b""}), InvalidRequest, "can't change `roles.yaml`"),
        (Wanted("x", files={"features/../roles.yaml": b""}), InvalidRequest, "is no path"),
        (Wanted("x", files={"features/claims/knowledge/a\x00.md": b""}), InvalidRequest, "is no path"),
        (Wanted("x", files={AT: b"no prompt"}), WorkspaceInvalid, "front matter"),
        (Wanted("x", files={AT: None}), WorkspaceInvalid, "no file"),
        (Wanted("x", features=["other"]), InvalidRequest, "no feature `other`"),
        (Wanted("x", files={AT: None, "features/claims/feature.yaml": None}), NotSupportedYet, "take away"),
    ],
)
async def test_what_is_no_proposal_is_refused(guest: World, wanted: Wanted, error: type[Exception], said: str) -> None:
    await guest.apply()
    with pytest.raises(error, match=said):
        await propose(guest, wanted)
    assert await guest.releases.proposals.list(guest.admin) == []


async def test_only_its_maker_changes_a_proposal_and_who_promotes_may_close_it(guest: World) -> None:
    await guest.apply()
    jane, joe = await guest.person("jane", "expert"), await guest.person("joe", "expert")
    number = await propose(guest, by=jane)
    with pytest.raises(Forbidden, match=f"Proposal {number} is jane's"):
        await guest.releases.proposals.change(joe, number, edit())
    with pytest.raises(Forbidden, match="release:promote"):
        await guest.releases.proposals.close(joe, number)
    await guest.releases.proposals.comment(joe, number, "why?", AT, 7)
    with pytest.raises(InvalidRequest, match="does not change"):
        await guest.releases.proposals.comment(joe, number, "why?", "routes.yaml")
    await guest.releases.proposals.close(guest.admin, number)
    with pytest.raises(Conflict, match="accepted or closed"):
        await guest.releases.proposals.change(jane, number, edit())


async def test_another_tenant_sees_no_proposal(guest: World, world: World) -> None:
    await guest.apply()
    number = await propose(guest)
    with pytest.raises(NotFound, match="no proposal"):
        await world.releases.proposals.show(world.admin, number)


# ── Word by word ──


@given(st.text(alphabet="ab \n.", max_size=60), st.text(alphabet="ab \n.", max_size=60))
def test_the_pieces_are_both_texts(before: str, after: str) -> None:
    pieces = word_diff(before, after)
    assert "".join(each.text for each in pieces if each.op != "added") == before
    assert "".join(each.text for each in pieces if each.op != "removed") == after


def test_words_that_changed_are_told_and_no_more() -> None:
    assert word_diff("Be brief.\nNo more.\n", "Be kind.\nNo more.\n") == (
        Piece("same", "Be "),
        Piece("removed", "brief"),
        Piece("added", "kind"),
        Piece("same", ".\nNo more.\n"),
    )


def test_a_text_that_is_too_long_to_compare_word_by_word_is_shown_in_blocks() -> None:
    pieces = word_diff("a " * 20_000, "b " * 20_000)
    assert [each.op for each in pieces] == ["removed", "added"]


@pytest.mark.parametrize("unit", ["a ", "a\n"])
def test_a_text_of_one_word_again_and_again_is_shown_in_blocks(unit: str) -> None:
    """To compare it word by word would take minutes, in which nobody else is served."""
    before, after = unit * 1500, "".join(f"{unit}{number} " for number in range(750))
    pieces = word_diff(before, after)
    assert len(pieces) <= 4
    assert "".join(each.text for each in pieces if each.op != "added") == before


async def test_who_says_what_he_has_read_approves_nothing_else(guest: World) -> None:
    await guest.apply(workspace(feature=FEATURE + "risk: medium\n") | GATE)
    engineer, expert = await guest.person("ed", "engineer"), await guest.person("jane", "expert")
    number = await propose(guest, by=expert)
    proposals = guest.releases.proposals
    read = [each.entry.digest for each in (await proposals.show(engineer, number)).entries]
    changed = Wanted("Other", "", edit(PROMPT.replace("brief", "harmful")).files)
    await proposals.change(expert, number, changed)
    with pytest.raises(Conflict, match="other releases than those that you have read") as refusal:
        await proposals.approve(engineer, number, digests=read)
    assert refusal.value.code == "proposal_changed"
    read = [each.entry.digest for each in (await proposals.show(engineer, number)).entries]
    assert len(await proposals.approve(engineer, number, digests=read)) == 1


async def test_a_proposal_of_many_megabytes_is_refused(guest: World) -> None:
    """Lists open what they name."""
    with pytest.raises(InvalidRequest, match="more than 8 MB"):
        await propose(guest, Wanted("Large", files={f"features/claims/{n}.md": b"x" * 3_000_000 for n in range(3)}))
