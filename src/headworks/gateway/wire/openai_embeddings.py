"""Embeddings: the fields that we look at ourselves."""

from __future__ import annotations

from headworks.errors import InvalidRequest
from headworks.gateway.wire.bodies import Body, wrong_type

_TEXT_OR_ARRAY = frozenset(b'"[')


def check_request(body: Body) -> None:
    """Raises InvalidRequest that names the field."""
    given = body.value("input")
    if given is None:
        raise InvalidRequest("`input` is required.", param="input", code="missing_field")
    if given[0] not in _TEXT_OR_ARRAY:
        raise wrong_type("input", "a text or an array")
