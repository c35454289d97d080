"""promptfoo's configurations: the same verdicts as the real one gave, losses named, and back again."""

from __future__ import annotations

import asyncio
import hashlib
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
EXAMPLES = os.environ.get("PROMPTFOO_EXAMPLES")
OURS = ["verdicts.yaml", "shared/config.yaml"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def config(name: str = "verdicts.yaml") -> ImportedSuite:
    path = FOLDER / name
    return import_promptfoo(path.read_text(), beside(path.parent))


def beside(folder: Path) -> dict[str, bytes]:
    return {each.relative_to(folder).as_posix(): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def recorded(name: str = "verdicts.yaml") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / name).with_name("verdicts.json").read_text())["results"]
    return found


def scored(example: Example, said: str) -> Score:
    return asyncio.run(make_scorer("checks", "checks").score(SOMEBODY, example, Output(said, cost_micro_usd=0)))


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


@pytest.mark.parametrize("name", OURS)
def test_each_verdict_is_that_of_the_real_promptfoo(name: str) -> None:
    assert config(name).incomplete == frozenset()
    assert disagreements(config(name), recorded(name)) == []


def test_the_recording_has_both_verdicts_of_every_kind_of_check() -> None:
    seen: dict[str, set[bool]] = {}
    for example, result in zip(config().examples, recorded(), strict=True):
        for each in example.reference["checks"]:
            seen.setdefault(each["is"], set()).add(result["passed"])
    assert seen.keys() == set(WORDS)
    assert all(verdicts == {True, False} for verdicts in seen.values())


@pytest.mark.skipif(CLI is None, reason="PROMPTFOO_CLI names no promptfoo; record.py says how to install one.")
@pytest.mark.parametrize("name", OURS)
def test_the_real_promptfoo_still_says_what_was_recorded(name: str, tmp_path: Path) -> None:
    assert CLI is not None
    assert _recorder().asked(CLI, FOLDER / name, tmp_path) == recorded(name)


def summaries() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / "examples.json").read_text())["examples"]
    return found


def test_the_figures_of_the_docs_are_those_of_the_recording() -> None:
    results = [each for row in summaries() for each in row.get("results", ())]
    assertions = sum(len(each["assertions"]) for each in results)
    docs = (FOLDER.parents[3] / "docs" / "reference" / "exchange.md").read_text()
    ours = len(recorded()) + len(recorded("shared/config.yaml"))
    assert f"{ours} tests of our own" in docs
    assert (
        f"{len(summaries())} configurations of its own, {len(results):,} tests with {assertions:,} assertions" in docs
    )


@pytest.mark.skipif(EXAMPLES is None, reason="PROMPTFOO_EXAMPLES is no folder with examples of promptfoo's repository.")
@pytest.mark.timeout(1800)  # it asks the real one forty times
def test_its_own_examples_have_its_own_verdicts(tmp_path: Path) -> None:
    """With PROMPTFOO_CLI, as it says now; the answers of the echo provider are its prompts either way."""
    assert EXAMPLES is not None
    assert CLI is not None, "PROMPTFOO_CLI is wanted beside PROMPTFOO_EXAMPLES."
    recorder, seen = _recorder(), {each["config"]: each for each in summaries()}
    for path in recorder.examples(Path(EXAMPLES)):
        row = seen[path.relative_to(EXAMPLES).as_posix()]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == row["sha256"], path
        results = recorder.of_example(CLI, path, tmp_path)
        assert recorder.summary(path, Path(EXAMPLES), results) == row
        assert differences(import_promptfoo(path.read_text(), beside(path.parent)), results) == [], path


def differences(suite: ImportedSuite, results: list[dict[str, Any]]) -> list[str]:
    """Each test on each prompt's answer, and each assertion of it alone; what is incomplete is not compared whole."""
    found = []
    for result in results:
        example = suite.examples[result["testIdx"]]
        said = text_of((result.get("response") or {}).get("output", ""))
        if example.id not in suite.incomplete and (scored(example, said).value == 1) != result["success"]:
            found.append(f"{example.id}: {example.reference} on {said!r}")
        for part in (result.get("gradingResult") or {}).get("componentResults") or []:
            if (part.get("assertion") or {"type": "assert-set"})["type"] == "assert-set":
                continue
            test = {"vars": result["vars"], "assert": [part["assertion"]], "options": {"disableVarExpansion": True}}
            alone = import_promptfoo(json.dumps({"prompts": ["x"], "tests": [test]}))
            if not alone.incomplete and (scored(alone.examples[0], said).value == 1) != part["pass"]:
                found.append(f"{example.id}: {part['assertion']} on {said!r}")
    return found


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


