"""How well the free measure of groundedness tells supported answers from others.

    python bench/grounding/run.py [--data FILE.jsonl] [--documents 400] [--seed 20261123] [--json]

With `--data`, on human labels: one JSON object a line, of BEGIN (`knowledge`, `response`, `begin_label`), of RAGTruth
(`response`, `labels`, `source`) or plain (`passages` or `passage`, `answer`, `label`: 1 is supported).

Without it, on a test of our own: sentences of public documents (HEADWORKS_TEST_DATA: Cranfield, CACM, OWASP ASVS),
lightly paraphrased by rule, are supported by their document; with a number, unit or word exchanged, or from another
document, they are not. It is easier than what models get wrong: its figures say that the measure works, not how well
it does in the field. Beside it stands what is left without the check of facts, and without the weights of words. Exit
status 1 below the bar.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from statements import KINDS, Statement, statements, usable

from headworks.cli.terminal import table
from headworks.retrieval.passages.citations import Quotable, WordWeights, content
from headworks.retrieval.passages.groundedness import Sources, measured
from headworks.retrieval.passages.sentences import sentences
from headworks.types.ids import DocumentId, new_id
from headworks.types.retrieval import Citation

_DATA = Path(os.environ.get("HEADWORKS_TEST_DATA", "../shared/data"))
_BAR = 0.90
_OUT_OF_REACH = "negation"
_FEWEST_SENTENCES = 3
_DRAWS = 1_000
_MEASURES = ("ours", "words by weight", "words")


def scores(answer: str, passages: Sequence[str], cited: int | None = None) -> list[float]:
    """The support of an answer by our measure, by weighted words alone, and by words alone.

    `cited` is the passage that it cites as a whole; None: it cites none.
    """
    weights = WordWeights(passages)
    ready = {number: Quotable(text, weights) for number, text in enumerate(passages, 1)}
    citations = []
    if cited is not None:
        quote = ready[cited].best(answer)
        if quote is not None:
            text = passages[cited - 1][quote.start : quote.end]
            at = (quote.start, quote.end, text, "", quote.support, max(0, len(answer) - 1), len(answer))
            citations = [Citation(cited, DocumentId(new_id()), 1, "", "", (), *at)]
    support = measured(answer, citations, Sources(ready, weights)).support
    words = set(content(answer))
    held = words & set(content(" ".join(passages) if cited is None else passages[cited - 1]))
    by_weight = weights.sum(held) / (weights.sum(words) or 1.0)
    return [support or 0.0, by_weight, len(held) / max(1, len(words))]


def auc(good: Sequence[float], bad: Sequence[float]) -> float:
    """The chance that a supported one scores higher than an unsupported one; ties count half."""
    if not len(good) or not len(bad):
        return float("nan")
    values, counts = np.unique(np.asarray(bad), return_counts=True)
    below = np.concatenate([[0], np.cumsum(counts)])
    at = np.searchsorted(values, good, "left")
    same = np.where((at < values.size) & (values[np.minimum(at, values.size - 1)] == good), counts[np.minimum(at, values.size - 1)], 0)  # fmt: skip  # noqa: E501 -- one formula
    return float(np.mean(below[at] + same / 2) / len(bad))


def interval(good: Sequence[float], bad: Sequence[float], seed: int) -> tuple[float, float]:
    """The 95 % percentile bootstrap over statements."""
    draw = np.random.default_rng(seed)
    found = [auc(draw.choice(good, len(good)).tolist(), draw.choice(bad, len(bad)).tolist()) for _ in range(_DRAWS)]
    return float(np.quantile(found, 0.025)), float(np.quantile(found, 0.975))


# ── Our own test ──


def documents(most: int, seed: int) -> list[str]:
    """Texts of public documents with a few usable sentences each."""
    found: list[str] = []
    for name in ("cranfield", "cacm"):
        lines = (_DATA / "ir" / name / "corpus.jsonl").read_text().splitlines()
        found += [json.loads(line)["text"] for line in lines]
    for path in sorted((_DATA / "documents" / "asvs").glob("*.md")):
        found += path.read_text().split("\n## ")
    found = [text for text in found if len(_usable(text)) >= _FEWEST_SENTENCES]
    random.Random(seed).shuffle(found)
    return found[:most]


def _usable(text: str) -> list[str]:
    cut = (" ".join(text[each.start : each.end].split()) for each in sentences(text))
    return [each for each in cut if usable(each)]


def own_test(most: int, seed: int) -> dict[str, dict[str, list[float]]]:
    """Scores by kind and measure: each statement cites its document, which stands among five others."""
    texts = documents(most, seed)
    draw = random.Random(seed + 1)
    found: dict[str, dict[str, list[float]]] = {kind: {name: [] for name in _MEASURES} for kind in ("", *KINDS)}
    for each in statements([_usable(text) for text in texts], 2, seed):
        beside = draw.sample([number for number in range(len(texts)) if number != each.document], 5)
        for name, score in zip(_MEASURES, _scored(each, texts, beside), strict=True):
            found[each.kind][name].append(score)
    return found


def _scored(statement: Statement, texts: Sequence[str], beside: Sequence[int]) -> list[float]:
    return scores(statement.text, [texts[statement.document], *(texts[each] for each in beside)], cited=1)


# ── Human labels ──


def labelled(path: Path) -> Iterator[tuple[list[str], str, bool]]:
    """Passages, answer and whether people found it supported, from a file in one of the known shapes."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip():
            continue
        row = json.loads(line)
        answer = row.get("response", row.get("answer"))
        passages = row.get("passages", row.get("passage", row.get("knowledge", row.get("source"))))
        if answer is None or passages is None:
            sys.exit(f"{path}:{number}: neither an answer with its passages, nor BEGIN's nor RAGTruth's shape.")
        texts = [passages] if isinstance(passages, str) else [_text(each) for each in passages]
        yield texts, answer, _label(row)


