"""Answers against their schema, and schemas that are taken or not."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.guardrails.alternatives import guard_alternatives
from headworks.guardrails.contract import CheckedJson
from headworks.guardrails.schema import MAX_SCHEMA_BYTES, check_json, read_output_schema
from headworks.releases.contract import SchemaWrong

CLAIM: dict[str, Any] = {
    "type": "object",
    "required": ["id", "lines"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "lines": {
            "type": "array",
            "maxItems": 3,
            "items": {"type": "object", "properties": {"price": {"type": "number", "minimum": 0}}},
        },
        "odd name": {"enum": ["open", "shut"]},
        "by": {"type": "object", "additionalProperties": {"type": "integer"}},
        "due": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
    },
}
GOOD = {"id": "00000000-0000-4000-8000-000000000000", "lines": [{"price": 1.5}]}
SECRET = "s3cret-value"


def schema(value: Any, *, is_strict: bool = False) -> bytes:
    return read_output_schema(json.dumps(value), is_strict=is_strict)


def check(of: Any, value: Any) -> CheckedJson:
    return check_json(schema(of), json.dumps(value))


def faults(of: Any, value: Any) -> list[str]:
    return [str(each) for each in check(of, value).errors]


def refusal(of: Any, *, is_strict: bool = False) -> SchemaWrong:
    with pytest.raises(SchemaWrong) as caught:
        read_output_schema(of if isinstance(of, str) else json.dumps(of), is_strict=is_strict)
    return caught.value


# ── Answers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_answer_that_fits_is_good_and_stays_as_it_is() -> None:
    text = json.dumps(GOOD, indent=3)
    checked = check_json(schema(CLAIM), text)
    assert checked.is_good
    assert (checked.text, checked.value, checked.was_repaired) == (text, GOOD, False)


def test_a_wrapped_answer_is_unwrapped_and_says_so() -> None:
    checked = check_json(schema(CLAIM), f"```json\n{json.dumps(GOOD)}\n```")
    assert checked.is_good
    assert (checked.text, checked.was_repaired) == (json.dumps(GOOD), True)


def test_a_cut_answer_says_where_it_ends() -> None:
    checked = check_json(schema(CLAIM), json.dumps(GOOD)[:-1])
    assert [str(each) for each in checked.errors] == ["$ ends before it is complete (line 1, column 73)"]


def test_each_fault_has_its_path_and_plain_words() -> None:
    wrong = {
        "id": SECRET,
        "lines": [{"price": SECRET}, {"price": -1}, 3, {}],
        "odd name": SECRET,
        "by": {SECRET: "x"},
        "due": 7,
        SECRET: SECRET,
    }
    assert sorted(faults(CLAIM, wrong)) == [
        "$ has 1 member that the schema does not allow",
        "$.by.* must be a whole number, not text",
        "$.due must be text or null, not a number",
        '$.id must be of the format "uuid"',
        "$.lines may have at most 3 elements",
        "$.lines[0].price must be a number, not text",
        "$.lines[1].price must be at least 0",
        "$.lines[2] must be an object, not a number",
        '$["odd name"] must be one of "open", "shut"',
    ]


def test_a_missing_member_is_named() -> None:
    assert faults(CLAIM, {"lines": []}) == ['$ lacks the member "id"']


@pytest.mark.parametrize(
    ("of", "value", "words"),
    [
        ({"const": "x"}, SECRET, 'must be "x"'),
        ({"minLength": 99}, SECRET, "must have at least 99 characters"),
        ({"maxLength": 1}, SECRET, "may have at most 1 characters"),
        ({"pattern": "^a+$"}, SECRET, 'must match the pattern "^a+$"'),
        ({"format": "email"}, SECRET, 'must be of the format "email"'),
        ({"format": "date-time"}, SECRET, 'must be of the format "date-time"'),
        ({"multipleOf": 5}, 12, "must be a multiple of 5"),
        ({"exclusiveMinimum": 12}, 12, "must be more than 12"),
        ({"uniqueItems": True}, [1, 1], "holds an element twice"),
        ({"contains": {"const": 1}}, [], "does not hold the elements that it must hold"),
        ({"not": {}}, SECRET, "is what the schema rules out"),
        (False, SECRET, "must not be there"),
        ({"oneOf": [{"type": "string"}, {"minLength": 1}]}, SECRET, "fits 2 of 2 alternatives; it must fit one only"),
        ({"propertyNames": {"maxLength": 1}}, {SECRET: 1}, "has a member whose name the schema does not allow"),
        ({"minProperties": 2}, {}, "must have at least 2 members"),
        ({"unevaluatedProperties": False}, {SECRET: 1}, "has 1 member that the schema does not allow"),
        ({"if": {}, "then": {"type": "boolean"}}, SECRET, "must be true or false, not text"),
        ({"type": ["object", "null"]}, [1], "must be null or an object, not a list"),
        ({"enum": [SECRET[:3] * 200]}, None, "must be one of"),
    ],
)
def test_what_is_wrong_is_told_without_the_value(of: Any, value: Any, words: str) -> None:
    (fault,) = faults({"type": "object", "properties": {"a": of}}, {"a": value})
    assert fault.startswith(f"$.a {words}")
    assert SECRET not in fault
    assert len(fault) < 200


def test_no_more_than_ten_faults_are_told() -> None:
    of = {"type": "array", "items": {"type": "integer"}}
    assert len(faults(of, ["x"] * 50)) == 10
    assert faults(of, ["x"] * 20_000) == ["$ does not fit the schema; it is too large to say where"]


SHAPES = {
    "$defs": {
        "circle": {
            "type": "object",
            "properties": {"kind": {"const": "circle"}, "radius": {"type": "number"}},
            "required": ["kind", "radius"],
        },
        "group": {
            "type": "object",
            "properties": {"kind": {"enum": ["group", "row"]}, "of": {"items": {"$ref": "#/$defs/any"}}},
            "required": ["kind", "of"],
        },
        "any": {"oneOf": [{"$ref": "#/$defs/circle"}, {"$ref": "#/$defs/group"}]},
    },
    "type": "object",
    "properties": {"shape": {"$ref": "#/$defs/any"}},
}  # fmt: skip


def test_of_alternatives_the_one_that_was_meant_says_what_is_wrong() -> None:
    inner = {"kind": "row", "of": [{"kind": "circle", "radius": 1}, {"kind": "circle", "radius": "x"}]}
    assert faults(SHAPES, {"shape": {"kind": "group", "of": [inner]}}) == [
        "$.shape.of[0].of[1].radius must be a number, not text"
    ]
    assert faults(SHAPES, {"shape": {"kind": "square"}}) == ["$.shape fits none of 2 alternatives"]
    assert faults(SHAPES, {"shape": []}) == ["$.shape must be an object, not a list"]


def tree(kinds: int) -> dict[str, Any]:
    """Expressions of many kinds, as of a compiler: each level is of one kind, told by its `type`."""
    inner = {"$ref": "#/$defs/any"}
    defined: dict[str, Any] = {
        f"k{n}": {
            "type": "object",
            "properties": {"left": inner, "right": inner, "type": {"const": f"k{n}"}},
            "required": ["left", "type"],
        }
        for n in range(kinds)
    }
    defined["any"] = {"anyOf": [*({"$ref": f"#/$defs/{name}"} for name in defined), {"type": "number"}]}
    return {"$defs": defined, "type": "object", "properties": {"root": inner}}


def test_a_deep_tree_of_many_kinds_is_checked_and_its_fault_found() -> None:
    """Tried in every combination this would be 20³⁰ checks; the test's own limit is the assertion."""
    leaf: Any = 1
    broken: Any = "x"
    for level in range(30):
        leaf = {"left": leaf, "right": 2, "type": f"k{level % 20}"}
        broken = {"left": broken, "right": 2, "type": f"k{level % 20}"}
    assert check(tree(20), {"root": leaf}).is_good
    assert faults(tree(20), {"root": broken}) == [f"$.root{'.left' * 30} must be an object or a number, not text"]


