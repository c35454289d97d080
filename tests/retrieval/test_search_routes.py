"""Search over HTTP: filters, settings and reasons, metadata in and out, and refusals that name the field."""

from __future__ import annotations

from .test_routes import Http, http

__all__ = ["http"]


async def test_metadata_goes_in_by_upload_comes_out_and_filters(http: Http) -> None:
    await http.world.collection("handbook", "everyone")
    admin = await http.caller("admin")
    for year in (2023, 2024):
        put = await admin.put("handbook", f"{year}.md", "# Heron\n\nA heron.", metadata=f'{{"year": {year}}}')
        assert put.status_code == 202, put.text
    await http.world.drain()
    for said in ("year >= 2024", {"type": "gte", "key": "year", "value": 2024}):
        found = await admin.search("handbook", "heron", filter=said)
        assert [(row["path"], row["metadata"]) for row in found.json()["rows"]] == [("2024.md", {"year": 2024})]
        assert found.json()["rows"][0]["reasons"] is None
    explained = await admin.search("handbook", "heron", filter="year = 2023", explain=True, decay={"half_life_days": 9})
    (row,) = explained.json()["rows"]
    assert row["reasons"]["filters"] == ["year = 2023"]
    assert row["reasons"]["keywords"]["rank"] == 1
    assert row["reasons"]["decay"]["field"] == "updated_at"
    assert "everyone" in row["reasons"]["readable_by"]


async def test_what_can_not_be_searched_with_is_refused_by_its_field(http: Http) -> None:
    await http.world.collection("handbook", "everyone")
    admin = await http.caller("admin")
    for more, param in (
        ({"filter": "year >"}, "filter"),
        ({"filter": {"type": "eq", "key": "a\0", "value": 1}}, "filter"),
        ({"keyword_weight": 2}, "keyword_weight"),
        ({"rewrite": {"model": "m", "queries": 0}}, "rewrite.queries"),
    ):
        answer = await admin.search("handbook", "heron", **more)
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == param
    for metadata in ("[1]", "{", '{"a": null}', '{"path": "x"}'):
        put = await admin.put("handbook", "a.md", "text", metadata=metadata)
        assert (put.status_code, put.json()["error"]["param"]) == (400, "metadata")
    unknown = await admin.put("handbook", "a.md", "text", meta="{}")
    assert unknown.status_code in {400, 422}
    bob = await http.world.person("bob")
    asked = await (await http.caller(bob.name)).search("handbook", "heron", rerank={"model": "openai/dear"})
    assert asked.status_code == 403
