"""The `/v1` part of the OpenAPI document: what is mounted, all of it, and nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from fastapi import FastAPI
from running_gateway import World
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from headworks.gateway.dialects import DIALECTS
from headworks.gateway.openapi.document import OPERATIONS, description, is_mounted, joined

EXACT = {each.route for each in OPERATIONS if "{" not in each.route[1]}
BELOW = {(method, path[: path.index("{")]) for method, path in (each.route for each in OPERATIONS) if "{" in path}


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    return description(EXACT, BELOW)


def routes_of(described: dict[str, Any]) -> set[tuple[str, str]]:
    return {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}


def test_it_is_valid_openapi(whole: dict[str, Any]) -> None:
    document = joined(FastAPI(title="Others").openapi(), whole)
    assert document["openapi"].startswith("3.1")
    assert [error.message for error in OPENAPI_31_VALIDATOR.iter_errors(document)] == []


def test_every_reference_leads_somewhere(whole: dict[str, Any]) -> None:
    text = msgspec.json.encode(whole).decode()
    wanted = {piece.split('"')[0] for piece in text.split('"$ref":"#/components/schemas/')[1:]}
    assert wanted <= whole["components"]["schemas"].keys()
    assert wanted


def test_what_is_mounted_is_described_and_nothing_else() -> None:
    assert routes_of(description([("GET", "/v1/models")], [("GET", "/v1/models/")])) == {
        ("GET", "/v1/models"),
        ("GET", "/v1/models/{model}"),
    }
    assert description([], []) == {
        "paths": {},
        "components": {"schemas": {}, "securitySchemes": description([], [])["components"]["securitySchemes"]},
    }


def test_each_route_of_the_gateway_is_described() -> None:
    known = {each.route for each in OPERATIONS}
    assert {("POST", each.path) for each in DIALECTS} <= known
    assert len(known) == len(OPERATIONS)


def test_whatever_the_running_gateway_serves_is_described(world: World) -> None:
    hot, prefixes = set(world.gateway.hot_routes()), set(world.gateway.hot_prefixes())
    shown = routes_of(description(hot, prefixes))
    assert hot <= shown
    for method, start in prefixes:
        assert any(method == known and path.startswith(start) for known, path in shown - hot), (method, start)
    assert all(is_mounted(each, hot, prefixes) for each in shown)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda each: each.path)
def test_what_a_handler_asks_for_is_in_the_type_of_its_body(whole: dict[str, Any], dialect: Any) -> None:
    body = whole["paths"][dialect.path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    schema = whole["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    assert {name for name, _, _ in dialect.fields} <= set(schema["required"])
    assert ("model" in schema["required"]) is (dialect.kind is None)
    assert set(dialect.caps) <= schema["properties"].keys()
    assert schema.get("additionalProperties", True) is True
    streams = "text/event-stream" in whole["paths"][dialect.path]["post"]["responses"]["200"]["content"]
    assert streams is dialect.can_stream


ERRORS = {
    "/v1/messages": "AnthropicError",
    "/v1beta/models/": "GoogleError",
    "/v1/models/{model}:": "GoogleError",
    "/model/": "AmazonError",
}


def test_errors_have_the_shape_of_the_format(whole: dict[str, Any]) -> None:
    for path, methods in whole["paths"].items():
        for operation in methods.values():
            wanted = next((error for start, error in ERRORS.items() if path.startswith(start)), "OpenAIError")
            for status in ("4XX", "5XX"):
                schema = operation["responses"][status]["content"]["application/json"]["schema"]
                assert schema == {"$ref": f"#/components/schemas/{wanted}"}
            assert operation["security"] == [{"bearer": []}, {"x-api-key": []}]


def test_a_path_below_a_prefix_is_found_by_its_method() -> None:
    below = {("GET", "/v1/files/")}
    assert is_mounted(("GET", "/v1/files/{file_id}/content"), set(), below)
    assert not is_mounted(("DELETE", "/v1/files/{file_id}"), set(), below)
    assert not is_mounted(("GET", "/v1/filesystem/{file_id}"), set(), below)


def test_two_things_under_one_name_are_refused(whole: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="described twice: ChatRequest"):
        joined({"components": {"schemas": {"ChatRequest": {}}}}, whole)