def doubling(levels: int, leaf: dict[str, Any], keyword: str = "anyOf") -> dict[str, Any]:
    """References that double at each level."""
    defined: dict[str, Any] = {
        f"a{n}": {keyword: [{"$ref": f"#/$defs/a{n + 1}"}, {"$ref": f"#/$defs/a{n + 1}"}]} for n in range(levels)
    }
    return {"type": "array", "$defs": {**defined, f"a{levels}": leaf}, "items": {"$ref": "#/$defs/a0"}}


@pytest.mark.parametrize("keyword", ["anyOf", "allOf", "oneOf"])
def test_references_that_double_are_refused_before_they_cost(keyword: str) -> None:
    assert "more than 20,000 schemas" in str(refusal(doubling(40, {"type": "null"}, keyword)))


def test_what_would_take_too_long_to_check_is_not_good_and_does_not_take_long() -> None:
    of = doubling(10, {"type": "array", "items": {"$ref": "#/$defs/a0"}})
    started = time.process_time()
    assert check(of, [[[["x"]]]]).errors[0].words == "is too large, or nested too deep, to be checked by this schema"
    assert check(doubling(10, {"type": "null"}), list(range(20_000))).errors[0].words.startswith("is too large")
    assert time.process_time() - started < 5  # without the bound: minutes


def test_a_schema_that_leads_only_to_itself_says_nothing_and_ends() -> None:
    defined = {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}
    of = {"$defs": defined, "type": "object", "allOf": [{"$ref": "#/$defs/a"}]}
    assert check(of, {}).is_good
    assert faults(of, []) == ["$ must be an object, not a list"]


