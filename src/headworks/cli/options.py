"""Options that many commands share, and commands that talk to a server."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from headworks.errors import Unauthenticated

if TYPE_CHECKING:
    from headworks.cli.client import Client

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.", show_default=False)]
UrlOption = Annotated[
    str | None,
    typer.Option("--url", envvar="HEADWORKS_URL", help="The server; else the one started here.", metavar="URL"),
]
KeyOption = Annotated[
    str | None, typer.Option("--key", envvar="HEADWORKS_API_KEY", help="The API key to ask with.", metavar="KEY")
]
SeenAs = Annotated[
    str | None,
    typer.Option("--as", help="See what somebody else would; needs `reader:see_as`, and is audited.", metavar="NAME"),
]
Result = TypeVar("Result")


def with_client(function: Callable[..., Result]) -> Callable[..., Result]:
    """`function(client, …)` as a command that has --url and --key in place of the client."""
    signature = inspect.signature(function, eval_str=True)
    kept = [each for name, each in signature.parameters.items() if name != "client"]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in (("url", UrlOption), ("key", KeyOption))
    ]

    def command(*, url: str | None, key: str | None, **given: Any) -> Result:  # noqa: ANN401 -- of any command
        with contextlib.ExitStack() as closing:
            client = find_client(url, key)
            closing.callback(client.close)
            try:
                return function(client, **given)
            except KeyboardInterrupt:
                closing.pop_all()  # it would wait for a thread that reads an answer, and the process ends anyway
                raise

    command.__name__, command.__doc__ = function.__name__, function.__doc__
    command.__annotations__ = {each.name: each.annotation for each in [*kept, *added]}
    command.__signature__ = signature.replace(parameters=[*kept, *added])  # type: ignore[attr-defined] # as documented
    return command


def find_client(url: str | None, key: str | None) -> Client:
    """A client for the server that is meant; Unauthenticated when there is no key."""
    from headworks.cli.client import Client
    from headworks.cli.local import find_address

    address = (url or "").strip() or find_address()
    if not (key or "").strip():
        raise Unauthenticated(
            "There is no API key to ask with.",
            next_step="Give --key or set HEADWORKS_API_KEY. `headworks up` shows the first key at its first start.",
        )
    return Client(address, (key or "").strip())


def split(values: Iterable[str] | None) -> list[str] | None:
    """Names given as `a,b` or by several options, or both; None when the option was not given."""
    if values is None:
        return None
    return [name for value in values for part in value.split(",") if (name := part.strip())]


def split_document(given: str | None) -> tuple[str | None, str | None]:
    """A document's collection and path, given as `COLLECTION/PATH`; or no collection and its id."""
    collection, slash, path = (given or "").partition("/")
    return (collection, path) if slash else (None, given)
