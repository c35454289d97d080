"""Attestations: signed statements about a digest, in the shape of in-toto. docs/reference/releases.md has the forms.

Some predicate types are ours, and only Headworks itself writes them: approvals, verdicts of gates, comparisons. Others
may be anything with an address: a model card, a red-team run, a licence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec
import rfc8785

from headworks.errors import InvalidRequest
from headworks.types.ids import Digest, PrincipalId
from headworks.types.json_values import JsonObject

STATEMENT = "https://in-toto.io/Statement/v1"
OURS = "headworks:"
APPROVAL = "headworks:approval/v1"
VERDICT = "headworks:gate-verdict/v1"
COMPARISON = "headworks:comparison/v1"
MOST_BYTES = 4_000_000
"""Of one statement: a comparison of thousands of examples fits."""

_TYPE = re.compile(r"[a-z][a-z0-9+.-]{1,30}:[\x21-\x7e]{1,400}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

Decision = Literal["approve", "object", "withdraw"]


class Approval(msgspec.Struct, frozen=True, omit_defaults=True):
    """Predicate `headworks:approval/v1`: somebody's word on a digest, for as long as `gate` is what judges it."""

    decision: Decision
    is_expert: bool = False
    gate: str | None = None
    """Digest of the gate that was attached to `prod` then."""
    proposal: int | None = None
    comment: str = ""


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """Predicate `headworks:gate-verdict/v1`: what a gate said of a digest. What else it holds is kept and shown."""

    verdict: Literal["PASS", "FAIL", "INCONCLUSIVE"]
    gate: str
    dataset: str | None = None
    base: str | None = None
    """The release that it was compared with; None: with none, as the gate compares nothing or nothing was live."""
    compares: bool = False
    """Whether the gate compares with what is live."""
    needed: int | None = None
    """How many more judgements an inconclusive one asks for."""
    summary: str = ""


class Flip(msgspec.Struct, frozen=True, omit_defaults=True, rename={"before": "from", "after": "to"}):
    """One example that base and candidate answer differently by one metric."""

    example: str
    before: Literal["pass", "fail"]
    after: Literal["pass", "fail"]
    metric: str = ""
    modes: tuple[str, ...] = ()
    """Failure modes of the side that fails."""
    base_trace: str | None = None
    trace: str | None = None


class Comparison(msgspec.Struct, frozen=True, omit_defaults=True):
    """Predicate `headworks:comparison/v1`: how the subject behaves beside `base` on the same examples."""

    base: str
    dataset: str | None
    examples: int
    flips: tuple[Flip, ...] = ()


_OURS: Mapping[str, type[Approval | Verdict | Comparison]] = {
    APPROVAL: Approval,
    VERDICT: Verdict,
    COMPARISON: Comparison,
}


@dataclass(frozen=True, slots=True)
class Statement:
    """What was signed: who said what of which digest, and when by the server's clock."""

    digest: Digest
    predicate_type: str
    predicate: Mapping[str, Any]
    by: PrincipalId
    by_name: str
    at: datetime
    tenant: str

    @property
    def words(self) -> Approval | Verdict | Comparison | None:
        """The predicate in its own type, None for one that is not ours."""
        kind = _OURS.get(self.predicate_type)
        return None if kind is None else msgspec.convert(self.predicate, kind)


def write_statement(statement: Statement) -> bytes:
    """As canonical JSON, to be signed."""
    return rfc8785.dumps(
        {
            "_type": STATEMENT,
            "subject": [{"name": "release", "digest": {"sha256": statement.digest.removeprefix("sha256:")}}],
            "predicateType": statement.predicate_type,
            "predicate": dict(statement.predicate),
            "headworks": {
                "by": {"id": str(statement.by), "name": statement.by_name},
                "at": statement.at.isoformat(),
                "tenant": statement.tenant,
            },
        }
    )


class _Subject(msgspec.Struct):
    name: str
    digest: dict[str, str]


class _By(msgspec.Struct):
    id: PrincipalId
    name: str


class _Maker(msgspec.Struct):
    by: _By
    at: datetime
    tenant: str


class _Written(msgspec.Struct):
    type: str = msgspec.field(name="_type")
    subject: Sequence[_Subject]
    predicate_type: str = msgspec.field(name="predicateType")
    predicate: JsonObject
    headworks: _Maker


def read_statement(payload: bytes) -> Statement:
    """A statement as it was signed. Raises ValueError that says what is wrong."""
    try:
        written = msgspec.json.decode(payload, type=_Written)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise ValueError("it is no statement about a release") from None
    digest = "sha256:" + written.subject[0].digest.get("sha256", "") if len(written.subject) == 1 else ""
    if written.type != STATEMENT or not _DIGEST.fullmatch(digest) or written.headworks.at.tzinfo is None:
        raise ValueError("it is no statement about one release")
    maker = written.headworks
    statement = Statement(
        Digest(digest), written.predicate_type, written.predicate, maker.by.id, maker.by.name, maker.at, maker.tenant
    )
    try:
        _ = statement.words
    except msgspec.ValidationError as error:
        raise ValueError(f"its predicate is no `{written.predicate_type}`: {error}") from None
    return statement


def check_predicate(predicate_type: str, predicate: Mapping[str, Any]) -> None:
    """Raise InvalidRequest for a type that is no address, or a predicate that is none or too large."""
    if not _TYPE.fullmatch(predicate_type):
        raise InvalidRequest(
            "A predicate's type is an address such as `https://example.com/model-card/v1`.", param="predicate_type"
        )
    if predicate_type.startswith(OURS) and predicate_type not in _OURS:
        raise InvalidRequest(f"There is no predicate type `{predicate_type}`.", param="predicate_type")
    try:
        if predicate_type in _OURS:
            msgspec.convert(dict(predicate), _OURS[predicate_type])
        size = len(rfc8785.dumps(dict(predicate)))
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"The predicate is no `{predicate_type}`: {error}.", param="predicate") from None
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise InvalidRequest(f"The predicate can't be written as JSON: {error}.", param="predicate") from None
    if size > MOST_BYTES:
        raise InvalidRequest(f"The predicate has more than {MOST_BYTES:,} bytes.", param="predicate")


def is_digest(text: str) -> bool:
    """Whether this is `sha256:` and 64 hexadecimal digits."""
    return _DIGEST.fullmatch(text) is not None
