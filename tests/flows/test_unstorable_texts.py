"""A NUL, or half a character, wherever our OpenAPI document lets a caller say a text: never a fault of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from running_server import FEATURE, PROMPT, READERS, Server

Json = dict[str, Any]
NUL, HALF = "a\0b", "a\ud800b"
AN_ID = "019a6c1e-0000-7000-8000-000000000000"
FILES = {
    "routes.yaml": "routes: {default: {targets: [builtin/simulated]}, echo: {targets: [builtin/simulated]}}\n",
    "collections/docs.yaml": READERS,
    "features/assistant/feature.yaml": FEATURE,
    "features/assistant/prompts/answer.prompty": PROMPT,
}
BY_NAME: Json = {
    "collection": "docs", "model": "echo", "feature": "assistant", "path": "a.md", "paths": ["a.md"], "files": FILES,
    "project": "default", "principal": "admin", "document": "a.md", "readers": "everyone",
}  # fmt: skip
"""What gets a request past its first look-ups, so that other texts are looked at, too."""
NAMES = {"collections": "docs", "principals": "admin", "groups": "administrators"}
"""The same for `{name}` below an address."""
PYTHON: dict[str | None, type] = {"object": dict, "array": list, "integer": int, "number": float, "boolean": bool}
DEEPEST = 4


@pytest.fixture(scope="module")
def tenant(server: Server) -> Server:
    own = server.as_tenant("unstorable-texts")
    own.apply(FILES)
    own.hand_in("docs", "a.md", "x")
    own.worked_on("docs")
    return own


@pytest.fixture(scope="module")
def document(tenant: Server) -> Json:
    whole: Json = tenant.must("GET", "/api/openapi.json")
    return whole


class Schemas:
    """What values a document's schemas allow: the least, and those with one text replaced."""

    def __init__(self, document: Json) -> None:
        self._known = document.get("components", {}).get("schemas", {})

    def plain(self, schema: Json) -> Json:
        """The schema itself: of alternatives the first that is something."""
        while True:
            if "$ref" in schema:
                schema = self._known[schema["$ref"].rpartition("/")[2]]
            elif ways := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
                schema = next((each for each in ways if each.get("type") != "null"), {})
            else:
                return schema

    def least(self, schema: Json, name: str = "", depth: int = 0) -> Any:
        schema = self.plain(schema)
        kind = schema.get("type")
        if name in BY_NAME and isinstance(BY_NAME[name], PYTHON.get(kind, str)):
            return BY_NAME[name]
        if "const" in schema or "enum" in schema:
            return schema.get("const", schema.get("enum", [None])[0])
        if kind == "object":
            known = schema.get("properties", {})
            wanted = () if depth > DEEPEST else schema.get("required", ())
            return {each: self.least(known.get(each, {}), each, depth + 1) for each in wanted}
        if kind == "array":
            return [self.least(schema.get("items", {}), name, depth + 1)] if schema.get("minItems") else []
        plain = {"integer": schema.get("minimum", 1), "number": schema.get("minimum", 1), "boolean": False}
        return plain.get(kind, AN_ID if schema.get("format") == "uuid" else "x")

    def planted(self, schema: Json, name: str = "", depth: int = 0) -> Iterator[Any]:
        """The least value, over and over, each time with a NUL or half a character in another text of it."""
        schema = self.plain(schema)
        kind = schema.get("type", "string")
        if depth > DEEPEST:
            return
        if kind == "string":
            yield from (NUL, HALF)
        elif kind == "array":
            for each in self.planted(schema.get("items", {}), name, depth + 1):
                yield [each]
        elif kind == "object":
            least = self.least(schema, name)
            for key, inner in schema.get("properties", {}).items():
                for each in self.planted(inner, key, depth + 1):
                    yield {**least, key: each}
            if schema.get("additionalProperties"):
                yield {**least, NUL: "x"}
                yield {**least, "x": NUL}


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def address(path: str, filled: dict[str, str], asked: dict[str, str]) -> str:
    for name, value in filled.items():
        path = path.replace(f"{{{name}}}", quote(value, safe="", errors="replace"))
    query = "&".join(f"{name}={quote(value, safe='', errors='replace')}" for name, value in asked.items())
    return f"{path}?{query}" if query else path


def requests(schemas: Schemas, path: str, operation: Json) -> Iterator[tuple[str, Any]]:
    """Addresses and bodies of an operation, with one bad text in each."""
    params = [each for each in operation.get("parameters", ()) if each["in"] in {"path", "query"}]
    usual = {each["name"]: str(schemas.least(each.get("schema", {}), each["name"])) for each in params}
    usual |= next(({"name": name} for area, name in NAMES.items() if path.startswith(f"/api/{area}/")), {})
    in_path = {each["name"]: usual[each["name"]] for each in params if each["in"] == "path"}
    in_query = {each["name"]: usual[each["name"]] for each in params if each["in"] == "query" and each.get("required")}
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    least = None if body is None else schemas.least(body)
    for each in params:
        if each["in"] == "path":
            yield address(path, {**in_path, each["name"]: NUL}, in_query), least
        else:
            yield address(path, in_path, {**in_query, each["name"]: NUL}), least
    for planted in () if body is None else schemas.planted(body):
        yield address(path, in_path, in_query), planted


def test_no_text_that_cannot_be_stored_is_a_fault_of_ours(tenant: Server, document: Json) -> None:
    schemas = Schemas(document)
    broken, refused, asked = [], 0, 0
    headers = {"authorization": f"Bearer {tenant.admin_key}", "content-type": "application/json"}
    with httpx.Client(base_url=tenant.url, headers=headers, timeout=60) as client:
        for method, path, operation in operations(document):
            for where, body in requests(schemas, path, operation):
                content = None if body is None else json.dumps(body).encode()
                with client.stream(method, where, content=content) as answer:
                    asked += 1
                    if answer.status_code < 400:
                        continue  # a text that is only passed on, or sealed
                    said = answer.read()
                    refused += b"unstorable_text" in said
                    is_locked_out = answer.status_code == 401 and not path.startswith("/claim/")  # takes no key
                    if answer.status_code >= 500 or is_locked_out:
                        broken.append(f"{method} {where} {content!r}: {answer.status_code} {said[:200]!r}")
    assert not broken, "\n".join(broken)
    assert asked > 500
    assert refused > 10, "what the database refuses no longer reads as a caller's mistake"


@pytest.mark.parametrize(
    ("method", "where", "body", "field"),
    [
        ("GET", "/api/experiments?feature=a%00b", None, "feature"),
        ("GET", "/api/datasets/a%00b", None, "name"),
        ("GET", "/api/judgements?metric=%00", None, "metric"),
        ("GET", "/api/judgements?release=a%00", None, "release"),
        ("GET", "/api/judgements/wanted?queue=%00", None, "queue"),
        ("GET", "/api/judgements/agreement?metric=%00", None, "metric"),
        ("POST", "/api/holds", {"kind": "document", "name": "x", "reason": "x", "collection": HALF}, "collection"),
    ],
)
def test_the_field_is_named(tenant: Server, method: str, where: str, body: Any, field: str) -> None:
    status, answer = tenant.api(method, where, body)
    error = answer["error"]
    assert (status, error["code"], error["param"]) == (400, "unstorable_text", field)
    assert error["message"].startswith(f"`{field}`: a text holds a NUL character (U+0000) or half a character")
