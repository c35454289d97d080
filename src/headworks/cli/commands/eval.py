"""`headworks eval`: experiments, comparisons, gates, and how many examples they need.

Exit status of `gate`: 0 PASS, 1 FAIL, 2 INCONCLUSIVE, 3 error.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer
from typer import _click as click  # as in cli/main.py

from headworks.cli import awaiting, evaluating, exchanging, judge_cards
from headworks.cli.client import Client, place
from headworks.cli.json_values import JsonObject
from headworks.cli.lazy import PlainCommand, new_app
from headworks.cli.options import AsJson, KeyOption, UrlOption, find_client, with_client
from headworks.cli.terminal import Columns, note, print_json, progress, short, tell_rows
from headworks.errors import HeadworksError, InvalidRequest

app = new_app("Run experiments, compare releases, and ask a gate.")
_Release = Annotated[
    str, typer.Argument(help="A feature, `feature@channel` or `feature@sha256:…`.", metavar="FEATURE[@RELEASE]")
]
_Id = Annotated[str, typer.Argument(help="The experiment's id.", metavar="ID")]
_Project = Annotated[str, typer.Option("--project", help="The project that the feature is in.", metavar="NAME")]
_Cost = Annotated[
    float | None, typer.Option("--max-cost", help="Most that one experiment may spend, in dollars.", metavar="USD")
]
_AtOnce = Annotated[int, typer.Option("--concurrency", help="Answers at once.", metavar="N")]
_Retry = Annotated[bool, typer.Option("--retry-errors", help="Ask again what failed; a gate takes it for a new look.")]
_By = Annotated[str | None, typer.Option("--by", help="Slice by this tag as well.", metavar="TAG")]
_EXIT = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 2}
ERROR = 3


class _Gate(PlainCommand):
    """Exits with ERROR where it is called wrongly: the usual 2 would be read as INCONCLUSIVE."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.exceptions.UsageError as error:
            error.exit_code = ERROR
            raise


app.command("import")(exchanging.take)
app.command("export")(exchanging.give)


@app.command()
@with_client
def run(  # noqa: PLR0913 -- each is an option of the command
    client: Client,
    release: _Release,
    *,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            help="A golden file's name, or a version that was pushed: name@3, name@DIGEST, sha256:…; else the suite's.",
            metavar="NAME[@VERSION]",
        ),
    ] = None,
    repeats: Annotated[int | None, typer.Option("--repeats", help="Answers to each example.", metavar="N")] = None,
    max_cost: _Cost = None,
    concurrency: _AtOnce = 4,
    retry_errors: _Retry = False,
    by: _By = None,
    project: _Project = "default",
    as_json: AsJson = False,
) -> None:
    """Ask a release every example of a dataset, and score the answers; what was answered before is not asked again.

    Exit status 1 where it did not come to its end: stopped by its ceiling, cancelled, failed.
    Example: headworks eval run claims@staging --repeats 3 --max-cost 5
    """
    body = {"release": release, "dataset": dataset, "repeats": repeats, "concurrency": concurrency}
    body |= {"most_cost_micro_usd": _micro(max_cost), "retry_errors": retry_errors, "project": project}
    _to_its_end(client, client.post(place("experiments"), body), by, as_json=as_json)


@app.command("list")
@with_client
def list_all(
    client: Client,
    *,
    feature: Annotated[str | None, typer.Option("--feature", help="Only of this one.", metavar="NAME")] = None,
    as_json: AsJson = False,
) -> None:
    """List the newest experiments.

    Example: headworks eval list --feature claims
    """
    rows = client.get(place("experiments"), feature=feature)["rows"]
    columns: Columns = {
        "id": "id",
        "feature": "feature",
        "release": lambda row: short(row["release"]),
        "dataset": "dataset",
        "answers": lambda row: f"{row['examples']} × {row['repeats']}",
        "state": "state",
    }
    tell_rows(rows, columns, as_json=as_json, none="No experiment was run yet: `headworks eval run`.")


