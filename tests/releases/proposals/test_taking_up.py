"""What was accepted in a browser is not lost by an apply from a checkout that has never seen it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from release_world import PROMPT, World, workspace

from headworks.app import apply_folder
from headworks.errors import Conflict
from headworks.releases.proposals.resolving import Wanted
from headworks.releases.proposals.taking_up import is_kept
from headworks.releases.service import Knowingly

AT = "features/claims/prompts/answer.prompty"
NOTES = "features/claims/knowledge/notes.md"
KIND = PROMPT.replace("Be brief.", "Be kind, and brief.")


async def accept(world: World, **files: str | None) -> int:
    """A proposal that is live; `prompt`, and `notes` for a file beside it."""
    names = {"prompt": AT, "notes": NOTES}
    changed = {names[key]: None if text is None else text.encode() for key, text in files.items()}
    number = await world.releases.proposals.make(world.admin, "default", Wanted("kinder", files=changed))
    await world.releases.proposals.accept(world.admin, number)
    return number


async def test_an_old_checkout_is_refused_with_the_proposal_that_it_would_undo(
    guest: World, shared_superuser: psycopg.Connection[Any]
) -> None:
    await guest.apply()
    number = await accept(guest, prompt=KIND)
    live = await guest.digest()
    with pytest.raises(Conflict, match=rf"Proposal {number}, .*is undone by these files: `{AT}`") as refused:
        await guest.apply()
    assert refused.value.code == "proposal_overwritten"
    assert "headworks pull" in refused.value.next_step
    assert f"apply --over {number}" in refused.value.next_step
    told = (await guest.releases.diff(guest.admin, "default", workspace())).notices
    assert any(f"Proposal {number}" in each for each in told)
    assert await guest.digest() == live
    with pytest.raises(Conflict):
        await guest.releases.apply(guest.admin, "default", workspace(), Knowingly(frozenset({number + 1})))
    report = await guest.releases.apply(guest.admin, "default", workspace(), Knowingly(frozenset({number})))
    assert any(f"Proposal {number}" in each for each in report.notices)
    assert await guest.digest() != live
    await guest.apply()
    rows = shared_superuser.execute(
        "SELECT principal_id, subject, detail FROM audit_event WHERE tenant_id = %s AND action = 'release.overwrite'",
        [guest.admin.tenant],
    ).fetchall()
    assert rows == [(guest.admin.id, str(number), {"files": [AT]})]


async def test_what_brings_it_along_is_taken_with_other_changes_of_the_same_file(guest: World) -> None:
    await guest.apply()
    await accept(guest, prompt=KIND)
    pulled = await guest.releases.pull(guest.admin, "default")
    more = pulled | {AT: pulled[AT].replace(b"{{ question }}", b"Question: {{ question }}")}
    assert (await guest.releases.diff(guest.admin, "default", more)).notices == ()
    await guest.apply(more)
    await guest.apply(pulled)
    await guest.apply()  # it was taken up: it is a file like any other, and whoever has Git has it


async def test_two_of_them_on_one_file_are_both_brought_by_a_pull(guest: World) -> None:
    await guest.apply()
    first = await accept(guest, prompt=KIND)
    second = await accept(guest, prompt=KIND.replace("brief", "short"))
    with pytest.raises(Conflict, match=f"--over {first},{second}"):
        await guest.apply()
    with pytest.raises(Conflict, match=f"Proposal {second}"):
        await guest.apply(prompt=KIND)
    await guest.apply(await guest.releases.pull(guest.admin, "default"))


async def test_files_that_came_or_went_count_too(guest: World) -> None:
    await guest.apply(workspace() | {NOTES: b"Old.\n"})
    gone = await accept(guest, notes=None, prompt=KIND)
    with pytest.raises(Conflict, match=rf"Proposal {gone}, .*`{NOTES}`"):
        await guest.apply(workspace(prompt=KIND) | {NOTES: b"Old.\n"})
    await guest.apply(prompt=KIND)


async def test_a_server_that_starts_with_an_old_folder_goes_on_with_what_was_accepted(
    guest: World, tmp_path: Path
) -> None:
    for path, content in workspace().items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    assert await apply_folder(guest.releases, guest.admin, tmp_path) == []
    number = await accept(guest, prompt=KIND)
    live = await guest.digest()
    (told,) = await apply_folder(guest.releases, guest.admin, tmp_path)
    assert f"{tmp_path} is not applied: Proposal {number}" in told
    assert await guest.digest() == live


LINES = st.lists(st.sampled_from(["one", "two", "three", "four"]), max_size=6).map("\n".join)


@given(LINES, LINES, LINES)
def test_what_was_accepted_keeps_itself_and_what_was_before_never_does(before: str, accepted: str, more: str) -> None:
    assert is_kept(before, accepted, accepted)
    assert is_kept(before, accepted, accepted.replace("\n", "\r\n"))
    assert is_kept(before, accepted, before) == (before == accepted)
    assert is_kept(None, accepted, None) is False
    assert is_kept(before, None, None)
    assert not is_kept(before, None, more)
    added = f"{accepted}\nfive" if accepted else "five"
    assert is_kept(before, accepted, added)