def test_no_character_is_lost_on_the_way_out() -> None:
    odd = "".join(map(chr, [9, 10, 11, 12, 13, 27, 127, 133, 160, 0x2028, 0x2029, 0xFEFF])) + "é👍"
    out = export_promptfoo("f", [make_scorer("checks", "checks")], [Example("1", odd, reference={"checks": []})])
    assert import_promptfoo(out.text).examples[0].question == odd


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
        "test 1: `javascript`: it is code and is not run",
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
    assert found.losses == ("test 1: `regex`: its pattern looks around, which RE2 does not",)


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
    text = "prompts: [file://p.txt]\nproviders: [echo]\ntests: [file://t.yaml, file://gone.yaml, cases.xlsx]\n"
    files = {"p.txt": b"Say {{question}}\n---\nTell {{question}}", "t.yaml": b"- {vars: {question: a}}"}
    found = import_promptfoo(text, files)
    assert found.prompts == ("Say {{question}}", "Tell {{question}}")
    assert len(found.examples) == 1
    assert "tests: `gone.yaml` is not among the files that were given" in found.losses
    assert "tests: `cases.xlsx` is not read; YAML, JSON, JSONL and CSV are" in found.losses


def test_unknown_keys_of_a_configuration_are_named() -> None:
    found = of("  - {vars: {question: a}, provider: x}\n", "env: {}\nsharing: true")
    assert found.losses == ("`env` is not read", "`sharing` is not read", "test 1: `provider` is not read")
    assert found.incomplete == frozenset()


UNREAD = [
    ("assert: [{type: is-sql}]", "has no word here"),
    ("assert: [{type: not-rouge-n, value: a}]", "has no word here"),
    ("assert: [{type: and, assert: []}]", "has no word here"),
    ("assert: [{type: similar, value: a}]", "needs embeddings"),
    ("assert: [{type: perplexity, threshold: 2}]", "needs probabilities of tokens"),
    ("assert: [{type: contains, value: file://gone.txt}]", "`gone.txt` is not among the files"),
    ("assert: [{type: contains, value: file://value.js}]", "`value.js` is code and is not run"),
    ("assert: [{type: contains, value: ''}]", "neither a text nor a number"),
    ("assert: [{type: contains, value: true}]", "neither a text nor a number"),
    ("assert: [{type: equals}]", "it has no value"),
    ("assert: [{type: starts-with, value: 7}]", "its value is no text"),
    ("assert: [{type: contains, value: '{{ a | replace(1, 2) }}'}]", "its template does more"),
    ("assert: [{type: contains, value: '{{ env.HOME }}'}]", "its template does more"),
    ("assert: [{type: contains, value: a, transform: x}]", "its `transform` is code"),
    ("assert: [{type: contains, value: a, new: x}]", "its `new` is not read"),
    ("assert: [{type: contains-any, value: []}]", "it has no list of values"),
    ("assert: [{type: contains-any, value: '\"a'}]", "a quote is not closed"),
    ("assert: [{type: bleu, value: [a, 1]}]", "no list of texts"),
    ("assert: [{type: gleu}]", "its value is no text"),
    ("assert: [{type: is-json, value: {typo: x}}]", "its schema says `typo`"),
    ("assert: [{type: is-json, value: {$schema: 'https://json-schema.org/draft/2020-12/schema'}}]", "of a draft"),
    ("assert: [{type: is-json, value: {type: nothing}}]", "is none of Draft 7"),
    ("assert: [{type: regex, value: '(?i)a'}]", "a group that JavaScript does not know"),
    ("assert: [{type: regex, value: '(a)\\1'}]", "refers back"),
    ("assert: [{type: cost}]", "no threshold"),
    ("assert: [{type: word-count, value: {min: 3, max: 2}}]", "that go together"),
    ("assert: [{type: contains, value: a, weight: -1}]", "its `weight` is no number"),
    ("assert: [{type: assert-set, assert: [{type: assert-set, assert: []}]}]", "a set stands in a set"),
    ("assert: [{type: assert-set}]", "no list of assertions"),
    ("assert: [{$ref: '#/assertionTemplates/gone'}]", "refers to nothing"),
    ("providerOutput: said before", "`providerOutput` is not read"),
    ("assertScoringFunction: file://own.js", "`assertScoringFunction` is not read"),
    ("options: {transformVars: x}", "`options.transformVars` is code"),
]


