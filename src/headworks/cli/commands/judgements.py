"""`headworks judgements`: what people say of answers."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent
from typing import Annotated

import typer

from headworks.cli.client import Client, place
from headworks.cli.folders import text_of
from headworks.cli.json_values import JsonObject
from headworks.cli.lazy import new_app
from headworks.cli.options import AsJson, split, with_client
from headworks.cli.terminal import note, print_json, table, visible
from headworks.errors import Conflict, InvalidRequest, NotFound
from headworks.types.wording import counted

app = new_app("Human judgements: give them blind, decide, import, see who agrees, draw samples for review.")
_Project = Annotated[str, typer.Option("--project", help="The project that they are in.", metavar="NAME")]
_Metric = Annotated[str, typer.Option("--metric", help="What is judged, such as task_success.", metavar="METRIC")]
_AnyMetric = Annotated[str | None, typer.Option("--metric", help="Only this metric.", metavar="METRIC")]


@app.command()
@with_client
def add(  # noqa: PLR0913 -- each is an option of the command
    client: Client,
    subject: Annotated[str, typer.Argument(help="trace:ID, or as `wanted` names it.", metavar="SUBJECT")],
    verdict: Annotated[str, typer.Argument(help="pass, fail, unsure; or first, second, tie.", metavar="VERDICT")],
    *,
    metric: _Metric,
    feature: Annotated[str | None, typer.Option("--feature", help="Whose taxonomy names the modes.")] = None,
    mode: Annotated[list[str] | None, typer.Option("--mode", help="A failure mode; may be repeated.")] = None,
    severity: Annotated[
        int | None, typer.Option("--severity", help="1 costs time, 2 delays or money, 3 harms.")
    ] = None,
    critique: Annotated[str, typer.Option("--critique", help="What is wrong, or right, and why.", metavar="TEXT")] = "",
    fix: Annotated[str, typer.Option("--fix", help="What would make it right.", metavar="TEXT")] = "",
    knowledge: Annotated[str, typer.Option("--knowledge", help="What one has to know here.", metavar="TEXT")] = "",
    evidence: Annotated[str, typer.Option("--evidence", help="The words that show it.", metavar="TEXT")] = "",
    criterion: Annotated[
        list[str] | None, typer.Option("--criterion", help="One of a rubric; may be repeated.", metavar="NAME=VERDICT")
    ] = None,
    adjudicate: Annotated[
        bool, typer.Option("--adjudicate", help="Decide where others disagree.", show_default=False)
    ] = False,
    project: _Project = "default",
    as_json: AsJson = False,
) -> None:
    """Judge an answer; what you had said of it before is replaced, and kept.

    Example: headworks judgements add trace:01a2… fail --metric task_success --critique "The clause was withdrawn"
    """
    body: JsonObject = {"subject": subject, "verdict": verdict, "metric": metric, "feature": feature}
    body |= {"failure_modes": split(mode) or [], "severity": severity, "critique": critique, "suggested_fix": fix}
    body |= {"knowledge": knowledge, "evidence": evidence, "criteria": _criteria(criterion or [])}
    body |= {"adjudicate": adjudicate, "project": project}
    made = client.post(place("judgements"), body)
    print_json(made) if as_json else print(f"{'Decided' if adjudicate else 'Judged'}: {subject} {verdict}.")
    if not made["is_counted"]:
        note(
            "You made or proposed what the gate judges by it: there it does not count, and somebody else has to judge."
        )


@app.command("list")
@with_client
def list_all(
    client: Client,
    *,
    metric: _AnyMetric = None,
    subject: Annotated[str | None, typer.Option("--subject", help="Only of this answer.")] = None,
    release: Annotated[str | None, typer.Option("--release", help="Only of this release.", metavar="DIGEST")] = None,
    most: Annotated[int, typer.Option("--most", "-n", help="At most so many.", metavar="N", min=1, max=100_000)] = 100,
    project: _Project = "default",
    as_json: AsJson = False,
) -> None:
    """List judgements that you may read, the newest first: another's only once you have judged yourself.

    Example: headworks judgements list --metric task_success
    """
    found = client.get(place("judgements"), project=project, metric=metric, subject=subject, release=release, most=most)
    if as_json:
        print_json(found)
        return
    cells = [
        (
            row["subject"],
            row["metric"],
            f"{row['verdict']} (decided)" if row["kind"] == "adjudication" else row["verdict"],
            row["rater"],
            row["is_blind"],
            row.get("failure_modes", []),
            "(withheld)" if row.get("withheld") else row.get("critique", ""),
        )
        for row in found["rows"]
    ]
    print(table(("subject", "metric", "verdict", "by", "blind", "modes", "critique"), cells))
    if found["hidden"]:
        note(f"{found['hidden']} more are of answers that you have not judged yet, and stay hidden until you have.")
    _tell_withheld(found)


@app.command("import")
@with_client
def take_in(
    client: Client,
    file: Annotated[Path, typer.Argument(help="A file of judgements.", metavar="FILE")],
    *,
    source: Annotated[str, typer.Option("--from", help="jsonl or pandalm.", metavar="FORMAT")] = "jsonl",
    project: _Project = "default",
    as_json: AsJson = False,
) -> None:
    """Bring in judgements from elsewhere, under the names of their raters; the same again changes nothing.

    Example: headworks judgements import --from pandalm testset-v1.json
    """
    body = {"content": text_of(file), "format": source, "file": str(file), "project": project}
    made = client.post(place("judgements", "import"), body)
    print_json(made) if as_json else print(
        f"{counted(made['read'], 'judgement')} read, {made['new']:,} new or changed."
    )


@app.command()
@with_client
def export(
    client: Client,
    file: Annotated[Path, typer.Argument(help="Where to write them.", metavar="FILE")],
    *,
    metric: _AnyMetric = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.", show_default=False)] = False,
    project: _Project = "default",
) -> None:
    """Write the judgements that you may read into a file, one line each.

    Example: headworks judgements export judgements.jsonl
    """
    import json

    if file.exists() and not force:
        raise Conflict(f"{file} is there already.", next_step="Choose another name, or give --force.")
    found = client.get(place("judgements"), project=project, metric=metric, most=100_000)
    lines = [json.dumps(row, ensure_ascii=False) for row in found["rows"]]
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    note(f"{file}: {len(lines)} judgements; {found['hidden']} are hidden from you.")
    _tell_withheld(found)


@app.command()
@with_client
def agreement(client: Client, *, metric: _Metric, project: _Project = "default", as_json: AsJson = False) -> None:
    """Show how far those who judge agree beyond chance, and what they dispute.

    Example: headworks judgements agreement --metric task_success
    """
    found = client.get(place("judgements", "agreement"), metric=metric, project=project)
    if as_json:
        print_json(found)
        return
    print(f"{metric}: {found['subjects']} answers, {len(found['raters'])} raters")
    cells = [(f"{each['first']} · {each['second']}", *_shown(each["kappa"])) for each in found["pairs"]]
    if found["alpha"] is not None:
        cells.append(("all (Krippendorff's alpha)", *_shown(found["alpha"])))
    print(table(("raters", "kappa", "95 % interval", "answers", "same verdict"), cells))
    print(f"verdicts: {_counts(found['verdicts'])}; of the majority: {_counts(found['majority'])}")
    for subject in found["disputed"][:20]:
        print(f"disputed: {visible(subject)}")
    if len(found["disputed"]) > 20:
        print(f"disputed: and {len(found['disputed']) - 20} more")


@app.command()
@with_client
def wanted(
    client: Client,
    *,
    queue: Annotated[str | None, typer.Option("--queue", help="Only of this queue.", metavar="QUEUE")] = None,
    metric: _AnyMetric = None,
    opinions: Annotated[int, typer.Option("--opinions", help="How many opinions each needs.", min=1, max=100)] = 1,
    done: Annotated[bool, typer.Option("--all", help="Also what has them.", show_default=False)] = False,
    project: _Project = "default",
    as_json: AsJson = False,
) -> None:
    """List what gates and samples ask you to judge, the oldest first.

    Example: headworks judgements wanted --queue golden-topup
    """
    found = client.get(
        place("judgements", "wanted"), project=project, queue=queue, metric=metric, opinions=opinions, done=done
    )
    rows = found["rows"]
    if as_json:
        print_json(rows)
        return
    cells = [
        (row["subject"], row["metric"], row["queue"], row["judged"], row["trace_id"], row["reason"]) for row in rows
    ]
    print(table(("subject", "metric", "queue", "judged", "trace", "why"), cells))
    if rows:
        note("`headworks judgements show SUBJECT --metric METRIC` shows what is to be judged.")
    if found["own"]:
        note(f"{found['own']} more are for gates of what you made or proposed yourself: somebody else judges those.")


@app.command()
@with_client
def show(
    client: Client,
    subject: Annotated[str, typer.Argument(help="As `wanted` names it; left out: the oldest of those.")] = "",
    *,
    metric: _AnyMetric = None,
    queue: Annotated[str | None, typer.Option("--queue", help="Only of this queue.", metavar="QUEUE")] = None,
    project: _Project = "default",
    as_json: AsJson = False,
) -> None:
    """Show what is to be judged: question, answer, the passages behind it, the rubric and the failure modes.

    Example: headworks judgements show --metric task_success
    """
    if not subject or metric is None:
        rows = client.get(place("judgements", "wanted"), project=project, queue=queue, metric=metric)["rows"]
        found = next((row for row in rows if subject in {"", row["subject"]}), None)
        if found is None:
            raise NotFound(
                "Nothing that you could judge is asked for there.", next_step="Name the answer, and its --metric."
            )
        subject, metric = found["subject"], found["metric"]
    shown = client.get(place("judgements", "material"), project=project, subject=subject, metric=metric)
    print_json(shown) if as_json else print("\n\n".join(_material(shown)))


@app.command()
@with_client
def sample(
    client: Client,
    feature: Annotated[str, typer.Argument(help="The feature's name.", metavar="FEATURE")],
    *,
    metric: _Metric,
    budget: Annotated[float, typer.Option("--budget", help="How many reviews are expected.", metavar="N")] = 50,
    hours: Annotated[int, typer.Option("--hours", help="Of how many hours.", min=1, max=8760)] = 24,
    seed: Annotated[int | None, typer.Option("--seed", help="To draw the same again.", min=0)] = None,
    project: _Project = "default",
    as_json: AsJson = False,
) -> None:
    """Draw answers of a feature for review, each with a chance that is stored.

    Example: headworks judgements sample assistant --metric task_success --budget 40
    """
    body = {"feature": feature, "metric": metric, "budget": budget, "hours": hours, "seed": seed, "project": project}
    made = client.post(place("judgements", "samples"), body)
    if as_json:
        print_json(made)
        return
    print(
        f"Sample {made['id']}: {made['drawn']} of {made['population']} answers, each with chance {made['chance']:.3f}."
    )
    print("`headworks judgements wanted --queue sample` lists them.")


@app.command()
@with_client
def estimate(
    client: Client,
    sample_id: Annotated[str, typer.Argument(help="The sample's id.", metavar="SAMPLE")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show what a reviewed sample says of all that it was drawn from.

    Example: headworks judgements estimate 01a2…
    """
    found = client.get(place("judgements", "samples", sample_id))
    if as_json:
        print_json(found)
        return
    print(
        f"{found['feature']} {found['metric']}: {found['share']:.1%} pass "
        f"({found['low']:.1%} to {found['high']:.1%}, 95 %), by {found['reviewed']} reviewed of {found['drawn']} drawn "
        f"from {found['population']}."
    )
    if found["unsure"]:
        note(f"Of {found['unsure']} more nobody was sure: they count as not reviewed.")


