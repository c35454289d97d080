"""The lock on splits holds for golden files of the workspace as for what is pushed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from release_world import AROUND, PROMPT, World, guest, shared_superuser, shared_urls, workspace

from headworks.app import apply_folder
from headworks.errors import Conflict
from headworks.evaluation.datasets.golden_lock import GoldenLock
from headworks.releases.proposals.resolving import Wanted
from headworks.releases.service import Knowingly, Releases
from headworks.storage.sealing import Keyring

__all__ = ["guest", "shared_superuser", "shared_urls"]

GOLDEN = "features/claims/golden/cases.jsonl"
GATE = {"features/claims/evals/gate.yaml": b"must_be_perfect: [right]\n"}


@pytest.fixture
def releases(guest: World, keyring: Keyring) -> Releases:
    lock = GoldenLock(keyring)
    return Releases(guest.db, keyring, guest.declared, guest.identity, AROUND, lambda _: "sha256:w", split_lock=lock)


def cases(**splits: str) -> bytes:
    rows = [{"id": each, "question": f"{each}?", "cluster": each[0], "split": splits[each]} for each in splits]
    return "".join(json.dumps(each) + "\n" for each in rows).encode()


async def test_an_example_keeps_its_split_in_the_workspace_unless_somebody_says_why(
    guest: World, releases: Releases, shared_superuser: Any
) -> None:
    def files(**splits: str) -> dict[str, bytes]:
        return workspace() | GATE | {GOLDEN: cases(**splits)}

    await releases.apply(guest.admin, "default", files(a1="dev", b1="test"))
    await releases.apply(guest.admin, "default", files(b1="test"))  # away for a while
    for moved in (files(a1="test"), files(a2="test")):  # a2 is new, of a cluster that is in dev
        with pytest.raises(Conflict, match=rf"{GOLDEN}: .*\(1 from dev to test\): `a[12]`") as refused:
            await releases.apply(guest.admin, "default", moved)
        assert refused.value.code == "split_locked"
        assert "--unlock" in refused.value.next_step
        (told,) = (await releases.diff(guest.admin, "default", moved)).notices
        assert "1 from dev to test" in told
    assert (await releases.pull(guest.admin, "default"))[GOLDEN] == cases(b1="test")
    await releases.apply(guest.admin, "default", files(a1="test"), Knowingly(unlock="was never looked at"))
    await releases.apply(guest.admin, "default", files(a2="test"))
    rows = shared_superuser.execute(
        "SELECT detail->>'reason' FROM audit_event WHERE tenant_id = %s AND action = 'golden.unlock'",
        [guest.admin.tenant],
    ).fetchall()
    assert rows == [("was never looked at",)]


async def test_a_proposal_moves_none_either(guest: World, releases: Releases) -> None:
    await releases.apply(guest.admin, "default", workspace() | GATE | {GOLDEN: cases(a1="dev", b1="test")})
    wanted = Wanted("more cases", files={GOLDEN: cases(a1="test", b1="test")})
    with pytest.raises(Conflict, match="`a1`"):
        await releases.proposals.make(guest.admin, "default", wanted)
    more = Wanted("more cases", files={GOLDEN: cases(a1="dev", b1="test", c1="train")})
    assert await releases.proposals.make(guest.admin, "default", more)


async def test_a_server_does_not_start_with_a_folder_that_moves_an_example(
    guest: World, releases: Releases, tmp_path: Path
) -> None:
    for path, content in (workspace() | {GOLDEN: cases(a1="dev")}).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    await apply_folder(releases, guest.admin, tmp_path)
    (tmp_path / GOLDEN).write_bytes(cases(a1="test"))
    with pytest.raises(Conflict, match="from dev to test") as refused:
        await apply_folder(releases, guest.admin, tmp_path)
    assert refused.value.code == "split_locked"


async def test_what_a_proposal_has_brought_stays_where_it_was_accepted(guest: World, releases: Releases) -> None:
    await releases.apply(guest.admin, "default", workspace())
    prompt = PROMPT.replace("Be brief.", "Be kind.")
    files = {"features/claims/prompts/answer.prompty": prompt.encode(), GOLDEN: cases(a1="dev")}
    number = await releases.proposals.make(guest.admin, "default", Wanted("kinder", files=files))
    await releases.proposals.accept(guest.admin, number)
    for moved in ({"a1": "test"}, {"a1": "dev", "a2": "test"}):
        over = Knowingly(frozenset({number}))
        with pytest.raises(Conflict, match="from dev to test") as refused:
            await releases.apply(guest.admin, "default", workspace(prompt=prompt) | {GOLDEN: cases(**moved)}, over)
        assert refused.value.code == "split_locked"
