"""A route as JSON: as it is stored, as it stands in a release, and as its digest is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast

from headworks.types.failing import USUAL_STEPS, Retries, RouteDeadlines, Step
from headworks.types.features import Route, Target
from headworks.types.ids import Digest
from headworks.types.workspace import RouteSpec


def written_route(route: RouteSpec | Route) -> dict[str, Any]:
    """Everything that shapes a route's behaviour, but its name.

    What it does by default is said too: a release goes on doing it, whatever a later version's defaults are.
    """
    goes_on = {"continue_after_output": True} if route.continue_after_output else {}
    return {
        "targets": [_written(each) for each in route.targets],
        "default_max_output": route.default_max_output,
        "fallback": {
            word: step if isinstance(step, str) else [_written(each) for each in step]
            for word, step in route.fallback.items()
        },
        "retries": {each.name: getattr(route.retries, each.name) for each in fields(Retries)},
        "deadlines": {
            each.name: value
            for each in fields(RouteDeadlines)
            if (value := getattr(route.deadlines, each.name)) is not None
        },
        **goes_on,
    }


def read_route(name: str, stored: Mapping[str, Any], digest: str) -> Route:
    """A route as it is stored; with the usual ways of failing where it was stored before routes said theirs."""
    return Route(
        name,
        _targets(stored["targets"]),
        Digest(digest),
        stored["default_max_output"],
        {word: _step(step) for word, step in stored.get("fallback", USUAL_STEPS).items()},
        Retries(**stored.get("retries", {})),
        RouteDeadlines(**stored.get("deadlines", {})),
        stored.get("continue_after_output", False),
    )


def _written(target: Target) -> dict[str, Any]:
    return {"target": target.name, "parameters": target.parameters}


def _step(stored: Step | list[Mapping[str, Any]]) -> Step | tuple[Target, ...]:
    return _targets(stored) if isinstance(stored, list) else stored


def _targets(stored: list[Mapping[str, Any]]) -> tuple[Target, ...]:
    return tuple(_target(each) for each in stored)


def _target(stored: Mapping[str, Any]) -> Target:
    provider, _, model = cast("str", stored["target"]).partition("/")
    return Target(provider, model, dict(stored["parameters"]))
