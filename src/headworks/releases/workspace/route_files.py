"""`routes.yaml`, one entry at a time: its targets, and what it says about failing."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, cast, get_args

from headworks.strict_yaml import Section, nearest
from headworks.types.failing import USUAL_STEPS, FailureWord, Retries, RouteDeadlines, Step
from headworks.types.features import Fallback, Target, every_target, usual_fallback
from headworks.types.workspace import RouteSpec

_LONGEST_S = 3600.0
_SHORTEST_S = 0.001
_MOST_TARGETS = 16
"""Of one list: a request that has failed at so many is not saved by another."""
_LIKE = "Like {context_window: [openai/gpt-5], rate_limit: next, server_error: off}."


def read_route_entry(name: str, section: Section) -> RouteSpec:
    """A route as its entry says. Raises WorkspaceInvalid or NotSupportedYet with file and line."""
    section.refuse("weights", "policy", "hedge", "cache", "limits")
    section.text("description", "")
    targets = _targets(section, "targets")
    spec = RouteSpec(
        name,
        targets,
        section.whole("default_max_output", 4096, 1, 1_000_000),
        section.where(),
        _fallback(section),
        _retries(section),
        _deadlines(section),
        section.flag("continue_after_output", default=False),
    )
    section.finish()
    if not targets:
        section.complain("targets" if section.has("targets") else None, f"the route `{name}` has no targets.")
    if spec.continue_after_output and len(every_target(targets, spec.fallback)) == 1:
        section.complain("continue_after_output", f"no other target of `{name}` could go on.", "Name another one.")
    return spec


def notice_of(spec: RouteSpec) -> str | None:
    """What is worth telling about a route that is not wrong, or None."""
    if len(spec.targets) > 1 and "next" not in spec.fallback.values():
        return f"{spec.where}: no failure leads on to the `next` target, so `{spec.name}` asks only its first one."
    return None


def _targets(section: Section, key: str) -> tuple[Target, ...]:
    targets = tuple(_target(section, key, item) for item in section.items(key))
    if len(targets) > _MOST_TARGETS:
        section.complain(key, f"`{key}` has {len(targets)} targets; at most {_MOST_TARGETS} are tried.")
    return targets


def _target(section: Section, key: str, item: Section | str) -> Target:
    parameters: Any = {}
    if isinstance(item, Section):
        name = item.text("target")
        parameters = item.raw("parameters") or {}
        if not isinstance(parameters, dict):
            item.complain("parameters", "`parameters` must be a mapping.")
        item.finish()
    else:
        name = item
    provider, slash, model = name.partition("/")
    if not (provider and slash and model):
        section.complain(key, f"the target {name!r} is not `provider/model`.", "Like openai/gpt-5-mini.")
    return Target(provider, model, parameters)


def _fallback(route: Section) -> Fallback:
    given = route.raw("fallback")
    if given == "off":
        return dict.fromkeys(USUAL_STEPS, "off")
    if given is not None and not isinstance(given, dict):
        route.complain("fallback", "`fallback` must be `off`, or say what follows each kind of failure.", _LIKE)
    section = route.section("fallback")
    if section is None:
        return usual_fallback()
    if section.has("on"):
        section.complain("on", "`fallback` has no `on`: its keys are the kinds of failures themselves.", _LIKE)
    fallback = {word: _step(section, word) for word in get_args(FailureWord)}
    section.finish()
    return fallback


def _step(section: Section, word: FailureWord) -> Step | tuple[Target, ...]:
    given = section.raw(word)
    if given is None and not section.has(word):
        return USUAL_STEPS[word]
    if isinstance(given, str):
        if given not in get_args(Step):
            hint = f"Targets are a list: [{given}]." if "/" in given else nearest(given, get_args(Step))
            section.complain(word, f"`fallback.{word}` is {given!r}.", hint)
        return cast("Step", given)
    if not isinstance(given, list) or not given:
        section.complain(word, f"`fallback.{word}` must be `next`, `off`, or a list of targets.", _LIKE)
    return _targets(section, word)


def _retries(route: Section) -> Retries:
    section = route.section("retries")
    if section is None:
        return Retries()
    if section.raw("most") is None:
        section.complain(None, "`retries.most` is missing: how often the same target is tried again.", "Like 2.")
    usual = Retries()
    retries = Retries(
        section.whole("most", usual.most, 0, 5),
        section.number("base_s", usual.base_s, _SHORTEST_S, 60),
        section.number("most_s", usual.most_s, _SHORTEST_S, 120),
    )
    section.finish()
    if retries.base_s > retries.most_s:
        section.complain(
            "base_s" if section.has("base_s") else "most_s",
            f"`retries.base_s` is {retries.base_s:g}, longer than the longest pause, `most_s` of {retries.most_s:g}.",
        )
    return retries


def _deadlines(route: Section) -> RouteDeadlines:
    section = route.section("deadlines")
    if section is None:
        return RouteDeadlines()
    if section.has("first_byte_s"):
        section.complain("first_byte_s", "a route has no `deadlines.first_byte_s`.", "Did you mean `first_token_s`?")
    names = [each.name for each in fields(RouteDeadlines)]
    given = {
        name: None if section.raw(name) is None else section.number(name, 0, _SHORTEST_S, _LONGEST_S) for name in names
    }
    section.finish()
    return RouteDeadlines(**given)
