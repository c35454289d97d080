from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LONG = "The member has had six weeks of supervised physical therapy without any lasting relief of the pain"


def lines(*examples: dict[str, Any]) -> str:
    return "".join(f"{json.dumps(each)}\n" for each in examples)


def test_a_dataset_is_pushed_listed_compared_and_pulled(cli: Any, tmp_path: Path) -> None:
    name, file = cli.name("golden"), tmp_path / "cases.jsonl"
    file.write_text(lines({"id": "a", "question": "One?"}, {"id": "b", "question": "Two?", "reference": "yes"}))
    said = cli("datasets", "push", name, str(file)).stdout
    assert said.startswith(f"{name} 1 (2 examples, ")
    assert "is what was there already" in cli("datasets", "push", name, str(file)).stdout
    file.write_text(lines({"id": "b", "question": "Two?", "reference": {"a": 1}}, {"id": "c", "question": "Three?"}))
    said = cli("datasets", "push", name, str(file)).stdout
    assert "added 1: c\nchanged 1: b\nremoved 1: a\nschema: `reference` was text, and is now an object." in said
    assert name in cli("datasets", "list").stdout
    assert [row["number"] for row in cli.json("datasets", "show", name)] == [2, 1]
    assert "→ 2 (2 examples)" in cli("datasets", "diff", name, "1").stdout
    pulled = tmp_path / "pulled.jsonl"
    cli("datasets", "pull", name, str(pulled), "--version", "1")
    assert [json.loads(line)["id"] for line in pulled.read_text().splitlines()] == ["a", "b"]
    assert cli("datasets", "pull", name, str(pulled), check=False).returncode == 1


def test_a_line_that_is_wrong_is_named_and_nothing_is_stored(cli: Any, tmp_path: Path) -> None:
    name, file = cli.name("golden"), tmp_path / "cases.jsonl"
    file.write_text(lines({"id": "a", "question": "One?"}, {"id": "b", "quetsion": "Two?"}))
    done = cli("datasets", "push", name, str(file), check=False)
    assert done.returncode == 1
    assert f"{file}:2: `quetsion` is unknown. Did you mean `question`" in done.stderr
    assert cli("datasets", "show", name, check=False).returncode == 1


def test_a_move_between_splits_needs_a_reason(cli: Any, tmp_path: Path) -> None:
    name, file = cli.name("golden"), tmp_path / "cases.jsonl"
    file.write_text(lines({"id": "a", "question": "One?", "split": "train"}))
    cli("datasets", "push", name, str(file))
    file.write_text(lines({"id": "a", "question": "One?"}))
    done = cli("datasets", "push", name, str(file), check=False)
    assert done.returncode == 1
    assert "--unlock" in done.stderr
    assert "moved from train to test" in cli("datasets", "push", name, str(file), "--unlock", "was a slip").stdout
    assert cli.json("datasets", "show", name)[0]["unlocked"] == "was a slip"


def test_a_leak_ends_the_check_with_1(cli: Any, tmp_path: Path) -> None:
    name, file = cli.name("golden"), tmp_path / "cases.jsonl"
    file.write_text(lines({"id": "a", "question": LONG, "tags": {"intent": "imaging"}}))
    cli("datasets", "push", name, str(file))
    assert "Nothing leaks." in cli("datasets", "check", name, "--feature", "assistant").stdout
    file.write_text(lines({"id": "a", "question": LONG}, {"id": "b", "question": f"{LONG}!", "split": "dev"}))
    cli("datasets", "push", name, str(file))
    done = cli("datasets", "check", name, check=False)
    assert done.returncode == 1
    assert "LEAK: a (test) and b (dev) share 100%" in done.stdout
    assert "imaging" in cli("datasets", "coverage", name, "--version", "1").stdout


def test_questions_in_other_words_are_shown_and_fail_nothing(cli: Any, tmp_path: Path) -> None:
    name, file = cli.name("golden"), tmp_path / "cases.jsonl"
    one, two = "How often may I have my eyes tested for free?", "How many times are my eyes tested for free?"
    file.write_text(lines({"id": "a", "question": one}, {"id": "b", "question": two, "split": "dev"}))
    cli("datasets", "push", name, str(file))
    said = cli("datasets", "check", name).stdout
    assert "look: a (test) and b (dev) may ask the same" in said
    assert "Nothing leaks." in said
    assert "look:" not in cli("datasets", "check", name, "--embedder", "").stdout
    said = cli("datasets", "check", name, "--embedder", "nobody/knows").stdout
    assert "note: Questions in other words were not looked for" in said


def test_a_trace_becomes_a_line_to_look_through_without_what_is_personal(cli: Any, tmp_path: Path) -> None:
    question = "Within how many days? Write to jane.roe@example.com"
    trace = cli.json("ask", "assistant", question)["trace"]
    cli.json("trace", "show", trace)
    file = tmp_path / "proposed.jsonl"
    said = cli("datasets", "promote", "golden", "--trace", trace, "--into", str(file), "--with-reference").stdout
    (line,) = file.read_text().splitlines()
    example = json.loads(line)
    assert "redacted: 1 × email" in said
    assert "jane.roe" not in line
    assert example["question"].startswith("Within how many days? Write to ")
    assert example["provenance"]["trace"] == trace
    assert example["provenance"]["feature"] == "assistant"
    assert example["reference"]
    again = cli("datasets", "promote", "golden", "--trace", trace, "--into", str(file), check=False)
    assert again.returncode == 1
    assert cli("datasets", "push", cli.name("golden"), str(file)).returncode == 0


def test_a_trace_that_is_not_there_is_said(cli: Any, tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    trace = "0199f3a1-7c22-7e3b-9f5d-2b1c6f0a9d10"
    done = cli("datasets", "promote", "golden", "--trace", trace, "--into", str(file), check=False)
    assert done.returncode == 1
    assert "There is no trace" in done.stderr
    assert not file.exists()
