"""One request as the terminal shows it."""

from __future__ import annotations

import time

from headworks.cli.client import Client, place
from headworks.cli.grounding import grounding_line
from headworks.cli.json_values import JsonObject
from headworks.cli.terminal import moment, one_line, paint, width
from headworks.cli.waterfall import cost, draw, duration
from headworks.errors import NotFound
from headworks.types.wording import counted

ARRIVES_WITHIN_S = 5.0
_PARTS = {
    "cached_input_tokens": "read from the cache",
    "cache_write_tokens": "written to it",
    "cache_write_1h_tokens": "written to it for an hour",
    "audio_input_tokens": "of audio in",
    "reasoning_tokens": "of reasoning",
    "audio_output_tokens": "of audio out",
}


def fetch(client: Client, trace: str) -> JsonObject:
    """The trace; waits a moment for one that is on its way to the database. Raises NotFound."""
    deadline = time.monotonic() + ARRIVES_WITHIN_S
    while True:
        try:
            found: JsonObject = client.get(place("traces", trace))
        except NotFound:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return found


def described(trace: JsonObject) -> list[str]:
    """The lines that `show` prints."""
    usage = trace["usage"]
    answered = "/".join(part for part in (usage["provider"], usage["model"]) if part) or "–"
    if usage.get("continuations"):
        answered += " (which went on with what another had begun)"
    tokens = f"{usage['input_tokens'] or 0} tokens in, {usage['output_tokens'] or 0} out"
    facts = {
        "trace": f"{trace['trace']}   {moment(usage['arrived_at'])}",
        "asked": f"{one_line(usage['asked_model'], 60)}, answered by {answered}: status {usage['status']}",
        "release": usage["release"] or "–",
        "cost": f"{tokens}, {cost(usage['cost_micro_usd'])}",
        "tokens": ", ".join(_token_parts(usage)),
        "time": duration(usage["total_us"]),
        "grounded": _grounding(trace),
    }
    lines = [f"{paint(f'{name:<8}', 'dim')} {fact}" for name, fact in facts.items() if fact]
    bars = draw(trace, width())
    withheld = sum(1 for span in trace["spans"] if span.get("withheld"))
    if withheld:
        bars.append(f"({counted(withheld, 'stage')} with text that you may not read; it is left out)")
    return [*lines, ""] + (bars or ["It has no stages: a plain route, or an error before them."])


def _grounding(trace: JsonObject) -> str:
    """How well the answer stood on its documents, and what a judge said of it where one was asked."""
    noted = {span["name"]: span.get("attributes") or {} for span in trace["spans"]}
    said = [grounding_line(noted.get("cite", {}))]
    judged = noted.get("judge", {})
    if judged.get("outcome") == "judged":
        said.append(f"{judged['supported']} of {judged['claims']} supported, says a judge")
    elif judged:
        said.append(f"a judge was asked: {judged.get('outcome', '')}")
    return " · ".join(part for part in said if part)


def _token_parts(usage: JsonObject) -> list[str]:
    """What is counted in the tokens in and out, and the tier; nothing where the provider counted none of it."""
    parts = [f"{usage[name]} {words}" for name, words in _PARTS.items() if usage.get(name)]
    return parts + ([f"service tier {one_line(usage['service_tier'], 30)}"] if usage.get("service_tier") else [])
