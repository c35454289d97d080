"""`headworks search`."""

from __future__ import annotations

from typing import Annotated

import typer

from headworks.cli.answers import place_in
from headworks.cli.client import Client, place
from headworks.cli.json_values import JsonObject
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson, SeenAs, with_client
from headworks.cli.terminal import note, one_line, paint, print_json, width, wrapped

app = new_app()
FIELDS = ("document", "title", "chunk", "score", "start", "end", "text")


@app.command()
@with_client
def search(
    client: Client,
    collection: Annotated[str, typer.Argument(help="The collection's name.", metavar="COLLECTION")],
    query: Annotated[str, typer.Argument(help="What to look for.", metavar="QUERY")],
    *,
    k: Annotated[int, typer.Option("--k", "-k", help="At most so many passages.", metavar="N", min=1, max=100)] = 6,
    seen_as: SeenAs = None,
    as_json: AsJson = False,
) -> None:
    """Find the passages of a collection that come closest to a query; only what the key may read.

    With --json a list of document, title, chunk, score, start, end and text; start and end count the characters of the
    document's stored text.

    Example: headworks search documents "how long is an approval valid" --k 3
    """
    asked = {"collection": collection, "query": query, "k": k}
    answer = client.seeing_as(seen_as).post(place("search"), asked)
    if as_json:
        print_json([{name: row[name] for name in FIELDS} for row in answer["rows"]])
        return
    if answer.get("notice"):
        note(f"note: {answer['notice']}")
    for number, row in enumerate(answer["rows"], 1):
        _print_row(number, row)
    if not answer["rows"]:
        print("Nothing that you may read here comes close.")


def _print_row(number: int, row: JsonObject) -> None:
    head = one_line(place_in(row["title"], row.get("section") or ()), width() - 16)
    print(f"{paint(f'[{number}]', 'cyan')} {paint(head, 'bold')}  {row['score']:.3f}")
    print(paint(wrapped(one_line(row["text"], 4 * width()), "    "), "dim"))
