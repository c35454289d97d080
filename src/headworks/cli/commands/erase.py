"""`headworks erase`."""

from __future__ import annotations

from typing import Annotated

import typer

from headworks.cli.client import Client, place
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson, split_document, with_client
from headworks.cli.receipts import print_receipt
from headworks.cli.terminal import note, print_json
from headworks.errors import InvalidRequest

app = new_app()


@app.command()
@with_client
def erase(
    client: Client,
    *,
    document: Annotated[
        str | None, typer.Option("--document", help="A document: its id, or COLLECTION/PATH.", metavar="DOCUMENT")
    ] = None,
    person: Annotated[str | None, typer.Option("--person", help="A user or service account.", metavar="NAME")] = None,
    with_documents: Annotated[bool, typer.Option("--with-documents", help="Also what the person handed in.")] = False,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="Another name of the person as end user.", metavar="TEXT")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Stands on the receipt, for good: no names.", metavar="TEXT")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.", show_default=False)] = False,
    as_json: AsJson = False,
) -> None:
    """Remove a document with all that quotes it, or what is of a person, for good and at once; print the receipt.

    Refused while a legal hold stands on it. docs/reference/erasure.md says exactly what is removed, and what is not.

    Example: headworks erase --document handbook/drafts/old.md --reason "request 2026-041"
    """
    if (document is None) == (person is None):
        raise InvalidRequest("Nothing says what to erase.", next_step="Give --document or --person, one of them.")
    if not yes and not as_json:
        typer.confirm(f"Remove {document or person} for good? Nothing brings it back", abort=True, err=True)
    collection, path = split_document(document)
    receipt = client.post(
        place("erasures"),
        {
            "document": path, "collection": collection, "person": person, "with_documents": with_documents,
            "labels": label or [], "reason": reason,
        },
    )  # fmt: skip
    if as_json:
        print_json(receipt)
        return
    print_receipt(receipt)
    if document is not None:
        note("note: it comes back with the next sync or hand-in of whoever still has it: remove it there, too.")
