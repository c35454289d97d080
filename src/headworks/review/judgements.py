"""Human judgements: given blind, replaced and never changed, decided by the principal domain expert."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, get_args

from headworks.errors import Conflict, InvalidRequest
from headworks.evaluation.contract import HumanLabels
from headworks.identity.service import Identity, allow
from headworks.records.audit import note_audit
from headworks.review import store
from headworks.review.agreement import Concord, concord
from headworks.review.contract import Given, Judgement, Kept, Kind, Verdict, Wanted
from headworks.review.labels import labels_of
from headworks.review.store import Current, Filter
from headworks.review.subjects import named, no_answer, placed
from headworks.review.taxonomy import read_taxonomy, taxonomy_path
from headworks.storage.pool import Database, Tx
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import Digest, PrincipalId, ProjectId

_NAME = re.compile(r"[^\s,\x00-\x1f\x7f\ud800-\udfff]{1,200}")
_HALF = re.compile(r"[\ud800-\udfff]")
_LONGEST_SUBJECT, _LONGEST_TEXT = 500, 20_000
_VERDICTS: tuple[str, ...] = get_args(Verdict)
MOST_IMPORTED = 100_000


class Files(Protocol):
    """Implemented by releases.service.Releases."""

    async def pull(self, principal: Principal, project: str) -> dict[str, bytes]:
        """The files of a project's workspace."""
        ...


class Judgements:
    """What people say of answers.

    Who may judge reads another's opinion on a subject only after his own, or once it is decided; the principal domain
    expert, who decides, and who may only read, see all.
    """

    def __init__(self, db: Database, keyring: Keyring, identity: Identity, files: Files) -> None:
        self._db = db
        self._keyring = keyring
        self._identity = identity
        self._files = files

    async def give(
        self,
        principal: Principal,
        project: str,
        given: Judgement,
        *,
        feature: str | None = None,
        is_adjudication: bool = False,
    ) -> Kept:
        """Keep one's opinion in the place of an earlier one, or decide where others disagree.

        Failure modes must be in the taxonomy of `feature`. Raises Conflict for deciding what nobody else has judged,
        NotFound for a trace or an answer of an experiment that is not there.
        """
        allow(principal, "judgement:adjudicate") if is_adjudication else allow(principal, "judgement:write")
        check(given)
        given = placed(given)
        project_id = (await self._identity.find_project(principal, project)).id
        await self._check_modes(principal, project, feature, given)
        await self._keyring.ensure(self._db, principal.tenant)
        kind: Kind = "adjudication" if is_adjudication else "opinion"
        me = str(principal.id)
        async with self._db.tx(principal) as tx:
            await _refuse_unknown(tx, principal, project_id, [given])
            standing = await store.current(tx, principal, project_id, given)
            others = [each for each in standing if each.rater != me and each.kind == "opinion"]
            if is_adjudication and not others:
                raise Conflict(
                    "Nobody else has judged it: there is nothing to decide.",
                    next_step="Give an opinion, and have a second one given.",
                )
            # One decision stands at a time, whoever it is of; an opinion replaces only one's own.
            mine = [each for each in standing if each.kind == kind and (is_adjudication or each.rater == me)]
            asked = await store.asked(tx, principal, project_id, given)
            identifier = await store.add(
                tx,
                self._keyring,
                principal,
                project_id,
                given if asked is None else asked.of(given),
                kind=kind,
                is_blind=not _could_read(principal, standing, kind),
                replaces=mine[0].judgement_id if mine else None,
            )
            action = "judgement.adjudicate" if is_adjudication else "judgement.give"
            await note_audit(tx, principal, action, given.subject, {"metric": given.metric})
        return Kept(identifier, is_counted=asked is None or not asked.is_own)

    async def list(
        self, principal: Principal, project: str, wanted: Filter, most: int = 1000
    ) -> tuple[Sequence[Given], int]:
        """The newest current judgements that the caller may read, and how many there are that he can't read yet."""
        allow(principal, "judgement:read")
        project_id = (await self._identity.find_project(principal, project)).id
        await self._keyring.ensure(self._db, principal.tenant)
        async with self._db.tx(principal) as tx:
            return await store.listed(
                tx, self._keyring, principal, project_id, wanted, sees_all=_sees_all(principal), most=most
            )

    async def take_in(self, principal: Principal, project: str, rows: Sequence[tuple[str, Judgement]]) -> int:
        """Import judgements with the names of their raters; how many are new or changed.

        They stand beside those of people here under `import:NAME`, and never count as blind. Raises NotFound as `give`.
        """
        allow(principal, "judgement:write")
        if not 0 < len(rows) <= MOST_IMPORTED:
            raise InvalidRequest(f"An import has 1 to {MOST_IMPORTED:,} judgements.", param="rows")
        seen: set[tuple[str, str, str]] = set()
        for rater, given in rows:
            check(given)
            if not _NAME.fullmatch(rater):
                raise InvalidRequest(f"`{rater[:100]}` is no name for a rater.", param="rater")
            key = (rater, given.metric, given.subject)
            if key in seen:
                raise InvalidRequest(
                    f"`{rater}` judges `{given.subject[:100]}` twice.", next_step="Keep one of them.", param="rows"
                )
            seen.add(key)
        rows = [(rater, placed(given)) for rater, given in rows]
        project_id = (await self._identity.find_project(principal, project)).id
        await self._keyring.ensure(self._db, principal.tenant)
        async with self._db.tx(principal) as tx:
            await _refuse_unknown(tx, principal, project_id, [given for _, given in rows])
            count = await store.add_imported(tx, self._keyring, principal, project_id, rows)
            await note_audit(tx, principal, "judgement.import", project, {"judgements": count})
        return count

    async def wanted(
        self,
        principal: Principal,
        project: str,
        *,
        queue: str | None = None,
        metric: str | None = None,
        opinions: int = 1,
        done: bool = False,
        most: int = 1000,
    ) -> tuple[Sequence[Wanted], int]:
        """What gates and samples ask for, oldest first: what has fewer `opinions` that count, and none of the caller's.

        And how much of it others have to judge, as it is for a gate of what the caller made or proposed. `done`: also
        what has them.
        """
        allow(principal, "judgement:read", "judgement:write")
        project_id = (await self._identity.find_project(principal, project)).id
        async with self._db.tx(principal) as tx:
            return await store.wanted(
                tx, principal, project_id, queue=queue, metric=metric, opinions=opinions, done=done, most=most
            )

    async def agreement(self, principal: Principal, project: str, metric: str) -> Concord:
        """How far opinions agree: on all subjects, or on those that the caller has judged where he still may judge."""
        allow(principal, "judgement:read")
        project_id = (await self._identity.find_project(principal, project)).id
        async with self._db.tx(principal) as tx:
            said = await store.verdicts(tx, principal, project_id, metric)
        if not _sees_all(principal):
            open_to_me = {each.subject for each in said if each.is_mine or each.kind == "adjudication"}
            said = [each for each in said if each.subject in open_to_me]
        return concord(metric, said)

    async def labels(
        self,
        principal: Principal,
        project: ProjectId,
        metric: str,
        release: Digest,
        examples: Sequence[Digest],
        not_by: Collection[PrincipalId] = (),
    ) -> HumanLabels:
        """What people say of a release's answers, for gates and judge cards: no rater, no word of a text.

        What is by one of `not_by` does not count. See the module `labels`.
        """
        async with self._db.tx(principal) as tx:
            return await labels_of(tx, principal, project, metric, release, examples, not_by=not_by)

    async def _check_modes(self, principal: Principal, project: str, feature: str | None, given: Judgement) -> None:
        if not given.failure_modes:
            return
        if feature is None:
            raise InvalidRequest(
                "Failure modes are those of a feature's taxonomy.", next_step="Name the feature.", param="feature"
            )
        path = taxonomy_path(feature)
        content = (await self._files.pull(principal, project)).get(path)
        if content is None:
            raise InvalidRequest(
                f"The project has no `{path}`.", next_step="Write it and apply, or name no modes.", param="feature"
            )
        read_taxonomy(path, content).check(given.failure_modes)