def _tell_withheld(found: JsonObject) -> None:
    withheld = sum(bool(row.get("withheld")) for row in found["rows"])
    if withheld:
        note(
            f"What was written in {withheld} of them is withheld: the answers rest on documents that you may not read."
        )


def _material(shown: JsonObject) -> list[str]:
    """What is to be judged, part by part."""
    told: dict[str, object] = {
        "Earlier": "\n".join(f"{turn['role']}: {turn['content']}" for turn in shown["history"]),
        "Question": shown["question"],
        "Inputs": shown["inputs"],
        "Wanted answer": shown["reference"],
        "Context": "\n".join(shown["context"]),
        "Answer": shown["answer"] or shown["withheld"] or shown["error"],
        "Passages (* cited)": "\n\n".join(_passage(each) for each in shown["passages"]),
        "Criteria": "\n".join(f"{name}: {asked}" for name, asked in shown["criteria"].items()),
        "Failure modes": "\n".join(f"{each['id']}: {each['definition']}" for each in shown["modes"]),
    }
    parts = [f"{head}\n{visible(text)}" for head, found in told.items() if (text := _as_text(found))]
    judge = f"headworks judgements add {shown['subject']} pass|fail|unsure --metric {shown['metric']}"
    return [*parts, f"Judge it: {judge}" + (f" --feature {shown['feature']} --mode MODE" if shown["modes"] else "")]


