"""A retriever for Haystack: `pip install headworks[haystack]`.

retriever = HeadworksRetriever(Secret.from_env_var("HEADWORKS_API_KEY"), "handbook", top_k=4)
pipeline.add_component("retriever", retriever)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from haystack import Document, component, default_from_dict, default_to_dict
from haystack.utils import Secret, deserialize_secrets_inplace

from headworks.adapters.searching import Searching

_OPERATORS: Final[Mapping[str, str]] = {
    "==": "eq", "!=": "ne", ">": "gt", ">=": "gte", "<": "lt", "<=": "lte", "in": "in", "not in": "nin",
}  # fmt: skip


@component
class HeadworksRetriever:
    """Passages of a collection that the key may read. Raises SearchFailed, and ValueError for an unknown operator.

    `filters` are Haystack's (`{"field": "meta.year", "operator": ">=", "value": 2024}`); those of a run come beside
    those of the component.
    """

    def __init__(
        self,
        key: Secret,
        collection: str,
        *,
        url: str = "http://127.0.0.1:8484",
        top_k: int = 6,
        filters: dict[str, Any] | None = None,
        settings: dict[str, Any] | None = None,
        timeout_s: float = 60.0,
    ) -> None:
        """`settings` are other fields of `POST /api/search`."""
        self.key = key
        self.collection = collection
        self.url = url
        self.top_k = top_k
        self.filters = filters
        self.settings = settings
        self.timeout_s = timeout_s

    def to_dict(self) -> dict[str, Any]:
        """As Haystack stores a component; the key by the name of its variable only."""
        stored: dict[str, Any] = default_to_dict(
            self,
            key=self.key.to_dict(),
            collection=self.collection,
            url=self.url,
            top_k=self.top_k,
            filters=self.filters,
            settings=self.settings,
            timeout_s=self.timeout_s,
        )
        return stored

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> HeadworksRetriever:
        """The component that was stored."""
        deserialize_secrets_inplace(data["init_parameters"], keys=["key"])
        found: HeadworksRetriever = default_from_dict(cls, data)
        return found

    @component.output_types(documents=list[Document])
    def run(
        self, query: str, filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """The passages as documents, best first."""
        where = Searching(self.key.resolve_value() or "", self.collection, self.url, self.timeout_s)
        given = [_filter(each) for each in (self.filters, filters) if each]
        only = {"type": "and", "filters": given} if given else None
        found = where.search(query, top_k or self.top_k, {**(self.settings or {}), "filter": only})
        return {
            "documents": [
                Document(id=each.id, content=each.text, meta=each.metadata, score=each.score) for each in found
            ]
        }


def _filter(given: Mapping[str, Any]) -> dict[str, Any]:
    """Haystack's filter as ours."""
    operator = str(given.get("operator"))
    if "conditions" in given:
        parts = [_filter(each) for each in given["conditions"]]
        if operator.upper() == "NOT":
            return {"type": "not", "filter": {"type": "and", "filters": parts}}
        return {"type": operator.lower(), "filters": parts}
    if operator not in _OPERATORS:
        raise ValueError(f"A filter here has no operator {operator!r}; there is {', '.join(_OPERATORS)}.")
    key = str(given["field"]).removeprefix("meta.")
    return {"type": _OPERATORS[operator], "key": key, "value": given["value"]}
