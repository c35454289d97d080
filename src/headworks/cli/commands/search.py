"""`headworks search`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from headworks.cli.answers import place_in
from headworks.cli.client import Client, place
from headworks.cli.explaining import reasons_table
from headworks.cli.gathering import gathered
from headworks.cli.json_values import JsonObject
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson, SeenAs, with_client
from headworks.cli.quality.configurations import read_settings
from headworks.cli.terminal import note, one_line, paint, print_json, width, wrapped

app = new_app()
FIELDS = ("document", "title", "path", "chunk", "score", "start", "end", "text")


@dataclass(frozen=True, slots=True)
class Chosen:
    """What can be chosen of a search."""

    k: Annotated[int, typer.Option("--k", "-k", help="At most so many passages.", metavar="N", min=1, max=100)] = 6
    where: Annotated[
        str | None,
        typer.Option("--where", help="What documents must be, like 'year >= 2024'.", metavar="FILTER"),
    ] = None
    settings: Annotated[
        list[str] | None,
        typer.Option("--with", help="A setting of the search; may be repeated.", metavar="NAME=VALUE"),
    ] = None
    explain: Annotated[
        bool, typer.Option("--explain", help="Say why each passage stands where it does.", show_default=False)
    ] = False
    seen_as: SeenAs = None

    def body(self, collection: str, query: str) -> JsonObject:
        """The request."""
        asked: JsonObject = {
            **read_settings(self.settings or ()),
            "collection": collection,
            "query": query,
            "k": self.k,
        }
        asked |= {"explain": True} if self.explain else {}
        return asked | ({} if self.where is None else {"filter": self.where})


@app.command()
@with_client
@gathered
def search(
    client: Client,
    collection: Annotated[str, typer.Argument(help="The collection's name.", metavar="COLLECTION")],
    query: Annotated[str, typer.Argument(help="What to look for.", metavar="QUERY")],
    *,
    chosen: Chosen,
    as_json: AsJson = False,
) -> None:
    """Find the passages of a collection that come closest to a query; only what the key may read.

    With --json a list of document, title, path, chunk, score, start, end and text; start and end count the characters
    of the document's stored text. With --explain each has metadata and reasons, too.

    What --where and --with may say is in docs/reference/search.md.

    Example: headworks search documents "how long is an approval valid" --k 3
    """
    answer = client.seeing_as(chosen.seen_as).post(place("search"), chosen.body(collection, query))
    if as_json:
        fields = (*FIELDS, "metadata", "reasons") if chosen.explain else FIELDS
        print_json([{name: row[name] for name in fields} for row in answer["rows"]])
        return
    if answer.get("notice"):
        note(f"note: {answer['notice']}")
    for number, row in enumerate(answer["rows"], 1):
        _print_row(number, row)
    if chosen.explain and answer["rows"]:
        print(f"\n{reasons_table(answer['rows'])}")
    if not answer["rows"]:
        passing = "" if chosen.where is None else " and passes the filter"
        print(f"Nothing that you may read here comes close{passing}.")


def _print_row(number: int, row: JsonObject) -> None:
    head = one_line(place_in(row["title"], row.get("section") or ()), width() - 16)
    print(f"{paint(f'[{number}]', 'cyan')} {paint(head, 'bold')}  {row['score']:.3f}")
    print(f"    {one_line(row['path'], width() - 4)}")
    print(paint(wrapped(one_line(row["text"], 4 * width()), "    "), "dim"))