@pytest.mark.parametrize(("said", "why"), UNREAD)
def test_what_is_not_carried_is_refused_by_its_name_and_never_passes_silently(said: str, why: str) -> None:
    found = of(f"  - vars: {{question: a}}\n    {said}\n")
    assert why in found.losses[0]
    assert found.incomplete == {"1"}


def test_what_no_verdict_hangs_on_is_named_and_the_test_stays_whole() -> None:
    found = import_promptfoo(
        "prompts: ['Say {{a}}', 'Tell {{a}}']\n"
        "providers: [{id: x, config: {transformResponse: json.a}}]\n"
        "defaultTest: {provider: y}\n"
        "tests: [{vars: {a: b}, options: {repeat: 2}, assert: [{type: equals, value: a, metric: m}]}]\n"
    )
    assert found.losses == (
        "`prompts`: a feature has one; of 2 the first is asked",
        "providers: the `transform` of `x` is code and is not run",
        "`defaultTest.provider` is not read",
        "test 1: `options.repeat` is not read",
        "test 1: `metric` of `equals` is not read",
    )
    assert found.incomplete == frozenset()
    assert found.examples[0].question == "Say b"


def test_a_conversation_as_prompt_becomes_turns_and_a_question() -> None:
    turns = [{"role": "system", "content": "Be {{how}}."}, {"role": "user", "content": "Of {{what}}?"}]
    config = {"prompts": [json.dumps(turns)], "tests": [{"vars": {"how": "brief", "what": "days"}}]}
    (example,) = import_promptfoo(json.dumps(config)).examples
    assert [(each.role, each.content) for each in example.history] == [("system", "Be brief.")]
    assert example.question == "Of days?"


def test_a_prompt_that_does_more_is_named_and_stands_as_it_is() -> None:
    prompt = "{% for each in many %}{{ each }}{% endfor %}"
    (example,), losses = (
        (found := import_promptfoo(json.dumps({"prompts": [prompt], "tests": [{}]}))).examples,
        found.losses,
    )
    assert example.question == prompt
    assert losses == ("test 1: the prompt's template does more than is read here, and stands as the question",)


@pytest.mark.parametrize(
    "row", ["a,b\n1\n", 'a\n"b', "a,__config:__expected:least\n1,2\n", "a,__config:__expected:threshold\n1,x\n"]
)
def test_rows_that_do_not_fit_are_refused(row: str) -> None:
    with pytest.raises(InvalidRequest, match="promptfoo"):
        import_promptfoo("prompts: [a]\ntests: rows.csv\n", {"rows.csv": row.encode()})


@pytest.mark.parametrize("text", ["", "[]", "a: [", "tests: []", "prompts: [a]", "tests: 7", "\x00"])
def test_what_is_no_configuration_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        import_promptfoo(text)


@settings(max_examples=40)
@given(JSON, JSON)
def test_any_assertion_is_read_or_named(value: object, other: object) -> None:
    kinds = ("equals", "contains-any", "is-json", "levenshtein", "word-count", "regex", "cost")
    assertions = [{"type": kind, "value": value, "threshold": other} for kind in kinds]
    tests = [{"vars": {"question": "a"}, "assert": [each]} for each in assertions]
    found = import_promptfoo(json.dumps({"prompts": ["{{question}}"], "tests": tests}))
    for example in found.examples:
        score = scored(example, "a")
        assert score.error_code in {None, "wrong_check", "not_measured"}


@settings(max_examples=40)
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