def _as_text(value: object) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1) if value else ""


def _passage(shown: JsonObject) -> str:
    """What it is of, where it stands there, and what it says."""
    head = " › ".join([shown["title"] or shown["path"] or f"document {shown['document']}", *shown["section"]])
    characters = f"characters {shown['start']:,} to {shown['end']:,}"
    page = None if shown["page"] is None else f"page {shown['page']}"
    where = ", ".join(part for part in (shown["path"], page, characters) if part)
    text = shown["text"] or "(It can't be read any more as it was then.)"
    return f"[{shown['number']}]{'*' if shown['is_cited'] else ''} {head} ({where})\n{indent(text, '    ')}"


def _criteria(given: list[str]) -> JsonObject:
    found: JsonObject = {}
    for each in given:
        name, sign, verdict = each.partition("=")
        if not sign:
            raise InvalidRequest(f"`{each}` is no criterion.", next_step="Like --criterion cites_clause=pass.")
        found[name] = verdict
    return found


def _shown(found: JsonObject) -> tuple[str, str, int, str]:
    return (
        f"{found['value']:.2f}",
        f"{found['low']:.2f} to {found['high']:.2f}",
        found["n"],
        f"{found['observed']:.0%}",
    )


def _counts(found: JsonObject) -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in sorted(found.items())) or "none"