@app.command()
@with_client
def show(client: Client, experiment: _Id, *, by: _By = None, as_json: AsJson = False) -> None:
    """Show an experiment's metrics with their intervals; with --json each answer's scores and trace.

    Example: headworks eval show 019a6c1e-0000-7000-8000-000000000000
    """
    _show_results(client, client.get(place("experiments", experiment)), by, as_json=as_json)


@app.command()
@with_client
def cancel(client: Client, experiment: _Id, *, as_json: AsJson = False) -> None:
    """Ask nothing more; what is answered stays.

    Example: headworks eval cancel 019a6c1e-0000-7000-8000-000000000000
    """
    row = client.post(place("experiments", experiment, "cancel"))
    print_json(row) if as_json else print(evaluating.experiment_line(row))


@app.command()
@with_client
def resume(client: Client, experiment: _Id, *, max_cost: _Cost = None, as_json: AsJson = False) -> None:
    """Go on with what is missing, with another ceiling if need be; exit status as `run`.

    Example: headworks eval resume 019a6c1e-0000-7000-8000-000000000000 --max-cost 10
    """
    row = client.post(place("experiments", experiment, "resume"), {"most_cost_micro_usd": _micro(max_cost)})
    _to_its_end(client, row, None, as_json=as_json)


@app.command()
@with_client
def compare(
    client: Client,
    base: Annotated[str, typer.Argument(help="A release that was run, or an experiment's id.", metavar="BASE")],
    candidate: Annotated[str, typer.Argument(help="The other one.", metavar="CANDIDATE")],
    *,
    by: _By = None,
    attest: Annotated[bool, typer.Option("--attest", help="Sign it, about the candidate.")] = False,
    project: _Project = "default",
    as_json: AsJson = False,
) -> None:
    """Compare two releases on the same examples: differences with intervals, flips by failure mode, cost and latency.

    Example: headworks eval compare claims@prod claims@staging --by intent
    """
    body = {"base": base, "candidate": candidate, "slice_by": by, "attest": attest, "project": project}
    found = client.post(place("experiments", "compare"), body)
    print_json(found) if as_json else print(evaluating.compared(found))


