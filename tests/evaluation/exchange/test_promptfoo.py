"""promptfoo's configurations: the same verdicts as the real one gave, losses named, and back again."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.errors import InvalidRequest
from headworks.evaluation.datasets.files import read_dataset, write_dataset
from headworks.evaluation.exchange.promptfoo import ImportedSuite, import_promptfoo
from headworks.evaluation.exchange.promptfoo_export import export_promptfoo
from headworks.evaluation.scorers.catalogue import make_scorer
from headworks.evaluation.scorers.checks import WORDS, edit_distance, json_within
from headworks.evaluation.suites.suite_files import read_suite
from headworks.types.evaluation import Example, Output, Score
from headworks.types.identity import Principal
from headworks.types.ids import PrincipalId, TenantId, new_id

FOLDER = Path(__file__).parent / "promptfoo"
SOMEBODY = Principal(TenantId(new_id()), PrincipalId(new_id()), "somebody", "user", frozenset())
CLI = os.environ.get("PROMPTFOO_CLI")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def config() -> ImportedSuite:
    return import_promptfoo((FOLDER / "verdicts.yaml").read_text())


def recorded() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / "verdicts.json").read_text())["results"]
    return found


def scored(example: Example, said: str) -> Score:
    return asyncio.run(make_scorer("checks", "checks").score(SOMEBODY, example, Output(text=said)))


def of(tests: str, before: str = "") -> ImportedSuite:
    return import_promptfoo(f"prompts: ['{{{{question}}}}']\nproviders: [echo]\n{before}\ntests:\n{tests}")


def text_of(said: object) -> str:
    return said if isinstance(said, str) else json.dumps(said)


def disagreements(suite: ImportedSuite, results: list[dict[str, Any]]) -> list[str]:
    assert len(suite.examples) == len(results)
    return [
        f"{example.id}: {example.reference} on {result['said']!r}"
        for example, result in zip(suite.examples, results, strict=True)
        if (scored(example, text_of(result["said"])).value == 1) != result["passed"]
    ]


def test_each_verdict_is_that_of_the_real_promptfoo() -> None:
    assert disagreements(config(), recorded()) == []


def test_the_recording_has_both_verdicts_of_every_kind_of_check() -> None:
    seen: dict[str, set[bool]] = {}
    for example, result in zip(config().examples, recorded(), strict=True):
        for each in example.reference["checks"]:
            seen.setdefault(each["is"], set()).add(result["passed"])
    assert seen.keys() == set(WORDS) - {"latency", "cost", "finish_reason"}
    assert all(verdicts == {True, False} for verdicts in seen.values())


@pytest.mark.skipif(CLI is None, reason="PROMPTFOO_CLI names no promptfoo; record.py says how to install one.")
def test_the_real_promptfoo_still_says_what_was_recorded(tmp_path: Path) -> None:
    assert CLI is not None
    assert _recorder().asked(CLI, FOLDER / "verdicts.yaml", tmp_path) == recorded()


@pytest.mark.skipif(CLI is None, reason="PROMPTFOO_CLI names no promptfoo; record.py says how to install one.")
def test_the_real_promptfoo_reads_what_is_exported_with_the_same_verdicts(tmp_path: Path) -> None:
    assert CLI is not None
    out = export_promptfoo("feature", [make_scorer("checks", "checks")], _asking_the_answer())
    path = tmp_path / "exported.yaml"
    path.write_text(out.text.replace("openai:chat:feature", "echo"))
    found = _recorder().asked(CLI, path, tmp_path)
    assert [each["passed"] for each in found] == [each["passed"] for each in recorded()]


def test_what_is_exported_is_read_back_with_the_same_verdicts() -> None:
    out = export_promptfoo("feature", [make_scorer("checks", "checks")], _asking_the_answer())
    assert out.losses == ()
    back = import_promptfoo(out.text)
    assert back.losses == ()
    assert [each.reference for each in back.examples] == [each.reference for each in config().examples]
    assert disagreements(back, recorded()) == []


def test_a_dataset_of_it_survives_its_file() -> None:
    examples = config().examples
    assert read_dataset("golden/theirs.jsonl", write_dataset(examples)) == list(examples)
    assert read_suite("evals/suite.yaml", config().suite("theirs")).dataset == "theirs"


def test_code_is_not_run_and_named_with_its_test() -> None:
    found = of(
        "  - {vars: {question: a}, assert: [{type: javascript, value: output.length}, {type: equals, value: a}]}\n"
        "  - {vars: {question: b}, options: {transform: output.trim()}, assert: [{type: equals, value: b}]}\n"
        "  - {vars: {question: c}, assert: [{type: equals, value: c}]}\n"
    )
    assert found.losses == (
        "test 1: `javascript` has no word here",
        "test 2: `options.transform` is code and is not run",
    )
    assert found.incomplete == {"1", "2"}


def test_what_a_model_grades_becomes_a_criterion_and_is_said() -> None:
    found = of("  - {vars: {question: a}, assert: [{type: not-llm-rubric, value: 'Is rude about {{question}}'}]}\n")
    (criterion,) = found.criteria
    assert (criterion.example, criterion.kind, criterion.text) == ("1", "llm-rubric", "Is rude about a")
    assert criterion.is_negated
    assert "a criterion for a judge, which informs until calibrated" in found.losses[0]


def test_a_pattern_that_only_their_engine_reads_is_named() -> None:
    found = of("  - {vars: {question: a}, assert: [{type: regex, value: '(?=a)a'}]}\n")
    assert "look-around" in found.losses[0]


def test_what_all_tests_share_is_each_ones() -> None:
    found = of(
        "  - {vars: {question: a}}\n  - {vars: {question: b, who: B}, assert: [{type: contains, value: '{{who}}'}]}\n",
        "defaultTest: {vars: {who: A}, threshold: 0.5, assert: [{type: icontains, value: '{{who}}'}]}",
    )
    assert found.examples[0].reference == {
        "checks": [{"is": "contains", "value": "A", "ignore_case": True}],
        "least": 0.5,
    }
    assert [each["value"] for each in found.examples[1].reference["checks"]] == ["B", "B"]
    assert found.examples[1].inputs == {"who": "B"}


def test_a_list_as_a_variable_makes_a_test_of_each_value_in_one_cluster() -> None:
    found = of("  - {vars: {question: [a, b], who: [x, y]}, assert: [{type: contains, value: a}]}\n")
    assert [each.id for each in found.examples] == ["1.1", "1.2", "1.3", "1.4"]
    assert {each.cluster for each in found.examples} == {"test 1"}


def test_tests_and_prompts_are_read_from_files_that_are_given() -> None:
    text = "prompts: [file://p.txt]\nproviders: [echo]\ntests: [file://t.yaml, file://gone.yaml, cases.csv]\n"
    files = {"p.txt": b"Say {{question}}\n---\nTell {{question}}", "t.yaml": b"- {vars: {question: a}}"}
    found = import_promptfoo(text, files)
    assert found.prompts == ("Say {{question}}\n", "\nTell {{question}}")
    assert len(found.examples) == 1
    assert "tests: `gone.yaml` is not among the files that were given" in found.losses
    assert "tests: `cases.csv` is not read; only YAML and JSON are" in found.losses


def test_unknown_keys_of_a_configuration_are_named() -> None:
    found = of("  - {vars: {question: a}, provider: x}\n", "scenarios: []\nsharing: true")
    assert {"`scenarios` is not read", "`sharing` is not read", "test 1: `provider` is not read"} <= set(found.losses)


@pytest.mark.parametrize("text", ["", "[]", "a: [", "tests: []", "prompts: [a]", "tests: 7", "\x00"])
def test_what_is_no_configuration_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        import_promptfoo(text)


@settings(max_examples=40, deadline=None)
@given(JSON, JSON)
def test_any_assertion_is_read_or_named(value: object, other: object) -> None:
    kinds = ("equals", "contains-any", "is-json", "levenshtein", "word-count", "regex", "cost")
    assertions = [{"type": kind, "value": value, "threshold": other} for kind in kinds]
    tests = [{"vars": {"question": "a"}, "assert": [each]} for each in assertions]
    found = import_promptfoo(json.dumps({"prompts": ["{{question}}"], "tests": tests}))
    for example in found.examples:
        score = scored(example, "a")
        assert score.error_code in {None, "wrong_check", "not_measured"}


@settings(max_examples=40, deadline=None)
@given(JSON)
def test_any_configuration_is_read_or_refused(value: object) -> None:
    try:
        import_promptfoo(json.dumps({"prompts": value, "providers": value, "tests": value, "defaultTest": value}))
    except InvalidRequest as error:
        assert str(error)  # noqa: PT017 -- either way is right


@given(st.text(max_size=12), st.text(max_size=12), st.text(max_size=12))
def test_edits_are_a_distance(one: str, two: str, three: str) -> None:
    assert edit_distance(one, one) == 0
    assert edit_distance(one, two) == edit_distance(two, one)
    assert edit_distance(one, three) <= edit_distance(one, two) + edit_distance(two, three)


@given(st.text(alphabet='{}[]":,a1 ', max_size=30))
def test_looking_for_objects_ends_and_finds_only_objects(text: str) -> None:
    assert all(isinstance(each, dict) for each in json_within(text))


@pytest.mark.parametrize(
    "reference",
    [{"checks": [{"is": "magic"}]}, {"checks": "x"}, {"checks": [{"is": "contains_any", "value": 3}]},
     {"checks": [{"is": "equals", "value": "a", "weight": -1}]}, {"checks": [{"is": "word_count", "value": "a"}]}],
)  # fmt: skip
def test_a_check_that_can_not_be_read_is_an_error_and_no_failure(reference: object) -> None:
    assert scored(Example("1", "q", reference=reference), "a").error_code == "wrong_check"


def test_scorers_without_an_assertion_of_theirs_are_named() -> None:
    scorers = [
        make_scorer("right", "exact"),
        make_scorer("clause", "regex", {"pattern": "CG-[0-9]+", "not": True}),
        make_scorer("said", "contains", {"value": "days", "ignore": []}),
        make_scorer("fast", "latency", {"most_ms": 4000}),
        make_scorer("cheap", "cost", {"most_micro_usd": 2_000_000}),
    ]
    out = export_promptfoo("f", scorers, [Example("1", "How {{many}} days?", reference="7")])
    back = import_promptfoo(out.text)
    assert out.losses == ("`right` has no assertion with the same verdict",)
    assert back.examples[0].question == "How {{many}} days?"
    assert back.examples[0].reference["checks"] == [
        {"is": "regex", "value": "CG-[0-9]+", "not": True},
        {"is": "contains", "value": "days"},
        {"is": "latency", "most": 4000.0},
        {"is": "cost", "most": 2_000_000.0},
    ]


def _asking_the_answer() -> list[Example]:
    """The examples of the recording with the answer as the question, so that an echo gives it."""
    pairs = zip(config().examples, recorded(), strict=True)
    return [Example(each.id, text_of(result["said"]), reference=each.reference) for each, result in pairs]


def _recorder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("promptfoo_record", FOLDER / "record.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
