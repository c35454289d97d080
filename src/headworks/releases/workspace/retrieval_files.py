"""The `retrieval` of a feature: its collection, how many passages, which documents, and how they are ranked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headworks.errors import WorkspaceInvalid
from headworks.strict_yaml import Section, nearest
from headworks.types.features import InputSpec, RetrievalSettings
from headworks.types.filter_reading import read_filter
from headworks.types.filters import Filter, FilterError, inputs_of
from headworks.types.search import SearchTuning, TuningError, changed


def read_retrieval(section: Section | None, inputs: Sequence[InputSpec]) -> RetrievalSettings | None:
    """The settings. Raises WorkspaceInvalid with file and line, also for a filter by an input that may be missing."""
    if section is None:
        return None
    settings = RetrievalSettings(
        section.text("collection"), section.whole("k", 6, 1, 50), _filter(section, inputs), _search(section)
    )
    section.finish()
    return settings


def _filter(section: Section, inputs: Sequence[InputSpec]) -> Filter | None:
    given = section.json("filter")
    if given is None:
        return None
    try:
        found = read_filter(given, may_name_inputs=True)
        read_filter(str(found), may_name_inputs=True)  # as a release keeps it
    except FilterError as error:
        section.complain("filter", f"the filter can't be used: {error}")
    usable = {each.name for each in inputs if each.source is None and (each.is_required or each.default is not None)}
    for name in inputs_of(found):
        if name not in usable:
            section.complain(
                "filter",
                f"the filter compares with `${name}`, which is no input of the prompt that is always there.",
                nearest(name, usable) if usable else "Declare the input there, as `required` or with a default.",
            )
    return found


def _search(section: Section) -> dict[str, Any]:
    given = section.json("search")
    if given is None:
        return {}
    if not isinstance(given, dict):
        section.complain("search", "`search` must be a mapping of keys.")
    try:
        # Synonyms and models may be turned on without naming them, where the collection's file does.
        changed(SearchTuning(), {name: value for name, value in given.items() if value is not True})
    except TuningError as error:
        hint = nearest(error.path[-1], error.known) if error.known else ""
        where = section.where_inside("search", error.path)
        raise WorkspaceInvalid(f"{where}: {error.message}", next_step=hint) from None
    return given
