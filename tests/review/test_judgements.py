"""Human judgements: blind, append-only, decided by one."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from release_world import World, guest, shared_superuser, shared_urls, workspace

from headworks.errors import Conflict, Forbidden, InvalidRequest, NotFound
from headworks.evaluation.contract import HumanLabels, subject_of
from headworks.review.contract import Judgement
from headworks.review.judgements import Judgements
from headworks.review.store import Filter
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal, ShownKey
from headworks.types.ids import Digest, TenantId, made_at, new_id

__all__ = ["guest", "shared_superuser", "shared_urls"]

TAXONOMY = b"""failure_modes:
  - {id: rules_interpretation, definition: A clause is read wrongly., severity: 2}
  - {id: negation, definition: A negation is missed., parent: rules_interpretation}
"""
ANY = Filter()
RELEASE = Digest(f"sha256:{'0' * 64}")


def digest_of(letter: str) -> Digest:
    return Digest(f"sha256:{letter * 64}")


@pytest.fixture
def judgements(guest: World, keyring: Keyring) -> Judgements:
    return Judgements(guest.db, keyring, guest.identity, guest.releases)


def said(verdict: Any = "fail", subject: str = "case:1", **more: Any) -> Judgement:
    return Judgement(subject, "task_success", verdict, **more)


async def test_a_judgement_keeps_all_that_was_said(guest: World, judgements: Judgements) -> None:
    await guest.apply(workspace() | {"features/claims/evals/gate.yaml": b"", "features/claims/taxonomy.yaml": TAXONOMY})
    rita = await guest.person("rita", "expert")
    given = said(
        failure_modes=("negation",),
        severity=3,
        critique="It takes `no contraindication` for one.",
        suggested_fix="Ask for the sentence.",
        knowledge="Absence is written as `denies`.",
        evidence="denies saddle anaesthesia",
        criteria={"cites_clause": "pass"},
        release="sha256:r",
        trace=new_id(),
    )
    kept = await judgements.give(rita, "default", given, feature="claims")
    (found,), hidden = await judgements.list(rita, "default", ANY)
    assert (found.id, found.judgement, found.rater, found.kind) == (kept.id, given, "rita", "opinion")
    assert found.is_blind
    assert hidden == 0


async def test_what_people_write_lies_sealed(guest: World, judgements: Judgements, shared_superuser: Any) -> None:
    rita = await guest.person("rita", "reviewer")
    await judgements.give(rita, "default", said(critique="The patient is Jane"))
    rows = shared_superuser.execute("SELECT * FROM judgement WHERE tenant_id = %s", [rita.tenant]).fetchall()
    assert len(rows) == 1
    assert "Jane" not in repr(rows)


async def test_the_second_reviewer_reads_the_first_only_after_his_own_opinion(
    guest: World, judgements: Judgements
) -> None:
    rita, omar = await guest.person("rita", "reviewer"), await guest.person("omar", "expert")
    await judgements.give(rita, "default", said("fail"))
    assert await judgements.list(omar, "default", ANY) == ([], 1)
    assert await judgements.list(omar, "default", Filter(subject="case:2")) == ([], 0)
    await judgements.give(omar, "default", said("pass"))
    found, hidden = await judgements.list(omar, "default", ANY)
    assert {each.rater: each.judgement.verdict for each in found} == {"rita": "fail", "omar": "pass"}
    assert all(each.is_blind for each in found)
    assert hidden == 0


async def test_who_changes_his_mind_replaces_his_own_and_nothing_is_lost(
    guest: World, judgements: Judgements, shared_superuser: Any
) -> None:
    rita, omar = await guest.person("rita", "reviewer"), await guest.person("omar", "reviewer")
    first = await judgements.give(rita, "default", said("fail"))
    await judgements.give(omar, "default", said("pass"))
    second = await judgements.give(rita, "default", said("pass"))
    found, _ = await judgements.list(rita, "default", ANY)
    mine = next(each for each in found if each.rater == "rita")
    assert (mine.id, mine.replaces, mine.judgement.verdict) == (second.id, first.id, "pass")
    assert not mine.is_blind, "she could have read his by then"
    count = shared_superuser.execute("SELECT count(*) FROM judgement WHERE tenant_id = %s", [rita.tenant]).fetchone()
    assert count == (3,)


async def test_judgements_can_not_be_changed_or_removed_even_by_a_bug(guest: World, judgements: Judgements) -> None:
    await judgements.give(await guest.person("rita", "reviewer"), "default", said())
    async with guest.db.tx(guest.admin) as tx:
        assert await tx.run("UPDATE judgement SET content = NULL") == 0, "only an erasure may"
    curator = await guest.identity.curator(guest.admin.tenant)
    for who, statement in ((curator, "UPDATE judgement SET verdict = 'pass'"), (guest.admin, "DELETE FROM judgement")):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with guest.db.tx(who) as tx:
                await tx.run(statement)


async def test_the_principal_expert_decides_and_both_opinions_stay(guest: World, judgements: Judgements) -> None:
    rita, omar = await guest.person("rita", "reviewer"), await guest.person("omar", "expert")
    dora = await guest.person("dora", "principal-expert")
    with pytest.raises(Conflict, match="nothing to decide"):
        await judgements.give(dora, "default", said(), is_adjudication=True)
    await judgements.give(rita, "default", said("fail"))
    await judgements.give(omar, "default", said("pass"))
    with pytest.raises(Forbidden, match="judgement:adjudicate"):
        await judgements.give(omar, "default", said("pass"), is_adjudication=True)
    assert (await judgements.agreement(dora, "default", "task_success")).disputed == ("case:1",)
    await judgements.give(dora, "default", said("fail", critique="Clause 4.2"), is_adjudication=True)
    assert (await judgements.agreement(dora, "default", "task_success")).disputed == ()
    found, _ = await judgements.list(dora, "default", ANY)
    assert sorted((each.rater, each.kind) for each in found) == [
        ("dora", "adjudication"),
        ("omar", "opinion"),
        ("rita", "opinion"),
    ]
    late = await guest.person("lee", "reviewer")
    assert len((await judgements.list(late, "default", ANY))[0]) == 3, "what is decided is no secret"
    await judgements.give(late, "default", said("fail"))
    found, _ = await judgements.list(late, "default", ANY)
    assert not next(each for each in found if each.rater == "lee").is_blind


async def test_failure_modes_are_those_of_the_taxonomy(guest: World, judgements: Judgements) -> None:
    await guest.apply(workspace() | {"features/claims/evals/gate.yaml": b"", "features/claims/taxonomy.yaml": TAXONOMY})
    rita = await guest.person("rita", "expert")
    with pytest.raises(InvalidRequest, match="Did you mean `negation`"):
        await judgements.give(rita, "default", said(failure_modes=("negatoin",)), feature="claims")
    with pytest.raises(InvalidRequest, match="Name the feature"):
        await judgements.give(rita, "default", said(failure_modes=("negation",)))
    with pytest.raises(InvalidRequest, match="has no `features/other/taxonomy.yaml`"):
        await judgements.give(rita, "default", said(failure_modes=("negation",)), feature="other")


@pytest.mark.parametrize(
    "given",
    [
        said(subject=" "),
        said(subject="a\nb"),
        said("good"),
        said(severity=4),
        said(critique="x" * 20_001),
        said(criteria={"clear": "first"}),
        Judgement("case:1", "task success", "pass"),
        said(critique="half: \ud83d"),
        said(release="r\0"),
        said(example="x" * 3000),
    ],
    ids=[
        "subject",
        "lines",
        "verdict",
        "severity",
        "novel",
        "criterion",
        "metric",
        "half-a-character",
        "release",
        "example",
    ],
)
async def test_what_is_no_judgement_is_refused(guest: World, judgements: Judgements, given: Judgement) -> None:
    with pytest.raises(InvalidRequest):
        await judgements.give(guest.admin, "default", given)


async def test_who_may_only_read_sees_all_and_says_nothing(guest: World, judgements: Judgements) -> None:
    rita, auditor = await guest.person("rita", "reviewer"), await guest.person("audrey", "auditor")
    await judgements.give(rita, "default", said())
    assert len((await judgements.list(auditor, "default", ANY))[0]) == 1
    with pytest.raises(Forbidden):
        await judgements.give(auditor, "default", said())
    member = await guest.person("max")
    with pytest.raises(Forbidden):
        await judgements.list(member, "default", ANY)


async def test_another_tenant_sees_nothing(guest: World, judgements: Judgements) -> None:
    rita = await guest.person("rita", "reviewer")
    await judgements.give(rita, "default", said())
    other = await guest.identity.create_tenant(await guest.identity.operator(), f"other-{new_id()}", "admin")
    async with guest.db.system("test") as tx:
        stranger = (await guest.identity.load(tx)).authenticate(ShownKey(other.key), 0.0)
    assert await judgements.list(stranger, "default", ANY) == ([], 0)


async def test_an_import_is_kept_once_replaced_when_it_changes_and_is_nobody_here(
    guest: World, judgements: Judgements
) -> None:
    rows = [("ann", said("pass")), ("ben", said("fail", critique="Wrong clause"))]
    assert await judgements.take_in(guest.admin, "default", rows) == 2
    assert await judgements.take_in(guest.admin, "default", rows) == 0
    changed = [("ann", said("fail")), rows[1]]
    assert await judgements.take_in(guest.admin, "default", changed) == 1
    auditor = await guest.person("audrey", "auditor")
    found, _ = await judgements.list(auditor, "default", ANY)
    assert {each.rater: each.judgement.verdict for each in found} == {"import:ann": "fail", "import:ben": "fail"}
    assert not any(each.is_blind for each in found)
    with pytest.raises(InvalidRequest, match="twice"):
        await judgements.take_in(guest.admin, "default", [*rows, rows[0]])


def answered(superuser: Any, world: World, example: Digest, repeat: int = 0) -> str:
    """The subject of an answer that an experiment has kept."""
    superuser.execute(
        "INSERT INTO experiment (tenant_id, experiment_id, project_id, feature, release, dataset, dataset_name, "
        "scorers, examples, repeats, at_once, state, content, made_by) "
        "SELECT tenant_id, %s, project_id, 'claims', %s, '', '', '[]', 1, 1, 1, 'done', '', %s "
        "FROM project WHERE tenant_id = %s AND name = 'default'",
        [new_id(), RELEASE, world.admin.id, world.admin.tenant],
    )
    superuser.execute(
        "INSERT INTO experiment_output (tenant_id, release, example, repeat, content) VALUES (%s, %s, %s, %s, '')",
        [world.admin.tenant, RELEASE, example, repeat],
    )
    return subject_of(RELEASE, example, repeat)


async def test_what_stands_for_no_answer_here_is_refused_and_names_from_elsewhere_are_taken(
    guest: World, judgements: Judgements, shared_superuser: Any
) -> None:
    example = digest_of("a")
    there = answered(shared_superuser, guest, example)
    nowhere = (f"trace:{new_id()}", subject_of(RELEASE, example, 1), subject_of(RELEASE, digest_of("b")))
    for subject in nowhere:
        with pytest.raises(NotFound, match=r"There is no answer .*judgements wanted"):
            await judgements.give(guest.admin, "default", said(subject=subject))
        with pytest.raises(NotFound, match="There is no answer"):
            await judgements.take_in(
                guest.admin, "default", [("ann", said(subject=there)), ("ann", said(subject=subject))]
            )
    for subject in ("trace:nope", "answer:44ee58:mri-roofer-1:1", f"answer:{RELEASE}:mri-roofer-2:0"):
        with pytest.raises(InvalidRequest, match=r"neither `trace:ID` nor .*judgements wanted"):
            await judgements.give(guest.admin, "default", said(subject=subject))
        with pytest.raises(InvalidRequest, match="neither"):
            await judgements.take_in(guest.admin, "default", [("ann", said(subject=subject))])
    assert await judgements.list(guest.admin, "default", ANY) == ([], 0)
    await judgements.give(guest.admin, "default", said(subject=there))
    assert await judgements.take_in(guest.admin, "default", [("ann", said(subject=there)), ("ann", said())]) == 2
    shared_superuser.execute("DELETE FROM experiment_output WHERE tenant_id = %s", [guest.admin.tenant])
    await judgements.give(guest.admin, "default", said("pass", there))  # who has judged may change his mind


def called(superuser: Any, tenant: TenantId, by: Principal, *, feature: bool) -> str:
    """The subject of a call's answer: of a feature there are spans, of a model only what it used."""
    trace = new_id()
    moment = made_at(trace)
    if feature:
        superuser.execute(
            "INSERT INTO span (tenant_id, arrived_at, trace_id, span_id, principal_id, name, started_at, duration_us) "
            "VALUES (%s, %s, %s, %s, %s, 'request', %s, 1)",
            [tenant, moment, trace, new_id(), by.id, moment],
        )
    else:
        superuser.execute(
            "INSERT INTO usage (tenant_id, arrived_at, request_id, trace_id, principal_id, surface, purpose, "
            "asked_model, status, streamed, total_us) "
            "VALUES (%s, %s, %s, %s, %s, 'chat', 'answer', 'm', 200, false, 1)",
            [tenant, moment, trace, trace, by.id],
        )
    return f"trace:{trace}"


