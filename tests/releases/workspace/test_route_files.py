"""What a route may say about failing, and what it is told where it says it wrongly."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import orjson
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import HeadworksError, NotSupportedYet, WorkspaceInvalid
from headworks.releases.bundles import digest_of, resolve_route
from headworks.releases.route_bodies import read_route, written_route
from headworks.releases.workspace.reading import Surroundings, parse_workspace
from headworks.types.failing import USUAL_STEPS, Retries, RouteDeadlines
from headworks.types.features import Route, Target
from headworks.types.ids import Digest
from headworks.types.workspace import RouteSpec, Workspace

AROUND = Surroundings(
    providers=frozenset({"openai", "azure", "vllm"}),
    pii_kinds=frozenset(),
    permissions=frozenset(),
    usual_env=frozenset(),
    operator_env=frozenset(),
)
PAIR = "targets: [openai/a, vllm/b]"


def workspace(*lines: str) -> Workspace:
    text = "\n".join(["routes:", "  main:", *(f"    {line}" for line in lines)])
    return parse_workspace({"routes.yaml": text.encode()}, AROUND)


def route(*lines: str) -> RouteSpec:
    return workspace(*lines).routes[0]


def complaint(*lines: str, kind: type[HeadworksError] = WorkspaceInvalid) -> str:
    with pytest.raises(kind) as caught:
        workspace(*lines)
    return str(caught.value)


# ── What is read ──


def test_a_route_that_says_nothing_goes_on_after_failures_of_the_target_and_not_of_the_request() -> None:
    spec = route(PAIR)
    assert spec.fallback == USUAL_STEPS
    assert {word for word, step in spec.fallback.items() if step == "off"} == {"context_window", "content_policy"}
    assert (spec.retries, spec.deadlines) == (Retries(0, 0.5, 8.0), RouteDeadlines())


def test_what_a_fallback_does_not_name_stays_as_it_is() -> None:
    spec = route(PAIR, "fallback:", "  context_window: [openai/big]", "  rate_limit: off", "  content_policy: next")
    changed = {"context_window": (Target("openai", "big"),), "rate_limit": "off", "content_policy": "next"}
    assert spec.fallback == dict(USUAL_STEPS) | changed


def test_a_fallback_can_be_off() -> None:
    applied = workspace(PAIR, "fallback: off")
    assert set(applied.routes[0].fallback.values()) == {"off"}
    assert applied.notices == (
        "routes.yaml:3: no failure leads on to the `next` target, so `main` asks only its first one.",
    )
    assert not workspace("targets: [openai/a]", "fallback: off").notices


def test_targets_of_a_fallback_may_have_parameters() -> None:
    spec = route(PAIR, "fallback:", "  timeout: [{target: vllm/small, parameters: {max_tokens: 9}}]")
    assert spec.fallback["timeout"] == (Target("vllm", "small", {"max_tokens": 9}),)


def test_retries_and_deadlines_are_read() -> None:
    spec = route(PAIR, "retries: {most: 2, base_s: 1, most_s: 20}", "deadlines: {first_token_s: 300, idle_s: 0.5}")
    assert spec.retries == Retries(2, 1.0, 20.0)
    assert spec.deadlines == RouteDeadlines(first_token_s=300.0, idle_s=0.5)
    assert route(PAIR, "retries: {most: 1}").retries == Retries(1, 0.5, 8.0)


def test_every_target_that_may_be_asked_is_listed_once_and_the_route_s_own_come_first() -> None:
    spec = route(PAIR, "fallback: {context_window: [openai/big, vllm/b], timeout: [vllm/c, openai/big]}")
    names = [target.name for target in resolve_route(spec).every_target]
    assert names == ["openai/a", "vllm/b", "vllm/c", "openai/big"]


# ── What is refused ──


@pytest.mark.parametrize(
    ("lines", "line", "said"),
    [
        (["fallback: [openai/b]"], 4, "`fallback` must be `off`, or say what follows each kind of failure."),
        (["fallback: false"], 4, "`fallback` must be `off`"),
        (["fallback: next"], 4, "Like {context_window: [openai/gpt-5]"),
        (["fallback:", "  rate_limits: next"], 5, "Did you mean `rate_limit`?"),
        (["fallback:", "  on: [rate_limit]"], 5, "its keys are the kinds of failures themselves"),
        (["fallback:", "  timeout: nxt"], 5, "Did you mean `next`?"),
        (["fallback:", "  timeout: openai/b"], 5, "Targets are a list: [openai/b]."),
        (["fallback:", "  timeout: true"], 5, "`fallback.timeout` must be `next`, `off`, or a list of targets."),
        (["fallback:", "  timeout:"], 5, "`fallback.timeout` must be `next`, `off`, or a list of targets."),
        (["fallback:", "  timeout: []"], 5, "`fallback.timeout` must be `next`, `off`, or a list of targets."),
        (["fallback:", "  timeout: [3]"], 5, "fallback.timeout` must be a mapping of keys, not a number."),
        (["fallback:", "  timeout: [gpt]"], 5, "the target 'gpt' is not `provider/model`."),
        (["fallback:", "  timeout: [{target: a/b, params: {}}]"], 5, "unknown key"),
        (["fallback:", "  caller: next"], 5, "fallback.caller`."),
        (["fallback:", "  timeout: [nobody/x]"], 3, "the route `main` names the provider `nobody`."),
        (["retries: 2"], 4, "retries` must be a mapping of keys, not a number."),
        (["retries:", "  base_s: 1"], 5, "`retries.most` is missing"),
        (["retries:", "  most: 9"], 5, "it must lie between 0 and 5"),
        (["retries:", "  most: 1", "  base_s: soon"], 6, "retries.base_s` must be a number, not text."),
        (["retries:", "  most: 1", "  most_s: .inf"], 6, "it must lie between 0.001 and 120."),
        (["retries:", "  most: 1", "  base_s: .nan"], 6, "retries.base_s` is nan"),
        (["retries:", "  most: 1", "  base_s: 10"], 6, "longer than the longest pause, `most_s` of 8."),
        (["retries:", "  most: 1", "  most_s: 0.1"], 6, "`retries.base_s` is 0.5, longer than"),
        (["continue_after_output: maybe"], 4, "`routes.main.continue_after_output` must be"),
        (["deadlines:", "  total: 3"], 5, "Did you mean `total_s`?"),
        (["deadlines:", "  total_s: 0"], 5, "it must lie between 0.001 and 3600."),
        (["deadlines:", "  idle_s: true"], 5, "deadlines.idle_s` must be a number, not a truth value."),
        (["deadlines:", "  first_byte_s: 9"], 5, "Did you mean `first_token_s`?"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(lines: list[str], line: int, said: str) -> None:
    message = complaint(PAIR, *lines)
    assert said in message
    assert message.startswith(f"routes.yaml:{line}:")


@pytest.mark.parametrize("key", ["hedge: 1", "weights: {}", "cache: on"])
def test_what_nothing_honours_yet_is_refused(key: str) -> None:
    assert "is not supported yet" in complaint(PAIR, key, kind=NotSupportedYet)


def test_nobody_goes_on_where_there_is_one_target() -> None:
    said = complaint("targets: [openai/a]", "continue_after_output: true")
    assert "no other target of `main` could go on." in said
    assert said.startswith("routes.yaml:4:")
    assert route("targets: [openai/a]", "fallback: {invalid_answer: [vllm/b]}", "continue_after_output: true")


def test_a_list_of_targets_has_an_end() -> None:
    many = ", ".join(f"vllm/m{number}" for number in range(17))
    assert "`timeout` has 17 targets; at most 16 are tried." in complaint(PAIR, "fallback:", f"  timeout: [{many}]")


# ── What a release holds ──

TARGETS = st.builds(
    Target,
    st.sampled_from(["openai", "vllm"]),
    st.text("abc/.-", min_size=1, max_size=5),
    st.dictionaries(st.sampled_from(["max_tokens", "seed"]), st.integers(0, 9), max_size=1),
)
LISTS = st.lists(TARGETS, min_size=1, max_size=4).map(tuple)
SECONDS = st.floats(0.001, 3600)
STEPS = st.one_of(st.sampled_from(["next", "off"]), LISTS)
ROUTES = st.builds(
    RouteSpec,
    st.just("main"),
    LISTS,
    st.integers(1, 10**6),
    st.just("routes.yaml:3"),
    st.fixed_dictionaries(dict.fromkeys(USUAL_STEPS, STEPS)),
    st.builds(Retries, st.integers(0, 5), SECONDS, SECONDS),
    st.builds(RouteDeadlines, *[st.none() | SECONDS] * 4),
    st.booleans(),
)


def stored(spec: RouteSpec) -> dict[str, Any]:
    value: dict[str, Any] = orjson.loads(rfc8785.dumps(written_route(spec)))
    return value


@given(ROUTES)
def test_a_route_is_read_back_as_it_was_written(spec: RouteSpec) -> None:
    before = resolve_route(spec)
    after = read_route("main", stored(spec), before.digest)
    assert after == before
    assert after.every_target == before.every_target
    assert digest_of(stored(spec)) == before.digest


@given(ROUTES, ROUTES)
def test_routes_that_behave_differently_have_different_digests(one: RouteSpec, other: RouteSpec) -> None:
    is_same = written_route(one) == written_route(other)
    assert (resolve_route(one).digest == resolve_route(other).digest) == is_same


def test_saying_what_is_usual_does_not_move_the_digest() -> None:
    plain = resolve_route(route(PAIR))
    said = route(
        PAIR,
        "fallback: {rate_limit: next, context_window: off}",
        "retries: {most: 0}",
        "deadlines: {}",
        "continue_after_output: false",
    )
    assert resolve_route(said).digest == plain.digest


@pytest.mark.parametrize(
    "line", ["fallback: {timeout: off}", "retries: {most: 1}", "deadlines: {idle_s: 9}", "continue_after_output: true"]
)
def test_every_word_about_failing_moves_the_digest(line: str) -> None:
    assert resolve_route(route(PAIR, line)).digest != resolve_route(route(PAIR)).digest


def test_a_route_stored_before_it_could_say_how_it_fails_does_as_usual() -> None:
    body = {"targets": [{"target": "vllm/a/b", "parameters": {}}], "default_max_output": 7}
    assert read_route("old", body, "sha256:1") == Route("old", (Target("vllm", "a/b"),), Digest("sha256:1"), 7)


# ── The page ──

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "fallbacks.md").read_text()


def test_the_example_of_the_page_is_read() -> None:
    example = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    spec = parse_workspace({"routes.yaml": example[1].encode()}, AROUND).routes[0]
    changed = {"context_window": (Target("openai", "gpt-5"),), "content_policy": "next", "rate_limit": "off"}
    assert spec.fallback == dict(USUAL_STEPS) | changed


def test_the_page_names_what_is_usual() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .* \| `(next|off)` \|$", PAGE, re.MULTILINE)
    assert dict(rows) == USUAL_STEPS
    for name, value in (("most", "0"), ("base_s", "0.5"), ("most_s", "8")):
        assert f"| `{name}` | {value} |" in PAGE
    assert all(f"| `{each.name}` |" in PAGE for each in fields(RouteDeadlines))
