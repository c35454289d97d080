"""Releases and proposals as people see them in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from headworks.cli.json_values import JsonObject
from headworks.cli.terminal import moment, one_line, paint, short, table, visible, width, wrapped

_MARKS = {"added": ("green", "{+", "+}"), "removed": ("red", "[-", "-]")}
_CONTEXT = 60
"""Characters that stay on both sides of a change."""
_MOST_FLIPS = 8


def conditions(rows: Iterable[JsonObject]) -> str:
    """The parts of the rule, met or not, and what to do."""
    lines = []
    for each in rows:
        mark = paint("✓", "green") if each["met"] else paint("✗", "red")
        lines.append(f"  {mark} {each['rule']}: {visible(each['message'])}")
        if not each["met"] and each["next_step"]:
            lines.append(paint(f"      → {visible(each['next_step'])}", "dim"))
    return "\n".join(lines)


def standing(found: JsonObject) -> str:
    """A release: where it stands on its way to prod."""
    lines = [
        f"{paint(found['feature'], 'bold')} {'gate ' if found['kind'] == 'gate' else ''}{found['digest']}",
        f"  risk {found['risk']} · live {short(found['live'])} · judged by {short(found['gate'])}",
        conditions(found["conditions"]),
    ]
    if found.get("behaviour"):
        lines.append(behaviour(found["behaviour"]))
    return "\n".join(lines)


def behaviour(found: JsonObject) -> str:
    """Examples that flipped, by failure mode."""
    stale = "" if found["current"] else paint(" (of what was live before)", "yellow")
    flipped = f"{found['fixed']} fixed, {found['broken']} broken of {found['examples']} examples"
    lines = [f"  behaviour beside {short(found['base'])}{stale}: {flipped}"]
    for mode in found["modes"]:
        lines.append(f"    {visible(mode['mode'])}: {len(mode['fixed'])} fixed, {len(mode['broken'])} broken")
        for word, style in (("broken", "red"), ("fixed", "green")):
            shown = ", ".join(visible(each["example"]) for each in mode[word][:_MOST_FLIPS])
            more = f" and {len(mode[word]) - _MOST_FLIPS} more" if len(mode[word]) > _MOST_FLIPS else ""
            lines += [paint(f"      {word}: {shown}{more}", style)] if mode[word] else []
    return "\n".join(lines)


def proposal(found: JsonObject) -> str:
    """A whole proposal: what it is, the words that change, how it stands, what was said."""
    title = paint(f"#{found['number']} {one_line(found['title'], width() - 8)}", "bold")
    lines = [title, f"  {found['state']}, by {found['by']} at {moment(found['at'])}"]
    if found["stale"]:
        lines.append(paint(f"  stale: {visible(found['stale'])}", "yellow"))
    if found["description"]:
        lines += ["", wrapped(visible(found["description"]), "  ")]
    if found["files"]:
        lines += ["", changes(found["files"])]
    for each in found["releases"]:
        if each["files"]:
            lines += ["", beside_live(each)]
        lines += ["", standing(each["standing"])]
    for each in found["comments"]:
        about = f" on {each['path']}{':' + str(each['line']) if each['line'] else ''}" if each["path"] else ""
        lines += ["", f"  {paint(each['by'], 'cyan')} at {moment(each['at'])}{visible(about)}"]
        lines.append(wrapped(visible(each["text"]), "    "))
    if found["state"] == "open" and found["releases"]:
        brought = [each["standing"] for each in found["releases"]]
        lines += ["", paint(f"  To approve what you have read: {approval(found['number'], brought)}", "dim")]
    return "\n".join(lines)


def approval(number: int | str, brought: Iterable[JsonObject]) -> str:
    """The command that approves exactly these."""
    return f"headworks release approve {number} --digest {','.join(short(each['digest']) for each in brought)}"


def names(brought: Iterable[JsonObject]) -> str:
    """Releases and gates in a sentence."""
    kinds = {"gate": "the gate of "}
    return ", ".join(f"{kinds.get(each['kind'], '')}`{each['feature']}` {short(each['digest'])}" for each in brought)


def beside_live(brought: JsonObject) -> str:
    """What a release or gate changes of the live one, beside the proposal's own files."""
    what = "the gate" if brought["standing"]["kind"] == "gate" else "the release"
    told = f"Beside {what} that was there ({short(brought['base'])}), and in no file of the proposal:"
    return f"{paint(told, 'dim')}\n{changes(brought['files'])}"


