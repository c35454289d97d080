"""Cards of judges as they are drawn: the verdict first, then the numbers, then what is missing."""

from __future__ import annotations

from collections.abc import Sequence

from headworks.cli.json_values import JsonObject
from headworks.cli.terminal import short

_INDENT = "  "


def card(body: JsonObject) -> str:
    """One card, from what the API says of it."""
    said = "calibrated: it may decide" if body["is_calibrated"] else "not calibrated: it informs, and can't gate"
    if not body["is_calibrated"] and not body["missing"]:
        said = "not valid now: calibrate it anew"
    errors = sum(body["errors"].values())
    rows = [
        ("judgements", str(body["n"]), f"{errors} answers without a verdict" if errors else ""),
        ("passes what people pass", *_share(body["sensitivity"])),
        ("fails what people fail", *_share(body["specificity"])),
        ("agreement", *_share(body["agreement"])),
        ("kappa", f"{body['kappa']['value']:.2f}", f"{body['kappa']['low']:.2f} to {body['kappa']['high']:.2f}"),
        ("worth with it", f"{body['gain']:.1f}", "judgements for each one, at most"),
    ]
    if body["consistency"] is not None:
        rows.append(("votes agree", f"{body['consistency']:.0%}", ""))
    if body["pairs_swapped"]:
        rows.append(("turn with the order", f"{body['flips']} of {body['pairs_swapped']}", ""))
    parts = [(f"{each['tag']}={each['value']}", each["kappa"], each["n"]) for each in body["segments"]]
    rows += [(name, f"{kappa['value']:.2f}", f"kappa of {n}") for name, kappa, n in parts]
    valid = f"{_INDENT}{short(body['judge'])}  project {body['project']}  valid until {body['valid_until'][:10]}"
    missing = [f"{_INDENT}• {each}" for each in body["missing"]]
    return "\n".join([f"{body['metric']}  {said}", valid, "", *_aligned(rows), *([""] if missing else []), *missing])


def _share(rate: JsonObject) -> tuple[str, str]:
    if not rate["n"]:
        return "–", "nobody judged one"
    return f"{rate['value']:.0%}", f"{rate['low']:.0%} to {rate['high']:.0%} of {rate['n']}"


def _aligned(rows: Sequence[tuple[str, str, str]]) -> list[str]:
    first, second = (max(len(row[at]) for row in rows) for at in range(2))
    return [f"{_INDENT}{one:<{first}}  {two:>{second}}  {three}".rstrip() for one, two, three in rows]