def test_patterns_take_time_linear_in_the_text() -> None:
    of = {"type": "object", "properties": {"a": {"pattern": "^(a+)+$"}}}
    assert faults(of, {"a": "a" * 50_000 + "!"}) == ['$.a must match the pattern "^(a+)+$"']


# ── Guards of alternatives change nothing ─────────────────────────────────────────────────────────────────────────────

kinds = st.sampled_from(["circle", "group", "row", "square"])
leaves = st.none() | st.booleans() | st.integers(0, 3) | kinds
instances = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["kind", "of", "radius", "shape"]), inner | kinds, max_size=3)
    ),
    max_leaves=12,
)
small = st.sampled_from([
    {"type": "object", "properties": {"kind": {"const": "circle"}}, "required": ["kind"]},
    {"type": "object", "properties": {"kind": {"enum": ["group", "row"]}, "of": {"$ref": "#/$defs/any"}}},
    {"properties": {"kind": {"const": "row"}, "radius": {"type": "integer"}}},
    {"properties": {"kind": {"const": 1}}},
    {"properties": {"kind": {"const": "circle"}}, "unevaluatedProperties": False},
    {"type": "array", "items": {"$ref": "#/$defs/any"}},
    {"$ref": "#/$defs/any"},
    {"type": "null"},
    True,
    False,
])  # fmt: skip
unions = st.builds(
    lambda keyword, alternatives, inner: {
        "$defs": {"any": {inner: [{"type": "integer"}, *alternatives[:2]]}},
        "properties": {"shape": {keyword: alternatives}},
        keyword: [*alternatives, {"required": ["shape"]}],
    },
    st.sampled_from(["anyOf", "oneOf"]),
    st.lists(small, min_size=1, max_size=4),
    st.sampled_from(["anyOf", "oneOf"]),
)


@given(unions, instances)
def test_guarded_alternatives_fit_what_they_fitted_before(union: dict[str, Any], value: Any) -> None:
    before = jsonschema_rs.validator_for(union).is_valid(value)
    guarded = json.loads(json.dumps(union))
    guard_alternatives(guarded)
    assert jsonschema_rs.validator_for(guarded).is_valid(value) is before


@given(unions, instances)
def test_a_value_is_good_exactly_when_the_validator_says_so(union: dict[str, Any], value: Any) -> None:
    of = {"type": "object", "properties": {"a": {"$ref": "#/$defs/u"}}, "$defs": {"u": union, **union["$defs"]}}
    assert check(of, {"a": value}).is_good is jsonschema_rs.validator_for(of).is_valid({"a": value})


def test_alternatives_that_are_pointed_into_are_left_alone() -> None:
    of = {"anyOf": [{"properties": {"kind": {"const": "a"}}}], "properties": {"b": {"$ref": "#/anyOf/0"}}}
    assert guard_alternatives(of) == {}
    assert guard_alternatives({"$schema": "http://json-schema.org/draft-06/schema#", "anyOf": of["anyOf"]}) == {}


# ── Schemas ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_schema_is_kept_compact_and_in_its_own_order() -> None:
    text = '{\n "type": "object",\n "properties": {"z": {}, "a": {"description": "é"}}\n}'
    assert read_output_schema(text, is_strict=False) == (
        '{"type":"object","properties":{"z":{},"a":{"description":"é"}}}'.encode()
    )


@pytest.mark.parametrize(
    ("of", "path", "words"),
    [
        ({"type": "object", "properties": {"a": {"type": "strin"}}}, ("properties", "a", "type"), "no such type"),
        ({"type": "object", "properties": {"a": {"format": "int32"}}}, ("properties", "a", "format"), "nothing checks"),
        ({"type": "object", "patternProperties": {"(?=a)": {}}}, ("patternProperties",), "not valid"),
        ({"type": "object", "properties": {"a": {"pattern": "(?=a)"}}}, ("properties", "a", "pattern"), "linear time"),
        ({"type": "object", "properties": {"a": {"pattern": "(a)\\1"}}}, ("properties", "a", "pattern"), "linear time"),
        ({"type": "object", "properties": {"a": {"pattern": "((a{99}){99}){99}"}}}, ("properties", "a"), "linear"),
        ({"type": "object", "required": "a"}, ("required",), "not valid"),
        ({"type": "object", "$schema": "https://example.com/mine"}, (), "Unknown meta-schema"),
        ({"type": "object", "$dynamicRef": "#a"}, ("$dynamicRef",), "`$dynamicRef` is not taken"),
        ({"type": "object", "properties": {"a": {"$id": "x"}}}, ("properties", "a"), "only the whole schema"),
        ({"type": "string"}, (), "must be an object or a list"),
        ({"type": ["object", "null"]}, (), "must be an object or a list"),
        ({"anyOf": [{"type": "object"}]}, (), "must be an object or a list"),
        ([], (), "a mapping of keywords"),
        (True, (), "a mapping of keywords"),
        ({"type": "object", "description": "x" * MAX_SCHEMA_BYTES}, (), "more than 65,536 bytes"),
    ],
)  # fmt: skip
def test_a_schema_that_can_not_be_used_is_refused_with_its_place(of: Any, path: tuple[Any, ...], words: str) -> None:
    refused = refusal(of)
    assert refused.path[: len(path)] == path
    assert words in refused.message


