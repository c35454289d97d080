"""`headworks prompts`: check prompts, and bring those of other tools along."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headworks.cli.folders import text_of
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson
from headworks.cli.terminal import note, print_json
from headworks.errors import InvalidRequest

app = new_app("Check prompts, and bring those of other tools along.")
_File = Annotated[Path, typer.Argument(help="The file.", exists=True, dir_okay=False, metavar="FILE")]


@app.command()
def check(file: _File, *, as_json: AsJson = False) -> None:
    """Check a `.prompty` file: its front matter, its roles, its syntax, and that every variable is an input.

    Example: headworks prompts check workspace/features/assistant/prompts/answer.prompty
    """
    from headworks.releases.prompts.templates import parse_prompt

    prompt = parse_prompt(str(file), text_of(file))
    inputs = [
        {"name": each.name, "kind": each.kind, "from": each.source, "required": each.is_required}
        for each in prompt.inputs
    ]
    if as_json:
        print_json({"file": str(file), "inputs": inputs})
    else:
        print(f"{file}: good. Inputs: {', '.join(str(each['name']) for each in inputs)}.")


@app.command("import")
def take(
    file: _File,
    *,
    source: Annotated[
        str, typer.Option("--from", help="dotprompt, promptfoo, langfuse, openai or prompty.", metavar="FORMAT")
    ],
    question: Annotated[
        str | None, typer.Option("--question", help="The variable that holds what the user asks.", metavar="NAME")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The folder to write to.", metavar="DIR")] = None,
    as_json: AsJson = False,
) -> None:
    """Write another tool's prompts as `.prompty` files, and name what has no word there.

    Nothing that is there is written over.

    Example: headworks prompts import greeting.prompt --from dotprompt --out workspace/features/greeter/prompts
    """
    from headworks.releases.prompts.imports import import_prompts

    found = import_prompts(text_of(file), source, file.stem, question)
    if as_json:
        print_json([{"name": each.name, "text": each.text, "losses": list(each.losses)} for each in found])
    for each in found:
        for loss in each.losses:
            if not as_json:
                note(f"lost: {each.name}: {loss}")
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            target = out / f"{Path(each.name).name}.prompty"
            if target.exists():
                raise InvalidRequest(f"{target} is there already.", next_step="Move it, or choose another folder.")
            target.write_text(each.text, encoding="utf-8")
            if not as_json:
                print(f"wrote {target}")
        elif not as_json:
            print(each.text)