async def test_what_one_may_not_see_is_not_there_to_be_judged(
    guest: World, judgements: Judgements, shared_superuser: Any
) -> None:
    await guest.identity.define_roles(guest.admin, {"clerk": ["judgement:write", "trace:own"]})
    omar, nora = await guest.person("omar", "clerk"), await guest.person("nora", "clerk")
    for feature in (True, False):
        subject = called(shared_superuser, guest.admin.tenant, omar, feature=feature)
        with pytest.raises(NotFound, match="There is no answer"):
            await judgements.give(nora, "default", said(subject=subject))
        await judgements.give(omar, "default", said(subject=subject))
        await judgements.give(nora, "default", said(subject=subject))  # now others have judged it
        of_admin = called(shared_superuser, guest.admin.tenant, omar, feature=feature)
        await judgements.give(guest.admin, "default", said(subject=of_admin))
    answer = answered(shared_superuser, guest, digest_of("a"))
    await guest.identity.create_project(guest.admin, "elsewhere")
    with pytest.raises(NotFound, match="There is no answer"):
        await judgements.give(guest.admin, "elsewhere", said(subject=answer))
    await judgements.give(guest.admin, "default", said(subject=answer))


async def test_labels_for_gates_are_the_decision_or_the_mean_of_the_opinions(
    guest: World, judgements: Judgements, shared_superuser: Any
) -> None:
    project = (await guest.identity.find_project(guest.admin, "default")).id
    rita, omar = await guest.person("rita", "reviewer"), await guest.person("omar", "reviewer")
    dora = await guest.person("dora", "principal-expert")

    async def give(who: Any, example: str, verdict: str, repeat: int = 0, **more: Any) -> None:
        given = said(verdict, subject_of(RELEASE, digest_of(example), repeat))
        await judgements.give(who, "default", given, **more)

    for example in "abcde":
        answered(shared_superuser, guest, digest_of(example), repeat=int(example == "e"))

    for who, verdicts in ((rita, ("pass", "fail", "fail")), (omar, ("pass", "pass", "pass"))):
        for example, verdict in zip(("a", "b", "c"), verdicts, strict=True):
            await give(who, example, verdict)
    await give(dora, "c", "fail", is_adjudication=True)
    await give(rita, "d", "unsure")
    await give(rita, "e", "fail", repeat=1)
    examples = [digest_of(each) for each in "abcde"]
    labels = await judgements.labels(guest.admin, project, "task_success", RELEASE, examples)
    assert labels == HumanLabels(dict(zip(examples, (1.0, 0.5, 0.0), strict=False)))
    assert await judgements.labels(guest.admin, project, "other", RELEASE, examples) == HumanLabels({})


async def test_a_reviewer_reckons_agreement_only_on_what_he_has_judged(guest: World, judgements: Judgements) -> None:
    rita, omar = await guest.person("rita", "reviewer"), await guest.person("omar", "reviewer")
    for at, verdict in enumerate(("pass", "fail", "pass", "fail")):
        await judgements.give(rita, "default", said(verdict, f"case:{at}"))
    with pytest.raises(InvalidRequest, match="Nobody has judged"):
        await judgements.agreement(omar, "default", "task_success")
    for at, verdict in enumerate(("pass", "fail", "fail")):
        await judgements.give(omar, "default", said(verdict, f"case:{at}"))
    found = await judgements.agreement(omar, "default", "task_success")
    assert found.subjects == 3
    (pair,) = found.pairs
    assert (pair.first, pair.second, pair.kappa.n) == ("omar", "rita", 3)
    assert found.alpha is not None
    assert found.alpha.low <= found.alpha.value <= found.alpha.high
    assert found.disputed == ("case:2",)
