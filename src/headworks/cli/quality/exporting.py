"""Golden queries of a collection as examples of a dataset, so that experiments ask a feature the same questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headworks.errors import Conflict, InvalidRequest
from headworks.evaluation.datasets.files import read_dataset, write_dataset
from headworks.retrieval.quality.golden import GoldenQuery, Target
from headworks.types.evaluation import Example

_SET = "yes"
"""What a tag of a golden query, which is a word, is as a tag of an example."""


@dataclass(frozen=True, slots=True)
class Exported:
    """How many examples were written, and what of the golden queries is no word of theirs."""

    examples: int
    losses: tuple[str, ...]


def export_into(file: Path, queries: Sequence[GoldenQuery], golden: str, *, may_replace: bool) -> Exported:
    """Write the dataset. Conflict where a file is there; WorkspaceInvalid for an id that no example can have."""
    if file.exists() and not may_replace:
        raise Conflict(f"{file} is there.", next_step="Replace it with --force.")
    content = write_dataset(example_of(each, golden) for each in queries)
    read_dataset(str(file), content)
    try:
        file.write_bytes(content)
    except OSError as error:
        raise InvalidRequest(f"{file} can't be written: {error.strerror}.") from None
    return Exported(len(queries), tuple(_losses(queries)))


def example_of(query: GoldenQuery, golden: str) -> Example:
    """What is to be found as `/documents` of the reference, quotes as the context, tags as they slice results."""
    wanted = [each for each in query.targets if each.grade]
    return Example(
        id=query.id,
        question=query.query,
        reference={"documents": list(dict.fromkeys(_place(each) for each in wanted))},
        context=tuple(dict.fromkeys(each.quote for each in wanted if each.quote is not None)),
        cluster=query.cluster,
        tags={**dict.fromkeys(query.tags, _SET), **({} if query.reader is None else {"as": query.reader})},
        provenance={"golden": golden},
    )


def _place(target: Target) -> str:
    return f"{target.document}#{target.section[-1]}" if target.section else target.document


def _losses(queries: Sequence[GoldenQuery]) -> list[str]:
    wanted = [target for each in queries for target in each.targets]
    counted = {
        "are asked as somebody: experiments ask with the rights of who runs them; the tag `as` says who":
            sum(each.reader is not None for each in queries),
        "have grades above 1, and what is wanted is wanted alike":
            sum(any(target.grade > 1 for target in each.targets) for each in queries),
        "name what is judged and not relevant, which examples don't":
            sum(any(not target.grade for target in each.targets) for each in queries),
    }  # fmt: skip
    found = [f"{number} queries {what}" for what, number in counted.items() if number]
    deep = sum(len(each.section) > 1 for each in wanted)
    return [*found, f"{deep} sections are named by their innermost heading alone"] if deep else found
