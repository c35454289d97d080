"""`headworks eval import` and `export`: suites and datasets of other tools as files of a feature's folder, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headworks.cli.options import KeyOption, UrlOption, find_client
from headworks.cli.terminal import note
from headworks.errors import InvalidRequest

if TYPE_CHECKING:
    from headworks.cli.client import Client

_MOST_BESIDE = 5_000
_Out = Annotated[Path, typer.Option("--out", help="Where to write it.", metavar="PATH")]


def take(
    file: Annotated[Path, typer.Argument(help="What the other tool wrote.", exists=True, dir_okay=False)],
    *,
    source: Annotated[str, typer.Option("--from", help="promptfoo, inspect or openai-evals.", metavar="FORMAT")],
    out: _Out,
    name: Annotated[str, typer.Option("--name", help="The dataset's name.", metavar="NAME")] = "imported",
) -> None:
    """Write another tool's tests as a dataset (and promptfoo's as a suite), and name what has no word here.

    Nothing that is there is written over. Code of a configuration is never run.

    Example: headworks eval import promptfooconfig.yaml --from promptfoo --out workspace/features/greeter
    """
    files, losses = _read(file, source, name)
    for path in files:
        target = out / path
        if target.exists():
            raise InvalidRequest(f"{target} is there already.", next_step="Move it, or choose another --name.")
    for path, content in files.items():
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_bytes(content)
        print(f"wrote {out / path}")
    for loss in losses:
        note(f"lost: {loss}")


def give(
    what: Annotated[
        str,
        typer.Argument(
            help="The feature's folder in a workspace; for inspect an experiment's id.", metavar="FOLDER|ID"
        ),
    ],
    *,
    target: Annotated[str, typer.Option("--to", help="promptfoo, openai-evals or inspect.", metavar="FORMAT")],
    out: _Out,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Write a feature's dataset and suite, or an experiment, for another tool, and name what it has no place for.

    promptfoo asks the feature at $HEADWORKS_URL with $HEADWORKS_API_KEY. Inspect gets the results of an experiment, but
    for answers that rest on documents which the key may not read.

    Example: headworks eval export workspace/features/greeter --to promptfoo --out promptfooconfig.yaml
    """
    if out.exists():
        raise InvalidRequest(f"{out} is there already.", next_step="Choose another file.")
    if target not in {"promptfoo", "openai-evals", "inspect"}:
        raise InvalidRequest(
            f"Nothing here writes `{target[:50]}`.", next_step="Known: promptfoo, openai-evals, inspect."
        )
    if target == "inspect":
        _give_log(find_client(url, key), what, out)
        return
    folder = Path(what)
    if not folder.is_dir():
        raise InvalidRequest(f"{what} is no folder.", next_step="Name the feature's folder in a workspace.")
    from headworks.evaluation.exchange.openai_evals import export_openai_evals
    from headworks.evaluation.exchange.promptfoo_export import export_promptfoo
    from headworks.evaluation.scorers.contract import Surroundings
    from headworks.evaluation.suites.reading import feature_files, read_plan
    from headworks.evaluation.suites.suite_files import PATH, read_suite

    paths = [each for each in folder.rglob("*") if each.is_file()]
    inside = {f"features/{folder.name}/{each.relative_to(folder).as_posix()}": each.read_bytes() for each in paths}
    judging = feature_files(folder.resolve().name if folder.name in {"", "."} else folder.name, inside)
    plan = read_plan(judging, lambda files: read_suite(PATH, files[PATH], Surroundings(files=files)))
    if target == "promptfoo":
        exported = export_promptfoo(folder.name, plan.scorers, plan.examples)
        text, losses = exported.text, exported.losses
    else:
        text, losses = export_openai_evals(plan.examples)
    out.write_text(text, encoding="utf-8")
    print(f"wrote {out}")
    for loss in losses:
        note(f"lost: {loss}")


def _give_log(client: Client, experiment: str, out: Path) -> None:
    from headworks.cli.client import place
    from headworks.evaluation.exchange.inspect_logs import import_inspect

    try:
        content = client.download(place("experiments", experiment, "inspect"))
    finally:
        client.close()
    out.write_bytes(content)
    print(f"wrote {out}")
    withheld = sum(each.output.error_code == "withheld" for each in import_inspect(content).results)
    if withheld:
        note(f"lost: {withheld} answers, which rest on documents that you may not read")


def _read(file: Path, source: str, name: str) -> tuple[dict[str, bytes], tuple[str, ...]]:
    from headworks.evaluation.datasets.files import write_foreign
    from headworks.evaluation.exchange.inspect_logs import import_inspect
    from headworks.evaluation.exchange.openai_evals import import_openai_evals
    from headworks.evaluation.exchange.promptfoo import import_promptfoo

    golden = f"golden/{name}.jsonl"
    if source == "inspect":
        log = import_inspect(file.read_bytes())
        return {golden: write_foreign(log.examples)}, log.losses
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidRequest(f"{file} is not UTF-8.") from None
    if source == "openai-evals":
        samples = import_openai_evals(text)
        return {golden: write_foreign(samples.examples)}, samples.losses
    if source != "promptfoo":
        raise InvalidRequest(
            f"Nothing here reads `{source[:50]}`.", next_step="Known: promptfoo, inspect, openai-evals."
        )
    suite = import_promptfoo(text, _beside(file.parent))
    return {golden: write_foreign(suite.examples), "evals/suite.yaml": suite.suite(name)}, suite.losses


def _beside(folder: Path) -> dict[str, bytes]:
    """The files that a configuration may name: to three folders deep, none of packages, none of a megabyte or more."""
    patterns = ("*", "*/*", "*/*/*", "*/*/*/*")
    found = (each for pattern in patterns for each in folder.glob(pattern) if "node_modules" not in each.parts)
    named = ((each.relative_to(folder).as_posix(), each) for each in found if each.is_file())
    small = [(path, each) for path, each in named if each.stat().st_size < 1 << 20]
    return {path: each.read_bytes() for path, each in small[:_MOST_BESIDE]}
