"""How experiments, comparisons and verdicts are shown: tables and margin plots for terminals, Markdown, JUnit, SVG."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from headworks.cli.json_values import JsonObject
from headworks.cli.terminal import paint, short, table, visible

_STYLES = {"PASS": "green", "FAIL": "red", "INCONCLUSIVE": "yellow"}
_MARKS = {"PASS": "✅", "FAIL": "❌", "INCONCLUSIVE": "❔"}
_PLOT_WIDTH = 41
_MOST_FLIPS = 20
_ERRORS_COUNT = "An error counts as a failure in a mean; of what nothing limits, such as seconds, it is left out."


def experiment_line(row: JsonObject) -> str:
    """One experiment in a line."""
    cost = f"${row['cost_micro_usd'] / 1e6:.4f}"
    why = f" {row['why']}" if row["why"] else ""
    erased = f" ({row['erased']} erased since)" if row.get("erased") else ""
    return (
        f"{row['feature']} {short(row['release'])} on {row['dataset']}: {row['examples']} examples{erased} × "
        f"{row['repeats']}, {row['state']}, {cost} spent.{why}"
    )


def results(found: JsonObject) -> str:
    """The metrics of an experiment."""
    rows = [
        (
            each["metric"],
            _number(each["mean"]),
            "–" if each["mean"] is None else f"{_number(each['low'])} to {_number(each['high'])}",
            each["n"],
            _counts(each["error_codes"]) or 0,
            _flaky(each["repeated"]),
        )
        for each in [*found["metrics"], *_indented(found["slices"])]
    ]
    shown = table(("metric", "mean", "95 % interval", "examples", "errors", "flaky"), rows)
    has_errors = any(each["errors"] and each["mean"] is not None for each in found["metrics"])
    told = [f"\n{_ERRORS_COUNT}"] if has_errors else []
    return "\n".join([f"{experiment_line(found['experiment'])}\n", shown, *told, "", _spent_line(found["spent"])])


def compared(found: JsonObject) -> str:
    """Two releases side by side."""
    rows = [
        (
            each["metric"],
            _number(each["base"]),
            _number(each["candidate"]),
            _signed(each["difference"]),
            "–" if each["difference"] is None else f"{_signed(each['low'])} to {_signed(each['high'])}",
            f"{each['n']} in {each['clusters']}",
            f"+{each['wins']} -{each['losses']}",
        )
        for each in [*found["metrics"], *_indented(found["slices"])]
    ]
    columns = ("metric", "base", "candidate", "difference", "95 % interval", "examples", "flips")
    parts = [
        f"base       {experiment_line(found['base'])}",
        f"candidate  {experiment_line(found['candidate'])}",
        "",
        table(columns, rows),
        "",
        *_errors_of_both(found["metrics"]),
        *_modes(found["modes"]),
        f"base       {_spent_line(found['spent']['base'])}",
        f"candidate  {_spent_line(found['spent']['candidate'])}",
    ]
    return "\n".join(parts)


def _errors_of_both(metrics: Sequence[JsonObject]) -> list[str]:
    told = [
        f"{each['metric']}: {_counts(each['errors'])} scores are errors."
        for each in metrics
        if any(each["errors"].values())
    ]
    return [*told, _ERRORS_COUNT, ""] if told else []


def _indented(slices: Sequence[JsonObject]) -> list[JsonObject]:
    return [{**each, "metric": f"  {each['metric']}, {each['slice']}"} for each in slices]


def verdict(said: JsonObject) -> str:
    """A verdict with the evidence of each line, for a terminal."""
    word = said["verdict"]
    parts = [f"{paint(word, _STYLES[word])}  {said['feature']} {short(said['release'])}{_against(said)}", ""]
    for line in said["lines"]:
        mark = paint(line["verdict"].ljust(12), _STYLES[line["verdict"]])
        note = "" if line["blocks"] else " (a warning)"
        parts.append(f"  {mark} {line['rule']} {line['metric']}{note}: {line['message']}")
        if plot := margin_plot(line):
            parts.append(f"               {plot}")
        if line["next_step"]:
            parts.append(f"               → {line['next_step']}")
    parts += ["", *_modes(said["modes"]), _look(said)]
    if said["judgements_asked"]:
        parts.append(f"{said['judgements_asked']} judgements were asked for: `headworks judgements wanted`.")
    return "\n".join(parts)


def margin_plot(line: JsonObject) -> str:
    """The interval of a difference beside its margin, as text; nothing where the line has none.

    `┆` is the margin, `│` no difference, `●` what was seen, `├──┤` its bounds.
    """
    found = _bounds(line)
    if found is None:
        return ""
    low, value, high, margin = found
    reach = max(abs(low), abs(high), abs(margin)) * 1.05 or 1.0
    cells = [" "] * _PLOT_WIDTH

    def at(number: float) -> int:
        return min(_PLOT_WIDTH - 1, max(0, round((number / reach + 1) / 2 * (_PLOT_WIDTH - 1))))

    for place in range(at(low), at(high) + 1):
        cells[place] = "─"
    cells[at(low)], cells[at(high)] = "├", "┤"
    cells[at(0.0)] = "│"
    cells[at(-margin)] = "┆"
    cells[at(value)] = "●"
    return f"{-reach:+.3f} {''.join(cells)} {reach:+.3f}"


def markdown(said: JsonObject) -> str:
    """A verdict as a comment of a pull request: always begins with the same mark, so that it can be found again."""
    word = said["verdict"]
    rows = [
        f"| {_MARKS[line['verdict']]} {line['verdict']} | {_cell(line['rule'])} | `{_cell(line['metric'])}` | "
        f"{_cell(line['message'])} {_cell(line['next_step'])} |"
        for line in said["lines"]
    ]
    plots = [f"{line['metric'][:24]:<24} {plot}" for line in said["lines"] if (plot := margin_plot(line))]
    parts = [
        f"<!-- headworks-gate:{said['feature']} -->",
        f"## {_MARKS[word]} {word}: `{said['feature']}` {short(said['release'])}{_against(said)}",
        "",
        "| verdict | rule | metric | evidence and next step |",
        "|---|---|---|---|",
        *rows,
        "",
    ]
    if plots:
        parts += ["```", *plots, "", "┆ margin   │ no difference   ● seen   ├─┤ bounds", "```", ""]
    if said["modes"]:
        parts += ["| failure mode | broke | fixed |", "|---|---|---|"]
        parts += [f"| {_cell(each['mode'])} | {each['broken']} | {each['fixed']} |" for each in said["modes"]]
        parts.append("")
    if broken := _broken(said["flips"]):
        shown = [f"`{_cell(name)}` ({_cell(metrics)})" for name, metrics in list(broken.items())[:_MOST_FLIPS]]
        more = f" and {len(broken) - _MOST_FLIPS} more" if len(broken) > _MOST_FLIPS else ""
        listed = (
            f"<details><summary>Examples that broke: {len(broken)}</summary>\n\n{', '.join(shown)}{more}\n</details>"
        )
        parts += [listed, ""]
    return "\n".join([*parts, _look(said), ""])


def junit(said: JsonObject) -> str:
    """A verdict as JUnit XML: a test case for each line; what fails fails, what is inconclusive is an error."""
    cases = []
    for line in said["lines"]:
        name = quoteattr(f"{line['rule']} {line['metric']}".strip())
        text = escape(visible(f"{line['message']} {line['next_step']}".strip()))
        kind = {"FAIL": "failure", "INCONCLUSIVE": "error"}.get(line["verdict"]) if line["blocks"] else None
        inner = f"<system-out>{text}</system-out>"
        if kind is not None:
            inner = f"<{kind} message={quoteattr(visible(line['message']))}>{text}</{kind}>"
        cases.append(f"  <testcase classname={quoteattr(said['feature'])} name={name}>{inner}</testcase>")
    counts = [
        sum(line["verdict"] == word and line["blocks"] for line in said["lines"]) for word in ("FAIL", "INCONCLUSIVE")
    ]
    head = f'<testsuite name="headworks gate" tests="{len(cases)}" failures="{counts[0]}" errors="{counts[1]}">'
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', head, *cases, "</testsuite>", ""])


def svg(said: JsonObject) -> str:
    """The margin plot as a picture: one row for each line that compares."""
    rows = [(line, found) for line in said["lines"] if (found := _bounds(line)) is not None]
    height, shown = 40 + 28 * max(1, len(rows)), []
    for row, (line, found) in enumerate(rows):
        low, value, high, margin = found
        reach, y = max(abs(low), abs(high), abs(margin)) * 1.05 or 1.0, 40 + 28 * row
        x = [round(430 + each / reach * 200, 1) for each in (low, value, high, -margin, 0.0)]
        colour = {"PASS": "#1a7f37", "FAIL": "#cf222e", "INCONCLUSIVE": "#9a6700"}[line["verdict"]]
        shown += [
            f'<text x="10" y="{y + 4}">{escape(visible(line["metric"]))[:34]}</text>',
            f'<line x1="{x[4]}" x2="{x[4]}" y1="{y - 10}" y2="{y + 10}" stroke="#999"/>',
            f'<line x1="{x[3]}" x2="{x[3]}" y1="{y - 10}" y2="{y + 10}" stroke="#cf222e" stroke-dasharray="3 2"/>',
            f'<line x1="{x[0]}" x2="{x[2]}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="3"/>',
            f'<circle cx="{x[1]}" cy="{y}" r="5" fill="{colour}"/>',
        ]
    size = f'width="660" height="{height}" font-family="sans-serif" font-size="13"'
    title = f"{said['verdict']}: {escape(said['feature'])} {short(said['release'])}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
            f'<text x="10" y="18" font-weight="bold">{title}</text>',
            *shown,
            "</svg>",
            "",
        ]
    )


def _bounds(line: JsonObject) -> tuple[float, float, float, float] | None:
    evidence = line["evidence"]
    values = [evidence.get(key) for key in ("lower_bound", "difference", "upper_bound", "margin")]
    if any(each is None for each in values):
        return None
    low, value, high, margin = (float(each) for each in values)
    return low, value, high, margin


def _against(said: JsonObject) -> str:
    return f" against {short(said['base'])}" if said["base"] else ""


def _look(said: JsonObject) -> str:
    again = ", read again" if said["is_repeated"] else ""
    level = "no level left" if said["alpha"] is None else f"at level {said['alpha']:.4f}"
    return f"Look {said['look']} of {said['looks']}{again}, candidate {said['attempt']} against this base, {level}."


def _modes(rows: Sequence[JsonObject]) -> list[str]:
    if not rows:
        return []
    cells = [(each["mode"], each["broken"], each["fixed"]) for each in rows]
    return [table(("failure mode", "broke", "fixed"), cells), ""]


def _broken(flips: Sequence[JsonObject]) -> dict[str, str]:
    """The metrics by which each example broke."""
    found: dict[str, list[str]] = {}
    for each in flips:
        if each["to"] == "fail":
            found.setdefault(each["example"], []).append(each["metric"])
    return {example: ", ".join(metrics) for example, metrics in found.items()}


def _spent_line(spent: JsonObject) -> str:
    cost = "unknown price" if spent["cost_micro_usd"] is None else f"${spent['cost_micro_usd'] / 1e6:.6f} an answer"
    return (
        f"{spent['answers']} answers, {spent['errors']} errors, {cost}, "
        f"{spent['p50_ms']:.0f} ms median, {spent['p95_ms']:.0f} ms p95"
    )


def _flaky(found: JsonObject | None) -> str:
    if found is None or found["repeats"] < 2:
        return "–"
    last = found["pass_all"][str(found["repeats"])]
    return f"{found['flaky']:.1%}, pass^{found['repeats']} {last:.3f}"


def _counts(counts: JsonObject) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}" if abs(value) >= 1 else f"{value:.3f}"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.4g}" if abs(value) >= 1 else f"{value:+.3f}"


def _cell(text: str) -> str:
    return visible(text).replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