def check(given: Judgement) -> None:
    """Pass if a judgement can be kept, else InvalidRequest."""
    if not given.subject.strip() or len(given.subject) > _LONGEST_SUBJECT or not given.subject.isprintable():
        raise InvalidRequest(f"`subject` has 1 to {_LONGEST_SUBJECT} printable characters.", param="subject")
    if not _NAME.fullmatch(given.metric):
        raise InvalidRequest("`metric` is no name of a metric.", next_step="Like `task_success`.", param="metric")
    if given.verdict not in _VERDICTS:
        raise InvalidRequest(
            f"`{given.verdict}` is no verdict.", next_step=f"One of {', '.join(_VERDICTS)}.", param="verdict"
        )
    if given.severity is not None and not 1 <= given.severity <= 3:
        raise InvalidRequest("`severity` is 1, 2 or 3.", param="severity")
    for mode in given.failure_modes:
        if not _NAME.fullmatch(mode):
            raise InvalidRequest(f"`{mode[:100]}` is no failure mode.", param="failure_modes")
    for name in ("critique", "suggested_fix", "knowledge", "evidence"):
        text = getattr(given, name)
        if len(text) > _LONGEST_TEXT:
            raise InvalidRequest(f"`{name}` has more than {_LONGEST_TEXT:,} characters.", param=name)
        if _HALF.search(text):
            raise InvalidRequest(f"`{name}` holds half of a surrogate pair, which is no character.", param=name)
    for name in ("release", "dataset", "example"):
        if (value := getattr(given, name)) is not None and not _NAME.fullmatch(value):
            raise InvalidRequest(f"`{name}` is no name or digest.", next_step="Leave it out.", param=name)
    _check_criteria(given.criteria)


async def _refuse_unknown(tx: Tx, principal: Principal, project: ProjectId, judgements: Sequence[Judgement]) -> None:
    """Raises NotFound for a subject of this server that stands for nothing: nobody could look at what was judged."""
    ours = [found for each in judgements if (found := named(each.subject)) is not None]
    if ours and (unknown := await store.unknown(tx, principal, project, ours)):
        raise no_answer(unknown[0])


def _check_criteria(criteria: Mapping[str, str]) -> None:
    for criterion, verdict in criteria.items():
        if not _NAME.fullmatch(criterion) or verdict not in {"pass", "fail", "unsure"}:
            raise InvalidRequest(
                f"The criterion `{criterion[:100]}` is `{verdict}`.",
                next_step="pass, fail or unsure.",
                param="criteria",
            )


def _could_read(principal: Principal, standing: Sequence[Current], kind: Kind) -> bool:
    """Whether who judges now could have read what another said of the same answer."""
    me = str(principal.id)
    is_open_to_me = any(each.rater == me for each in standing)
    has_another = any(each.rater != me and each.kind == "opinion" for each in standing)
    is_decided = any(each.kind == "adjudication" for each in standing)
    return _sees_all(principal) or (has_another and is_open_to_me) or (kind == "opinion" and is_decided)


def _sees_all(principal: Principal) -> bool:
    return principal.may("judgement:adjudicate") or not principal.may("judgement:write")