@pytest.mark.parametrize(
    "reference", ["http://127.0.0.1:{port}/x.json", "file:///etc/passwd", "other.json", "#/$defs/b", "#a", "#/type"]
)
def test_references_lead_nowhere_but_into_the_schema_and_nothing_is_fetched(reference: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        target = reference.format(port=listener.getsockname()[1])
        of = {"type": "object", "$defs": {"a": {}}, "properties": {"a": {"$ref": target}}}
        refused = refusal(of)
        assert refused.path == ("properties", "a", "$ref")
        assert "leads to nothing in this schema" in refused.message
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize("reference", ["#/$defs/a", "#", "#/$defs/a~1b", "#/$defs/a%20b", "#/$defs/list/anyOf/0"])
def test_references_into_the_schema_are_followed(reference: str) -> None:
    defined = {"a": {}, "a/b": {}, "a b": {}, "list": {"anyOf": [{}]}}
    assert check({"type": "object", "$defs": defined, "properties": {"a": {"$ref": reference}}}, {"a": {}}).is_good


def test_a_top_that_is_a_reference_is_as_good_as_what_it_leads_to() -> None:
    of = {
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
        "$ref": "#/$defs/node",
    }
    assert faults(of, {"next": {"next": 1}}) == ["$.next.next must be an object, not a number"]


def test_text_that_is_no_json_has_its_line() -> None:
    refused = refusal('{\n "type": "object",\n}')
    assert (refused.line, refused.path) == (3, ())
    assert refusal('{"type": "object", "type": "array"}').message == "names a member of an object twice"


@pytest.mark.parametrize("depth", [70, 5_000])
def test_a_schema_nested_without_end_is_refused_and_kills_nothing(depth: int) -> None:
    text = '{"type": "object", "properties": {"a": ' + '{"items": ' * depth + "{}" + "}" * depth + "}}"
    assert "deep" in refusal(text).message


def test_a_long_chain_of_references_is_refused_and_kills_nothing() -> None:
    defined = {f"a{n}": {"items": {"$ref": f"#/$defs/a{n + 1}"}} for n in range(1200)}
    of = {"type": "object", "$defs": {**defined, "a1200": {}}, "properties": {"a": {"$ref": "#/$defs/a0"}}}
    assert len(json.dumps(of)) < MAX_SCHEMA_BYTES
    assert "deep" in refusal(of).message


def test_the_draft_may_be_another_one() -> None:
    draft = "http://json-schema.org/draft-07/schema#"
    of = {"$schema": draft, "type": "object", "properties": {"a": {"items": [{"type": "string"}]}}}
    assert faults(of, {"a": [1]}) == ["$.a[0] must be text, not a number"]


@pytest.mark.parametrize(
    ("of", "words", "path"),
    [
        ({"type": "object"}, "`additionalProperties: false` is missing", ()),
        (
            {"type": "object", "additionalProperties": False, "properties": {"a": {}}, "required": []},
            "`a` is not `required`",
            (),
        ),
        (
            {"type": "array", "items": {"type": "object", "properties": {}}},
            "`additionalProperties: false` is missing",
            ("items",),
        ),
    ],
)
def test_strict_asks_for_what_strict_providers_demand(of: Any, words: str, path: tuple[Any, ...]) -> None:
    refused = refusal(of, is_strict=True)
    assert words in refused.message
    assert "`strict: true`" in refused.message
    assert refused.path == path
    assert schema(of)


def test_strict_takes_a_schema_whose_objects_are_closed() -> None:
    of = {"type": "object", "additionalProperties": False, "properties": {"a": {}}, "required": ["a"]}
    assert schema(of, is_strict=True)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "properties", "items", "$ref", "anyOf", "required", "enum", "const", "a"]),
            inner | st.sampled_from(["object", "#", "#/a", "string", "date"]),
            max_size=4,
        )
    ),
    max_leaves=15,
)  # fmt: skip


@given(json_values, instances)
def test_any_json_is_a_schema_that_can_be_used_or_refused(of: Any, value: Any) -> None:
    try:
        taken = schema(of)
    except SchemaWrong:
        return
    checked = check_json(taken, json.dumps(value))
    assert checked.is_good is jsonschema_rs.validator_for(of, validate_formats=True).is_valid(value)
