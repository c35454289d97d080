"""Answers that are looked at again: in an experiment's log, by those who judge them, in what was said of them, and in
the example that is made of one. Who may not, at that moment, read all that an answer rests on, gets no word of it.
"""

from __future__ import annotations

import io
import uuid
import zipfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from headworks.errors import Conflict, NotFound
from headworks.evaluation.contract import subject_of
from headworks.evaluation.datasets.files import example_digest, write_dataset
from headworks.evaluation.experiments.lifecycle import Order
from headworks.evaluation.suites.suite_files import PATH as SUITE
from headworks.releases.service import Subject
from headworks.review.contract import Judgement
from headworks.review.files import write_judgements
from headworks.review.store import Filter
from headworks.types.evaluation import Example, Output
from headworks.types.ids import Digest, DocumentId, TraceId
from headworks.types.retrieval import Passage

from .model import QUESTION, Asker, Judged, Quoting, Shown, Tenant, joined

if TYPE_CHECKING:
    from .stage import Stage

_PROJECT, _METRIC = "default", "said"
_EXAMPLE = Example("asked", QUESTION)
_FILES: Mapping[str, bytes] = {
    SUITE: b"dataset: golden\nscorers: {said: {scorer: regex, pattern: canary}}\n",
    "golden/golden.jsonl": write_dataset([_EXAMPLE]),
}


class JudgedAnswers:
    """Keeps answers and has them judged, and compares what is read of them with the model."""

    def __init__(self, stage: Stage, canaries_in: Callable[[str], Sequence[str]]) -> None:
        self._stage = stage
        self._canaries_in = canaries_in

    # ── What happens ──

    async def keep(self, tenant: Tenant, asker: Asker, trace: Quoting, shown: Sequence[Shown]) -> Judged:
        """What a trace answered, resting on what is shown, a release answers again; who asked judges both."""
        project = await self._stage.world.identity.find_project(tenant.admin, _PROJECT)
        passages = tuple(
            Passage(number, DocumentId(document), 1, each.path, "Note", (), 0, 0, 0, joined(each.pieces), 1.0)
            for number, (document, each) in enumerate(zip(trace.documents, shown, strict=True), 1)
        )
        self._stage.answerer.says = {
            _EXAMPLE.id: Output(trace.canary, "stop", passages=passages, trace=TraceId(trace.id))
        }
        subject = Subject(project.id, _PROJECT, "assistant", Digest(f"sha256:{uuid.uuid4().hex * 2}"))
        self._stage.tally["change: run an experiment"] += 1
        made = await self._stage.evaluation.experiments.start(tenant.admin, subject, Order(_FILES))
        while await self._stage.runs.batch(str(tenant.admin.tenant), str(made.id)):
            pass
        subjects = subject_of(subject.digest, example_digest(_EXAMPLE)), f"trace:{trace.id}"
        for each in subjects:
            self._stage.tally["change: judge an answer"] += 1
            given = Judgement(each, _METRIC, "pass", evidence=trace.canary)
            await self._stage.review.judgements.give(asker.principal, _PROJECT, given)
        quoted = frozenset(piece.canary for each in shown for piece in each.pieces)
        return Judged(trace, made.id, subjects, quoted)

    # ── What is read ──

    async def look(self, tenant: Tenant, other: Tenant, asker: Asker, judged: Judged, *, is_readable: bool) -> None:
        """On every path that leads to it; `is_readable`: the asker, of `tenant`, may know all that it rests on."""
        is_own = other is tenant
        may = is_own and is_readable
        answer, trace = judged.subjects
        sees_trace = is_own and (asker.principal.may("trace:read") or asker.name == judged.trace.name)
        for path, there in (
            (partial(self._log, asker, judged.experiment), is_own),
            (partial(self._to_judge, asker, answer), is_own),
            (partial(self._to_judge, asker, trace), sees_trace),
            (partial(self._as_example, asker, judged.trace.id), sees_trace),
        ):
            said = await path()
            assert (said is not None) == there, f"what is judged is refused to, or there for, {asker.name}"
            if said is not None:
                self._compare(said, judged, asker, may=may)
        sees = is_own and asker.name in {judged.trace.name, "admin"}
        for subject in judged.subjects:
            await self._judgements(asker, subject, judged, sees=sees, is_own=is_own, may=may)

    def _compare(self, said: str, judged: Judged, asker: Asker, *, may: bool) -> None:
        found = set(self._canaries_in(said))
        wanted = {judged.trace.canary} if may else set()
        assert wanted <= found <= wanted | (judged.quoted if may else set()), f"what is judged by {asker.name}"
        self._stage.tally["judged answer shown" if may else "judged answer withheld"] += 1

    async def _log(self, asker: Asker, experiment: uuid.UUID) -> str | None:
        """All that the file holds."""
        self._stage.tally["read: log of an experiment"] += 1
        try:
            log = await self._stage.evaluation.inspect_log(asker.principal, experiment)
        except NotFound:
            return None
        with zipfile.ZipFile(io.BytesIO(log)) as archive:
            return "\n".join(archive.read(name).decode() for name in archive.namelist())

    async def _to_judge(self, asker: Asker, subject: str) -> str | None:
        self._stage.tally["read: answer to judge"] += 1
        try:
            return repr(await self._stage.review.materials.show(asker.principal, _PROJECT, subject, _METRIC))
        except NotFound:
            return None

    async def _as_example(self, asker: Asker, trace: uuid.UUID) -> str | None:
        self._stage.tally["read: trace as an example"] += 1
        try:
            return repr(await self._stage.promotion.propose(asker.principal, trace, with_reference=True))
        except Conflict as refused:
            return str(refused)
        except NotFound:
            return None

    async def _judgements(
        self, asker: Asker, subject: str, judged: Judged, *, sees: bool, is_own: bool, may: bool
    ) -> None:
        """As they are exported. Another's opinion is hidden from who has not given his own; not from who decides."""
        self._stage.tally["read: judgement"] += 1
        found, hidden = await self._stage.review.judgements.list(asker.principal, _PROJECT, Filter(subject=subject))
        assert (len(found), hidden) == (sees, is_own and not sees), f"{asker.name} sees other judgements"
        if found:
            self._compare(write_judgements(found).decode(), judged, asker, may=may)
