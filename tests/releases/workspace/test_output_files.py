"""What a feature's answers look like: read from its files, pinned in its release."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import HeadworksError, NotSupportedYet, WorkspaceInvalid
from headworks.guardrails.schema import check_json, read_output_schema
from headworks.releases.bundles import build_bundle, read_bundle
from headworks.releases.workspace.reading import Surroundings, parse_workspace
from headworks.types.features import Feature, OutputSettings
from headworks.types.ids import ProjectId, TenantId
from headworks.types.workspace import Workspace

AROUND = Surroundings(
    providers=frozenset({"openai"}),
    pii_kinds=frozenset({"email"}),
    permissions=frozenset({"feature:call"}),
    usual_env=frozenset(),
    operator_env=frozenset(),
    read_schema=read_output_schema,
)
PROMPT = "---\ninputs:\n  question: {kind: string, from: question}\n---\nuser:\n{{ question }}\n"
FEATURE = "owner: claims\nroute: default\nprompt: prompts/answer.prompty\n"
INLINE = """output:
  name: claim
  schema:
    type: object
    properties:
      reason: {type: string}
      amount:
        type: number
"""
FILE = "features/claims/answer.json"
SCHEMA = """{
  "type": "object",
  "properties": {
    "reason": {"type": "string"},
    "amount": {"type": "number"}
  }
}
"""
ANSWER = b'{"type":"object","properties":{"reason":{"type":"string"},"amount":{"type":"number"}}}'


def files(output: str, schema: str | None = None, targets: str = "[openai/gpt]") -> dict[str, bytes]:
    tree = {
        "routes.yaml": f"routes:\n  default:\n    targets: {targets}\n",
        "features/claims/feature.yaml": FEATURE + output,
        "features/claims/prompts/answer.prompty": PROMPT,
    }
    if schema is not None:
        tree[FILE] = schema
    return {path: text.encode() for path, text in tree.items()}


def parsed(output: str, schema: str | None = None, targets: str = "[openai/gpt]") -> Workspace:
    return parse_workspace(files(output, schema, targets), AROUND)


def output_of(output: str, schema: str | None = None) -> OutputSettings:
    found = parsed(output, schema).features[0].output
    assert found is not None
    return found


def complaint(output: str, schema: str | None = None, targets: str = "[openai/gpt]") -> str:
    with pytest.raises(WorkspaceInvalid) as caught:
        parsed(output, schema, targets)
    return str(caught.value)


def release(workspace: Workspace) -> tuple[str, Feature]:
    """A feature's digest, and the feature as its stored files say."""
    bundle = build_bundle(workspace.features[0], workspace.routes[0], None, lambda _: None)
    stored = {each.path: each.content for each in bundle.files}
    tenant, project = TenantId(UUID(int=1)), ProjectId(UUID(int=2))
    return bundle.digest, read_bundle(stored, tenant=tenant, project=project, digest=bundle.digest, channel="prod")


def test_a_schema_stands_in_the_file_or_in_one_of_its_own() -> None:
    assert output_of(INLINE) == OutputSettings("claim", ANSWER)
    assert output_of("output: {schema: answer.json, name: claim}\n", SCHEMA) == OutputSettings("claim", ANSWER)
    assert output_of("output: {schema: ./answer.json}\n", "\ufeff" + SCHEMA) == OutputSettings("claims", ANSWER)


def test_a_feature_without_an_output_has_none() -> None:
    assert parsed("").features[0].output is None
    assert release(parsed(""))[1].output is None


def test_the_name_for_providers_is_the_feature_s_own_where_none_is_given() -> None:
    tree = files("output: {schema: {type: object}}\n")
    renamed = {path.replace("claims", "claims.v2-x"): content for path, content in tree.items()}
    output = parse_workspace(renamed, AROUND).features[0].output
    assert output is not None
    assert output.name == "claims_v2-x"


