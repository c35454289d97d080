"""The request's path. One list of steps for plain routes and features; what a plan does not configure is not done."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from headworks.eager import in_task
from headworks.gateway.admission import Admission
from headworks.gateway.answering import Answering
from headworks.gateway.answers.attempts import Attempts
from headworks.gateway.answers.outgoing import Outgoing
from headworks.gateway.calls import Call
from headworks.gateway.features.grounding import Grounding
from headworks.gateway.features.guarding import Guards
from headworks.gateway.features.outputs import Outputs
from headworks.gateway.features.prompting import Prompting
from headworks.gateway.recording import Ledger
from headworks.gateway.snapshots import Snapshots
from headworks.gateway.wire.parts import Event, Whole
from headworks.policy.service import admit
from headworks.types.retrieval import Passage


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Each field is one room; `answer` is the way through them."""

    snapshots: Snapshots
    admission: Admission
    ledger: Ledger
    guards: Guards
    grounding: Grounding
    prompting: Prompting
    attempts: Attempts
    outputs: Outputs
    answering: Answering

    async def answer(self, call: Call) -> Whole | AsyncGenerator[Event, None]:
        """One request, from the door to the ledger: a whole answer, or the events of one. Read this first."""
        view, now = self.snapshots.moment()  # one immutable view for the whole request
        principal = view.find_caller(call, now) or await self.admission.authenticate(view, call.key, now)
        with self.ledger.open(call, principal) as record:  # written on every exit
            plan = view.find_plan(principal, call.model) or await self.admission.resolve(view, principal, call.model)
            admit(principal, permission=plan.permission, model_name=call.model)
            record.follow(plan)
            call.reply.append(plan.header)
            keeping = call.keeping
            if keeping is not None:
                plan = await keeping.follow(principal, plan, call)
                record.followed = keeping.documents
            if plan.feature is None:
                outgoing: Outgoing = call  # the caller's own bytes
                passages: Sequence[Passage] = ()
            else:
                await in_task()
                question = self.prompting.bind(plan, call)
                question = self.guards.check_input(plan, question, record)  # before any text leaves
                passages = await self.grounding.passages(principal, plan, call, question, record)
                if keeping is not None:
                    keeping.reads(passages)
                shown = self.guards.check_passages(plan, question, passages, record)
                outgoing = self.prompting.render(plan, call, question, shown, record)
            started = await self.attempts.start(plan, outgoing, record)
            if plan.feature is not None:
                started = await self.outputs.fitting(plan, call, outgoing, started, record)
            if keeping is not None:
                keeping.answered_by(plan, started.aim)
            return self.answering.answer(
                principal, plan, call, started, passages, record
            )  # events keep the record open
