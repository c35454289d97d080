"""Judges beside people: cards are made, kept for good, and asked for by gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from headworks.errors import InvalidRequest, NotFound
from headworks.evaluation.cards import VALID_DAYS, Drift, JudgeCard, Pair, Rate, card_of, drift_of
from headworks.identity.authority import allow
from headworks.storage.pool import Database, Tx
from headworks.storage.queries import load
from headworks.types.identity import Principal
from headworks.types.ids import Digest, ProjectId, new_id

_SQL = load(__package__, "cards.sql")
_RULE = "  "


@dataclass(frozen=True, slots=True)
class KeptCard:
    """A card as it is kept. `is_valid`: its time is not over."""

    id: UUID
    project: ProjectId
    card: JudgeCard
    made_at: datetime
    valid_until: datetime
    is_valid: bool

    @property
    def is_calibrated(self) -> bool:
        """Whether a gate may rest on the judge."""
        return self.is_valid and self.card.is_good


class JudgeCards:
    """Implements gating.JudgeCards."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def calibrate(
        self, principal: Principal, project: ProjectId, judge: Digest, metric: str, pairs: Sequence[Pair]
    ) -> KeptCard:
        """Make a card of everything that people and the judge have both judged, good or bad, and keep it.

        `judge` is the digest of the scorer, `pairs` as cards.pairs_of gives them. Raises InvalidRequest for none.
        """
        allow(principal, "experiment:run")
        if not pairs:
            raise InvalidRequest(
                f"Nobody has judged an answer that `{metric}` has scored.",
                next_step="Judge answers of an experiment: `headworks judgements wanted` lists them.",
            )
        return await self._keep(principal, project, card_of(judge, metric, pairs))

    async def is_calibrated(self, principal: Principal, project: ProjectId, judge: Digest, metric: str) -> bool:
        """Whether the newest card of this very judge for the metric is good and valid now."""
        found = await self._newest(principal, project, judge, metric)
        return found is not None and found.is_calibrated

    async def find(self, principal: Principal, project: ProjectId, judge: Digest, metric: str) -> KeptCard:
        """The newest card. Raises NotFound."""
        found = await self._newest(principal, project, judge, metric)
        if found is None:
            raise NotFound(f"No card is kept of this judge of `{metric}`.", next_step="Run `headworks eval calibrate`.")
        return found

    async def list(self, principal: Principal, project: ProjectId) -> Sequence[KeptCard]:
        """The newest card of each judge, by metric."""
        async with self._db.tx(principal) as tx:
            return [
                _read(row) for row in await tx.fetch_all(_SQL["list_cards"], tenant=principal.tenant, project=project)
            ]

    async def check_drift(
        self, principal: Principal, project: ProjectId, judge: Digest, metric: str, pairs: Sequence[Pair]
    ) -> Drift:
        """Judge the newest card by judgements given since, in their order; an alarm takes the calibration away.

        Raises NotFound where there is no card.
        """
        allow(principal, "experiment:run")
        found = await self.find(principal, project, judge, metric)
        drift = drift_of(found.card, pairs)
        if drift.is_alarm and found.card.is_good:
            said = f"It disagreed {drift.disagreements} times in {drift.n} judgements since: it has drifted."
            await self._keep(principal, project, replace(found.card, missing=(said,)))
        return drift

    async def _keep(self, principal: Principal, project: ProjectId, card: JudgeCard) -> KeptCard:
        async with self._db.tx(principal) as tx:
            row = await tx.fetch_one(
                _SQL["add_card"],
                tenant=principal.tenant, id=new_id(), project=project, judge=card.judge, metric=card.metric,
                card=msgspec.json.encode(asdict(card)).decode(), good=card.is_good, days=VALID_DAYS, by=principal.id,
            )  # fmt: skip
        return _read(row)

    async def _newest(self, principal: Principal, project: ProjectId, judge: Digest, metric: str) -> KeptCard | None:
        async with self._db.tx(principal) as tx:
            return await _find(tx, principal, {"project": project, "judge": judge, "metric": metric})


async def _find(tx: Tx, principal: Principal, asked: Mapping[str, Any]) -> KeptCard | None:
    row = await tx.fetch_one(_SQL["newest_card"], tenant=principal.tenant, **asked)
    return None if row is None else _read(row)


def _read(row: Any) -> KeptCard:  # noqa: ANN401 -- a named tuple
    card = msgspec.convert(row.card, JudgeCard)
    return KeptCard(row.card_id, ProjectId(row.project_id), card, row.made_at, row.valid_until, row.is_valid)


def card_as_json(kept: KeptCard) -> dict[str, Any]:
    """For `--json` and HTTP."""
    told = {"id": str(kept.id), "made_at": kept.made_at.isoformat(), "valid_until": kept.valid_until.isoformat()}
    return told | {"is_calibrated": kept.is_calibrated} | asdict(kept.card)


def card_as_text(kept: KeptCard) -> str:
    """For a terminal: the verdict first, then the numbers, then what is missing."""
    card = kept.card
    said = "calibrated: it may decide" if kept.is_calibrated else "not calibrated: it informs, and can't gate"
    if card.is_good and not kept.is_valid:
        said = "expired: calibrate it anew"
    lines = [f"{card.metric}  {said}", f"{_RULE}judge {card.judge[:19]}…  valid until {kept.valid_until:%Y-%m-%d}", ""]
    rows = [
        ("judgements", f"{card.n}" + (f", {sum(card.errors.values())} without a verdict" if card.errors else ""), ""),
        ("passes what people pass", *_told(card.sensitivity)),
        ("fails what people fail", *_told(card.specificity)),
        ("agreement", *_told(card.agreement)),
        ("kappa", f"{card.kappa.value:.2f}", f"{card.kappa.low:.2f} to {card.kappa.high:.2f}"),
        ("worth with it", f"{card.gain:.1f}", "judgements for each one, at most"),
    ]
    if card.consistency is not None:
        rows.append(("votes agree", f"{card.consistency:.0%}", ""))
    if card.pairs_swapped:
        rows.append(("turn with the order", f"{card.flips} of {card.pairs_swapped}", ""))
    lines += _aligned(rows)
    if card.segments:
        lines += [
            "",
            *_aligned([(f"{s.tag}={s.value}", f"kappa {s.kappa.value:.2f}", f"n {s.n}") for s in card.segments]),
        ]
    lines += ["", *(f"{_RULE}• {each}" for each in card.missing)] if card.missing else []
    return "\n".join(lines)


def _told(rate: Rate) -> tuple[str, str]:
    if not rate.n:
        return "–", "nobody judged one"
    return f"{rate.value:.0%}", f"{rate.low:.0%} to {rate.high:.0%} of {rate.n}"


def _aligned(rows: Sequence[tuple[str, str, str]]) -> list[str]:
    widths = [max(len(row[at]) for row in rows) for at in range(2)]
    return [f"{_RULE}{one:<{widths[0]}}  {two:>{widths[1]}}  {three}".rstrip() for one, two, three in rows]