def test_what_a_model_is_asked_for_is_the_schema_in_its_own_order() -> None:
    output = output_of("output: {schema: answer.json, name: claim}\n", SCHEMA)
    assert msgspec.json.decode(output.response_format) == {
        "type": "json_schema",
        "json_schema": {"name": "claim", "strict": False, "schema": json.loads(SCHEMA)},
    }
    assert b'{"reason":{"type":"string"},"amount":{"type":"number"}}' in bytes(output.response_format)
    strict = replace(output, is_strict=True)
    assert msgspec.json.decode(msgspec.json.encode({"a": strict.response_format}))["a"]["json_schema"]["strict"] is True


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("output: {}\n", "feature.yaml:4: `output.schema` is missing."),
        ("output: {schema: }\n", "`output.schema` is missing."),
        ("output: x.json\n", "feature.yaml:4: `output` must be a mapping of keys, not text."),
        ("output: {schema: anser.json}\n", "there is no file 'anser.json'. Did you mean `answer.json`?"),
        ("output: {schema: prompts/answer.prompty}\n", "is no `.json` file."),
        ("output: {schema: ../../routes.yaml}\n", "lies outside the feature's folder."),
        ("output: {schema: answer.json, name: a b}\n", "`output.name` is 'a b'."),
        ("output: {schema: answer.json, strict: 1}\n", "`output.strict` must be true or false, not a number."),
        ("output: {schema: answer.json, srict: true}\n", "unknown key `output.srict`. Did you mean `strict`?"),
        ("output: {schema: {type: object, const: 2026-01-01}}\n", "`output.schema` holds what is no JSON"),
        ("output: {schema: {type: object, 1: a}}\n", "`output.schema` holds what is no JSON"),
        ("output: {schema: {type: object, const: .nan}}\n", "holds `NaN` or `Infinity`"),
        ("output: {schema: [1]}\n", "a schema is a mapping of keywords"),
        ("output: {schema: 7}\n", "a schema is a mapping of keywords"),
        ("output: {schema: &a {type: object, not: *a}}\n", "the output schema at `#/not`"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_output_is_told_with_file_and_line(output: str, words: str) -> None:
    message = complaint(output, SCHEMA)
    assert message.startswith("features/claims/feature.yaml:4:")
    assert words in message


def test_what_has_an_anchor_stays_what_it_is() -> None:
    output = output_of("output: {schema: {type: object, properties: {a: &no false, b: *no}}}\n")
    assert output.schema == b'{"type":"object","properties":{"a":false,"b":false}}'


def test_aliases_that_multiply_are_refused() -> None:
    lines = ["output:", "  schema:", "    type: object", "    a0: &a0 [1, 1]"]
    lines += [f"    a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}]" for n in range(1, 30)]
    assert "or too much of it" in complaint("\n".join(lines) + "\n")


def test_a_wrong_place_in_a_schema_has_its_line() -> None:
    inline = complaint(INLINE.replace("type: number", "type: nmber"))
    assert inline.startswith(
        "features/claims/feature.yaml:11: the output schema at `#/properties/amount/type`: there is no"
    )
    in_file = complaint("output: {schema: answer.json}\n", SCHEMA.replace('"number"', '"nmber"'))
    assert in_file.startswith(
        "features/claims/answer.json:5: the output schema at `#/properties/amount/type`: there is no"
    )


def test_a_schema_s_file_that_is_no_json_has_its_line() -> None:
    assert complaint("output: {schema: answer.json}\n", SCHEMA.replace(",", "", 2)).startswith(
        "features/claims/answer.json:3: the output schema: is no JSON"
    )
    tree = files("output: {schema: answer.json}\n") | {FILE: b'{"type":\n"\xff"}'}
    with pytest.raises(WorkspaceInvalid, match=r"answer\.json:2: not UTF-8"):
        parse_workspace(tree, AROUND)


def test_a_line_is_the_first_where_yaml_can_not_read_the_json() -> None:
    message = complaint("output: {schema: answer.json}\n", '{"type": "object",\t"a":\t1,\n"not": 1, "\\/": 1}')
    assert message.startswith("features/claims/answer.json:")
    assert "the output schema at `#/not`" in message


def test_strict_is_checked_when_it_is_asked_for() -> None:
    message = complaint("output: {schema: answer.json, strict: true}\n", SCHEMA)
    assert message.startswith(
        "features/claims/answer.json:1: the output schema: `additionalProperties: false` is missing"
    )
    closed = SCHEMA.replace('"object",', '"object", "additionalProperties": false, "required": ["reason", "amount"],')
    assert output_of("output: {schema: answer.json, strict: true}\n", closed).is_strict


def test_a_json_file_that_no_output_names_is_left_alone_with_a_notice() -> None:
    assert parsed("", SCHEMA).notices == (f"{FILE}: left alone, its feature's `output` does not name it.",)
    assert parsed("output: {schema: answer.json}\n", SCHEMA).notices == ()


def test_a_caller_s_own_format_and_a_feature_s_output_exclude_each_other() -> None:
    message = complaint("output: {schema: answer.json}\naccepts: [response_format]\n", SCHEMA)
    assert message.startswith(
        "features/claims/feature.yaml:5: a feature with an `output` can't accept `response_format`"
    )


def test_quotes_can_not_follow_a_schema() -> None:
    output = "output: {schema: answer.json}\n"
    message = complaint(output, SCHEMA, "[builtin/extractive]")
    assert message.startswith("features/claims/feature.yaml:1: the feature `claims` has an output schema")
    assert "`builtin/extractive`" in message
    assert parsed(output, SCHEMA, "[openai/gpt, builtin/extractive]").features[0].output
    assert parsed(output, SCHEMA, "[builtin/simulated]").features[0].output
    assert parsed("", None, "[builtin/extractive]").features[0].output is None


def test_without_somebody_who_reads_schemas_an_output_is_refused_and_not_ignored() -> None:
    with pytest.raises(NotSupportedYet, match=r"feature\.yaml:4: `output`: nothing here can check a schema"):
        parse_workspace(files("output: {schema: answer.json}\n", SCHEMA), replace(AROUND, read_schema=None))


def test_a_release_has_the_schema_in_its_digest_and_gives_it_back() -> None:
    plain, _ = release(parsed(""))
    digest, feature = release(parsed("output: {schema: answer.json, name: claim}\n", SCHEMA))
    assert digest != plain
    assert feature.output == OutputSettings("claim", ANSWER)
    assert release(parsed(INLINE))[0] == digest  # where it stands and how it is spaced shapes nothing


@pytest.mark.parametrize(
    "change", [("number", "integer"), ('"reason": {"type": "string"},\n    "amount"', '"amount": {},\n    "reason"')]
)
def test_whatever_shapes_the_answer_moves_the_digest(change: tuple[str, str]) -> None:
    output = "output: {schema: answer.json, name: claim}\n"
    before = release(parsed(output, SCHEMA))[0]
    assert change[0] in SCHEMA
    assert release(parsed(output, SCHEMA.replace(*change)))[0] != before
    assert release(parsed("output: {schema: answer.json, name: other}\n", SCHEMA))[0] != before


members = st.dictionaries(st.text("abcxyz é", min_size=1, max_size=5), st.sampled_from(["string", "integer", "null"]))


@given(members)
def test_what_a_release_gives_back_checks_as_what_was_written(types: dict[str, str]) -> None:
    written: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "required": list(types),
        "properties": {name: {"type": each} for name, each in types.items()},
    }
    text = json.dumps(written)
    _, feature = release(parsed("output: {schema: answer.json, strict: true}\n", text))
    assert feature.output is not None
    assert list(json.loads(feature.output.schema)["properties"]) == list(types)
    value = {name: {"string": "x", "integer": 1, "null": None}[each] for name, each in types.items()}
    assert check_json(feature.output.schema, json.dumps(value)).is_good
    assert not check_json(feature.output.schema, json.dumps(value | {"more": 1})).is_good


@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode), st.booleans())
def test_any_bytes_are_read_or_refused_with_a_place(content: bytes, is_file: bool) -> None:  # noqa: FBT001 -- given
    tree = files("output: {schema: answer.json}\n") | {FILE: content}
    if not is_file:
        tree["features/claims/feature.yaml"] = (FEATURE + "output:\n  schema: ").encode() + content + b"\n"
    try:
        parse_workspace(tree, AROUND)
    except HeadworksError as error:
        assert error.message.startswith("features/claims/")  # noqa: PT017 -- either outcome is right
