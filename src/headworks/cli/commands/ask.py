"""`headworks ask`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from headworks.cli.answers import ask as ask_feature
from headworks.cli.answers import listed
from headworks.cli.client import Client
from headworks.cli.grounding import doubted, grounding_line
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson, with_client
from headworks.cli.terminal import note, print_json, visible

app = new_app()


@app.command()
@with_client
def ask(
    client: Client,
    feature: Annotated[str, typer.Argument(help="The feature's name, like a model's.", metavar="FEATURE")],
    question: Annotated[str, typer.Argument(help="The question.", metavar="QUESTION")],
    *,
    as_json: AsJson = False,
) -> None:
    """Ask a feature, and see its answer as it comes, with its citations.

    Where documents were read for it, the last lines say how much of the answer is cited, and how much of it its sources
    say, counted by words: see docs/reference/grounding.md.

    With --json one object with answer, citations (document, title, start, end, quote, page), trace, release, grounding,
    and notice where the release is live past the rules.

    Example: headworks ask assistant "How long is an approval valid?"
    """
    if as_json:
        print_json(ask_feature(client, feature, question).as_json())
        return
    answer = ask_feature(client, feature, question, _print_piece)
    print()
    if answer.citations:
        print(f"\n{listed(answer.citations)}")
    if line := grounding_line(answer.grounding):
        print(f"\n{line}")
        if doubts := doubted(answer.text, answer.grounding):
            print(doubts)
    if answer.notice == "break-glass":
        note("\nnote: this release is live past the rules (break-glass): headworks release log says who, and why.")
    note(f"\ntrace {answer.trace}   (headworks trace show {answer.trace})")


def _print_piece(text: str) -> None:
    sys.stdout.write(visible(text))
    sys.stdout.flush()