def _text(passage: Any) -> str:  # noqa: ANN401 -- a text, or an object that holds one
    return passage if isinstance(passage, str) else str(passage.get("text", passage))


def _label(row: dict[str, Any]) -> bool:
    if "begin_label" in row:
        return str(row["begin_label"]).strip().lower() == "fully attributable"
    if "labels" in row:
        return not row["labels"]
    return bool(int(row["label"]))


def on_labels(rows: Iterable[tuple[list[str], str, bool]]) -> dict[str, dict[str, list[float]]]:
    """As `own_test`, with one kind of unsupported answers."""
    found = {kind: {name: list[float]() for name in _MEASURES} for kind in ("", "unsupported")}
    for passages, answer, is_supported in rows:
        for name, score in zip(_MEASURES, scores(answer, passages), strict=True):
            found["" if is_supported else "unsupported"][name].append(score)
    return found


# ── Telling ──


def report(found: dict[str, dict[str, list[float]]], seed: int) -> dict[str, dict[str, Any]]:
    """AUC of each measure by kind, and of all kinds together that are within reach."""
    rows: dict[str, dict[str, Any]] = {}
    kinds = [kind for kind in found if kind]
    within = [kind for kind in kinds if kind != _OUT_OF_REACH]
    for name, members in [("all within reach", within), *((kind, [kind]) for kind in kinds)]:
        bad = {each: [score for kind in members for score in found[kind][each]] for each in _MEASURES}
        good = found[""]
        row: dict[str, Any] = {each: round(auc(good[each], bad[each]), 3) for each in _MEASURES}
        if good["ours"] and bad["ours"]:
            row["interval"] = [round(each, 3) for each in interval(good["ours"], bad["ours"], seed)]
        rows[name] = {"supported": len(good["ours"]), "unsupported": len(bad["ours"]), **row}
    return rows


def main() -> int:
    """Measure and print."""
    reading = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reading.add_argument("--data", type=Path)
    reading.add_argument("--documents", type=int, default=400)
    reading.add_argument("--seed", type=int, default=20_261_123)
    reading.add_argument("--json", action="store_true")
    options = reading.parse_args()
    is_own = options.data is None
    found = own_test(options.documents, options.seed) if is_own else on_labels(labelled(options.data))
    rows = report(found, options.seed)
    if options.json:
        print(json.dumps(rows))
    else:
        print("A test of our own, made by rule: not the field's number." if is_own else f"Human labels: {options.data}")
        lines = [
            [name, f"{row['supported']}", f"{row['unsupported']}", *(f"{row[each]:.3f}" for each in _MEASURES),
             "–".join(f"{each:.3f}" for each in row.get("interval", []))]
            for name, row in rows.items()
        ]  # fmt: skip
        print(table(["unsupported because of", "supported", "unsupported", *_MEASURES, "95 % of ours"], lines))
    return 1 if is_own and rows["all within reach"]["ours"] < _BAR else 0


if __name__ == "__main__":
    sys.exit(main())
