"""Commands with many options: those that belong together are a dataclass, and a command takes it as one parameter."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

Result = TypeVar("Result")


def gathered(function: Callable[..., Result]) -> Callable[..., Result]:
    """`function(…, chosen: Options)` as one that has a keyword for each field of the dataclass in its place."""
    signature = inspect.signature(function, eval_str=True)
    name, options = _dataclass_of(signature)
    hints = get_type_hints(options, include_extras=True)
    added = [
        inspect.Parameter(
            each.name, inspect.Parameter.KEYWORD_ONLY, default=_default(each), annotation=hints[each.name]
        )
        for each in fields(options)
    ]
    kept = [each for each in signature.parameters.values() if each.name != name]
    first = [each for each in kept if each.kind is not inspect.Parameter.KEYWORD_ONLY]
    others = [each for each in kept if each.kind is inspect.Parameter.KEYWORD_ONLY]

    def command(*given: Any, **named: Any) -> Result:  # noqa: ANN401 -- of any command
        chosen = options(**{each.name: named.pop(each.name) for each in added if each.name in named})
        return function(*given, **named, **{name: chosen})

    command.__name__, command.__doc__ = function.__name__, function.__doc__
    command.__annotations__ = {each.name: each.annotation for each in [*first, *added, *others]}
    command.__signature__ = signature.replace(parameters=[*first, *added, *others])  # type: ignore[attr-defined] # as documented
    return command


def _dataclass_of(signature: inspect.Signature) -> tuple[str, Any]:
    """The parameter that is a dataclass, and which."""
    return next((name, each.annotation) for name, each in signature.parameters.items() if is_dataclass(each.annotation))


def _default(entry: Any) -> Any:  # noqa: ANN401 -- a dataclasses.Field, and its value
    if entry.default_factory is not MISSING:
        return entry.default_factory()
    return inspect.Parameter.empty if entry.default is MISSING else entry.default