@app.command(cls=_Gate)
def gate(  # noqa: PLR0913 -- each is an option of the command
    release: _Release,
    *,
    bundle: Annotated[
        str | None, typer.Option("--gate", help="A gate's digest or first digits, else the one of prod.")
    ] = None,
    max_cost: _Cost = None,
    concurrency: _AtOnce = 4,
    retry_errors: _Retry = False,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML.", metavar="FILE")] = None,
    markdown: Annotated[Path | None, typer.Option("--markdown", help="Write a report.", metavar="FILE")] = None,
    svg: Annotated[Path | None, typer.Option("--svg", help="Write the margin plot.", metavar="FILE")] = None,
    project: _Project = "default",
    as_json: AsJson = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Run what the gate of prod needs and ask for its verdict: exit status 0 PASS, 1 FAIL, 2 INCONCLUSIVE, 3 error.

    A bare feature means what waits on staging. Example: headworks eval gate claims --markdown report.md
    """
    body = {"release": release, "gate": bundle, "concurrency": concurrency, "project": project}
    try:
        body |= {"most_cost_micro_usd": _micro(max_cost), "retry_errors": retry_errors}
        with contextlib.closing(find_client(url, key)) as client:
            said = awaiting.judged(client, body, lambda row: _watch(client, row))
        for path, written in ((junit, evaluating.junit), (markdown, evaluating.markdown), (svg, evaluating.svg)):
            if path is not None:
                path.write_text(written(said), encoding="utf-8")
    except (HeadworksError, OSError) as error:
        note(f"error: {error}")
        raise typer.Exit(ERROR) from None
    print_json(said) if as_json else print(evaluating.verdict(said))
    raise typer.Exit(_EXIT[said["verdict"]])


@app.command()
@with_client
def calibrate(
    client: Client,
    experiments: Annotated[list[str], typer.Argument(help="Experiments whose answers people judged.", metavar="ID…")],
    *,
    metric: Annotated[str | None, typer.Option("--metric", help="Only this judge.", metavar="NAME")] = None,
    as_json: AsJson = False,
) -> None:
    """Put judges beside people: a judge that is not calibrated informs, and can't gate.

    Example: headworks eval calibrate 0199f1c2-… --metric clause_named
    """
    rows = client.post(place("judges", "calibrate"), {"experiments": experiments, "metric": metric})["rows"]
    if as_json:
        print_json(rows)
    else:
        print("\n\n".join(judge_cards.card(each) for each in rows))


@app.command()
@with_client
def judges(client: Client, *, as_json: AsJson = False) -> None:
    """List the judges that were calibrated, and whether a gate may rest on them.

    Example: headworks eval judges
    """
    rows = client.get(place("judges"))["rows"]
    if as_json:
        print_json(rows)
    elif rows:
        print("\n\n".join(judge_cards.card(each) for each in rows))
    else:
        print("No judge was calibrated yet: `headworks eval calibrate`.")


@app.command()
def power(
    *,
    margin: Annotated[float, typer.Option("--margin", help="What a release may be worse by.", min=0.0001, max=0.99)],
    discordance: Annotated[
        float, typer.Option("--discordance", help="Share of examples on which two releases differ.", min=0.0, max=1.0)
    ] = 0.1,
    alpha: Annotated[float, typer.Option("--alpha", help="How often it may be wrong.", min=0.001, max=0.2)] = 0.05,
    wanted: Annotated[float, typer.Option("--power", help="How often an equal one passes.", min=0.5, max=0.999)] = 0.8,
    cluster_size: Annotated[float, typer.Option("--cluster-size", help="Examples a cluster.", min=1.0)] = 1.0,
    design_effect: Annotated[float, typer.Option("--design-effect", help="What clusters cost.", min=1.0)] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Say how many examples a margin needs, so that an equal release passes.

    Example: headworks eval power --margin 0.05 --discordance 0.1
    """
    from headworks.statistics.power import Goal, needed_examples

    n = needed_examples(discordance, Goal(margin, 0.0, alpha, wanted), design_effect, cluster_size)
    if as_json:
        print_json({"examples": n, "margin": margin, "discordance": discordance, "alpha": alpha, "power": wanted})
    else:
        print(
            f"{n} examples: then an equal release passes {wanted:.0%} of the time, and one that is worse by {margin:g}"
        )
        print(f"or more {alpha:.0%} of the time at most.")


def _watch(client: Client, row: JsonObject) -> JsonObject:
    """Look on until it has ended. Interrupted, it goes on without anybody who looks, and that is said."""
    try:
        with progress() as bars:
            return awaiting.ended(client, row, bars.start(f"{row['feature']} {short(row['release'])}").update)
    except KeyboardInterrupt:
        note(f"It goes on as {row['id']}: `headworks eval show` looks at it, `headworks eval cancel` ends it.")
        raise


def _to_its_end(client: Client, row: JsonObject, by: str | None, *, as_json: bool) -> None:
    ended = _watch(client, row)
    _show_results(client, ended, by, as_json=as_json)
    if ended["state"] != "done":
        raise typer.Exit(1)


def _show_results(client: Client, row: JsonObject, by: str | None, *, as_json: bool) -> None:
    found = client.get(place("experiments", row["id"], "results"), slice_by=by)
    if as_json:
        print_json(found)
    else:
        print(evaluating.results(found))
        if row["state"] not in {"done", "running"}:
            ceiling = " --max-cost USD" if row["state"] == "stopped" else ""
            note(f"It is {row['state']}: {row['why']} Go on with `headworks eval resume {row['id']}{ceiling}`.")


def _micro(usd: float | None) -> int | None:
    if usd is None:
        return None
    if not usd > 0:
        raise InvalidRequest(f"--max-cost is {usd:g}.", next_step="Give dollars above 0, like 2.50.")
    return round(usd * 1_000_000)
