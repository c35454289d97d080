"""Versions of datasets in the database: by digest, shared examples, locked splits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from release_world import World, guest, shared_superuser, shared_urls

from headworks.errors import Conflict, Forbidden, InvalidRequest, NotFound
from headworks.evaluation.datasets.files import dataset_digest, example_digest
from headworks.evaluation.datasets.versions import Datasets
from headworks.storage.sealing import Keyring
from headworks.types.evaluation import Example, ToolUse
from headworks.types.models import Message

__all__ = ["guest", "shared_superuser", "shared_urls"]

FULL = Example(
    "mri-1",
    "Six weeks of therapy: approve?",
    {"plan": "gold"},
    (Message("user", "Hello"),),
    {"decision": "approve"},
    ("§4.2",),
    (ToolUse("find", {"code": 72148}),),
    "lumbar",
    {"intent": "imaging"},
    ("rules-interpretation",),
    {"trace": "t-1"},
    2.0,
    "dev",
)
PLAIN = Example("mri-2", "No therapy yet: approve?", reference="deny")


@pytest.fixture
def datasets(guest: World, keyring: Keyring) -> Datasets:
    return Datasets(guest.db, keyring, guest.identity)


async def test_what_is_pushed_is_found_by_name_number_and_digest(guest: World, datasets: Datasets) -> None:
    pushed = await datasets.push(guest.admin, "default", "golden", [PLAIN, FULL])
    assert pushed.is_new
    assert pushed.version.digest == dataset_digest([FULL, PLAIN])
    for version in (None, "1", pushed.version.digest, pushed.version.digest[7:19]):
        found = await datasets.find(guest.admin, "default", "golden", version)
        assert found.number == 1
        assert found.version == pushed.version
        assert found.version.examples == (FULL, PLAIN)
    assert await datasets.by_digest(guest.admin, pushed.version.digest) == pushed.version


async def test_the_same_examples_again_make_no_version(guest: World, datasets: Datasets) -> None:
    first = await datasets.push(guest.admin, "default", "golden", [PLAIN, FULL])
    again = await datasets.push(guest.admin, "default", "golden", [FULL, PLAIN])
    assert (again.is_new, again.number, again.version) == (False, 1, first.version)


async def test_a_new_version_says_what_changed_and_the_old_one_stays(guest: World, datasets: Datasets) -> None:
    first = await datasets.push(guest.admin, "default", "golden", [FULL, PLAIN])
    changed = replace(PLAIN, reference={"decision": "deny"})
    second = await datasets.push(guest.admin, "default", "golden", [changed, Example("mri-3", "Relapse?")])
    assert second.diff.added == ("mri-3",)
    assert second.diff.changed == ("mri-2",)
    assert second.diff.removed == ("mri-1",)
    assert "`reference` was an object or text, and is now an object." in second.diff.schema
    assert "`inputs.plan` is gone: 1 of 2 examples had it." in second.diff.schema
    assert (await datasets.find(guest.admin, "default", "golden", "1")).version == first.version
    assert [each.number for each in await datasets.history(guest.admin, "default", "golden")] == [2, 1]
    (row,) = await datasets.list(guest.admin, "default")
    assert (row.name, row.number, row.examples) == ("golden", 2, 2)


async def test_going_back_to_an_older_digest_is_a_version_of_its_own(guest: World, datasets: Datasets) -> None:
    await datasets.push(guest.admin, "default", "golden", [FULL, PLAIN])
    await datasets.push(guest.admin, "default", "golden", [FULL])
    back = await datasets.push(guest.admin, "default", "golden", [FULL, PLAIN])
    assert (back.number, back.is_new) == (3, True)
    found = await datasets.find(guest.admin, "default", "golden", back.version.digest)
    assert found.number == 3


async def test_examples_lie_sealed_and_once(guest: World, datasets: Datasets, shared_superuser: Any) -> None:
    await datasets.push(guest.admin, "default", "golden", [FULL, PLAIN])
    await datasets.push(guest.admin, "default", "other", [PLAIN])
    rows = shared_superuser.execute(
        "SELECT digest, content FROM dataset_example WHERE tenant_id = %s", [guest.admin.tenant]
    ).fetchall()
    assert sorted(row[0] for row in rows) == sorted([example_digest(FULL), example_digest(PLAIN)])
    assert not any(b"therapy" in row[1] for row in rows)


async def test_an_example_that_moves_between_splits_is_refused_unless_unlocked(
    guest: World, datasets: Datasets
) -> None:
    await datasets.push(guest.admin, "default", "golden", [FULL, PLAIN])
    moved = [FULL, replace(PLAIN, split="train")]
    with pytest.raises(Conflict, match=r"1 from test to train.*`mri-2`") as refused:
        await datasets.push(guest.admin, "default", "golden", moved)
    assert refused.value.code == "split_locked"
    pushed = await datasets.push(guest.admin, "default", "golden", moved, unlock="was never looked at")
    assert [each.id for each in pushed.moved] == ["mri-2"]
    newest, oldest = await datasets.history(guest.admin, "default", "golden")
    assert (newest.unlocked, oldest.unlocked) == ("was never looked at", None)


async def test_the_lock_remembers_what_an_older_version_had(guest: World, datasets: Datasets) -> None:
    await datasets.push(guest.admin, "default", "golden", [FULL, PLAIN])
    await datasets.push(guest.admin, "default", "golden", [PLAIN])
    with pytest.raises(Conflict, match="`mri-1`"):
        await datasets.push(guest.admin, "default", "golden", [PLAIN, replace(FULL, split="test")])
    with pytest.raises(Conflict, match="`mri-9`"):
        await datasets.push(guest.admin, "default", "golden", [PLAIN, Example("mri-9", "New?", cluster="lumbar")])


async def test_a_cluster_in_two_splits_is_refused_whatever_the_reason(guest: World, datasets: Datasets) -> None:
    alike = Example("mri-9", "New?", cluster="lumbar", split="test")
    with pytest.raises(InvalidRequest, match="`lumbar` lies in two splits") as refused:
        await datasets.push(guest.admin, "default", "golden", [FULL, alike], unlock="please")
    assert refused.value.code == "cluster_split"


@pytest.mark.parametrize(
    ("name", "examples"),
    [("Golden", [PLAIN]), ("../x", [PLAIN]), ("golden", []), ("golden", [PLAIN, PLAIN])],
    ids=["a capital", "a path", "no example", "an id twice"],
)
async def test_what_is_no_dataset_is_refused(
    guest: World, datasets: Datasets, name: str, examples: list[Example]
) -> None:
    with pytest.raises(InvalidRequest):
        await datasets.push(guest.admin, "default", name, examples)


async def test_what_is_not_there_is_named_with_its_neighbours(guest: World, datasets: Datasets) -> None:
    await datasets.push(guest.admin, "default", "golden", [PLAIN])
    with pytest.raises(NotFound, match="Did you mean `golden`"):
        await datasets.find(guest.admin, "default", "goldne")
    with pytest.raises(NotFound, match="no version `7`"):
        await datasets.find(guest.admin, "default", "golden", "7")
    with pytest.raises(NotFound):
        await datasets.by_digest(guest.admin, dataset_digest([FULL]))


async def test_who_may_only_read_pushes_nothing(guest: World, datasets: Datasets) -> None:
    reviewer = await guest.person("rita", "reviewer")
    with pytest.raises(Forbidden, match="dataset:write"):
        await datasets.push(reviewer, "default", "golden", [PLAIN])
    await datasets.push(guest.admin, "default", "golden", [PLAIN])
    assert (await datasets.find(reviewer, "default", "golden")).number == 1