def changes(files: Iterable[JsonObject]) -> str:
    """Each file's changes, word by word; `{+added+}` and `[-removed-]` where there are no colours."""
    return "\n".join(f"{paint(visible(each['path']), 'bold')} ({each['kind']})\n{_words(each)}" for each in files)


def _words(file: JsonObject) -> str:
    shown = []
    pieces = file["pieces"]
    for index, piece in enumerate(pieces):
        text = visible(piece["text"])
        if piece["op"] == "same":
            shown.append(_shortened(text, is_first=index == 0, is_last=index == len(pieces) - 1))
        else:
            style, opening, closing = _MARKS[piece["op"]]
            painted = paint(text, style)
            shown.append(painted if painted != text else f"{opening}{text}{closing}")
    return "\n".join(f"  {line}" for line in "".join(shown).splitlines())


def _shortened(text: str, *, is_first: bool, is_last: bool) -> str:
    if len(text) <= 2 * _CONTEXT + 10:
        return text
    head, tail = text[:_CONTEXT], text[-_CONTEXT:]
    if is_first:
        return f"…{tail}"
    return f"{head}…" if is_last else f"{head} … {tail}"


def log(found: JsonObject) -> str:
    """The moves of a feature's channels, and what blocks it."""
    rows = [
        (
            moment(each["at"]),
            each["channel"],
            f"{short(each['from'])} → {short(each['to'])}",
            _way(each),
            each["by"],
            each["reason"],
        )
        for each in found["moves"]
    ]
    lines = [table(("when", "channel", "release", "how", "who", "why"), rows)] if rows else ["Nothing was moved yet."]
    if _is_past_the_rules(found["moves"]):
        lines.append(paint("WARNING: prod is live past the rules until the next regular promotion.", "red"))
    lines += [
        paint(f"blocked by {each['by']} at {moment(each['at'])}: {visible(each['reason'])} ({each['id']})", "red")
        for each in found["blocks"]
    ]
    return "\n".join(lines)


def _is_past_the_rules(moves: Sequence[JsonObject]) -> bool:
    """Whether `prod` came to where it is past the rules, or went back to what only ever came so."""
    of_prod = [each for each in moves if each["channel"] == "prod"]
    if not of_prod or of_prod[-1]["way"] != "rollback":
        return bool(of_prod) and of_prod[-1]["way"] == "break_glass"
    ways = {each["way"] for each in of_prod if each["to"] == of_prod[-1]["to"]}
    return not ways & {"apply", "promote"}


def _way(move: JsonObject) -> str:
    words = {"break_glass": "BROKEN GLASS", "rollback": "rolled back", "promote": "promoted", "apply": "applied"}
    way = words[move["way"]]
    proposal_of = f" #{move['proposal']}" if move["proposal"] else ""
    return f"{way}{proposal_of}{', ungated' if move['ungated'] else ''}"


def moved(rows: Iterable[JsonObject]) -> str:
    """What was moved, one line each."""
    lines = []
    for each in rows:
        if each["channel"] == "gate":
            lines.append(f"{each['feature']} is judged by {short(each['after'])} now.")
            continue
        line = f"{each['feature']}@{each['channel']}: {short(each['before'])} → {short(each['after'])}"
        lines.append(line + (" (ungated)" if each["ungated"] else ""))
        if each["way"] == "break_glass":
            lines.append(paint("The glass is broken: every answer says so until a regular promotion.", "red"))
    return "\n".join(lines)


def attestations(rows: Iterable[JsonObject]) -> str:
    """What is attested, and what of it does not verify."""
    cells = [
        (
            moment(each["at"]),
            each["predicate_type"],
            each["by"],
            one_line(_said(each), 40),
            each["problem"] or ("valid" if each["own"] else "valid, by another's key"),
        )
        for each in rows
    ]
    return table(("when", "type", "by", "says", "signature"), cells) if cells else "Nothing is attested."


def _said(attestation: JsonObject) -> str:
    predicate = attestation["predicate"] or {}
    return str(predicate.get("decision") or predicate.get("verdict") or ", ".join(predicate))
