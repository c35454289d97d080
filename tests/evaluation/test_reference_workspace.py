"""The reference workspace: its cases rest on real clauses, and its gate tells an equal release from a worse one."""

from __future__ import annotations

import asyncio
import html
import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ruamel.yaml import YAML
from scripted_judge import ScriptedModels, between
from scripted_judge import verdict as judges_answer

from headworks.evaluation.contract import Result
from headworks.evaluation.experiments.comparing import Metric, by_mode, flips
from headworks.evaluation.gates.case import Case
from headworks.evaluation.gates.verdicts import Judged, judge
from headworks.evaluation.judges.files import read_judges
from headworks.evaluation.suites.reading import Plan, feature_files, read_gate_of, read_plan
from headworks.evaluation.suites.suite_files import PATH, suite_reader
from headworks.providers.simulated import Rule, rule_for
from headworks.statistics.power import Goal, needed_examples
from headworks.types.evaluation import Example, Output
from headworks.types.identity import Principal
from headworks.types.ids import PrincipalId, TenantId, new_id

EXAMPLES = Path(__file__).parents[2] / "examples"
FOLDER = EXAMPLES / "prior-authorisation"
WORKSPACE = FOLDER / "workspace"
FEATURE = WORKSPACE / "features" / "prior-authorisation"
PROMPT = "features/prior-authorisation/prompts/review.prompty"
CLAUSE = re.compile(r"(?P<document>[A-Z]+-\d{3}) (?P<number>\d+(\.\d+)?)(?P<letter> \([a-z]\))?")
EXPECTED_WORST = "unmet_criterion"
SOMEBODY = Principal(TenantId(new_id()), PrincipalId(new_id()), "somebody", "user", frozenset())


@cache
def judging() -> dict[str, bytes]:
    paths = [each for each in WORKSPACE.rglob("*") if each.is_file()]
    return feature_files("prior-authorisation", {str(each.relative_to(WORKSPACE)): each.read_bytes() for each in paths})


@cache
def plan() -> Plan:
    return read_plan(judging(), suite_reader(None))


def cases() -> tuple[Example, ...]:
    return plan().examples


def folder_of(release: str) -> Path:
    return WORKSPACE if release == "baseline" else FOLDER / "variants" / release


@cache
def script(release: str) -> tuple[Rule, ...]:
    routes: Any = YAML(typ="safe").load((folder_of(release) / "routes.yaml").read_text())["routes"]
    return tuple(msgspec.convert(routes["reviewer"]["targets"][0]["parameters"]["script"], list[Rule]))


@cache
def results(release: str) -> tuple[Result, ...]:
    return asyncio.run(_scored(release))


async def _scored(release: str) -> tuple[Result, ...]:
    found = []
    for example, digest in zip(cases(), plan().digests, strict=True):
        output = Output(text=rule_for(list(script(release)), example.question).answer or "", latency_ms=5.0)
        scores = {each.name: await each.score(SOMEBODY, example, output) for each in plan().scorers}
        found.append(Result(example, digest, 0, output, scores))
    return tuple(found)


def verdict(release: str) -> Judged:
    metrics = {each.name: Metric(each.name, each.scale, each.is_better_high, each.is_judge) for each in plan().scorers}
    return judge(read_gate_of(judging()), Case(results(release), results("baseline"), metrics, len(cases()), 0.05))


def right(release: str) -> int:
    return sum(each.scores["task_success"].value == 1 for each in results(release))


@cache
def clauses() -> set[tuple[str, str]]:
    """(document, clause) of the corpus, from what its files are built of; `3.3 (c)` stands for itself."""
    found = set()
    built = {each.stem for each in (EXAMPLES / "health-plan" / "sources").rglob("*.md")}
    paths = [
        *(EXAMPLES / "health-plan" / "sources").rglob("*.md"),
        *(EXAMPLES / "health-plan" / "documents").rglob("*"),
    ]
    for path in paths:
        if path.suffix not in {".md", ".html"} or ("documents" in path.parts and path.stem in built):
            continue
        text = html.unescape(re.sub(r"<[^>]+>", "", path.read_text()))
        document = re.search(r"[A-Z]{2,3}-\d{3}", text)
        assert document is not None, path
        number = ""
        for line in text.splitlines():
            if begins := re.match(r"(?:#+ )?(\d+(?:\.\d+)?)\.? ", line.strip()):
                number = begins[1]
                found.add((document[0], number))
            elif letter := re.match(r"(?:[*-] )?(\([a-z]\)) ", line.strip()):
                found.add((document[0], f"{number} {letter[1]}"))
    return found


def modes() -> dict[str, dict[str, Any]]:
    read: Any = YAML(typ="safe").load((FEATURE / "taxonomy.yaml").read_text())
    return {each["id"]: each for each in read["failure_modes"]}


def test_there_are_enough_cases_in_enough_families() -> None:
    assert len(cases()) >= 120
    assert len({each.cluster for each in cases()}) >= 40
    assert max(Counter(each.cluster for each in cases()).values()) <= 4


def test_no_two_cases_are_alike_and_each_has_a_number_of_its_own() -> None:
    numbers = [re.match(r"Request (PA-26-\d{4}), received ", each.question) for each in cases()]
    assert len({each[1] for each in numbers if each}) == len(cases())
    notes = {re.sub(r"PA-26-\d{4}", "", each.question) for each in cases()}
    assert len(notes) == len(cases())


def test_each_case_rests_on_clauses_of_the_documents() -> None:
    for each in cases():
        for clause in each.reference["clauses"]:
            found = CLAUSE.fullmatch(clause)
            assert found is not None, (each.id, clause)
            assert (found["document"], found["number"] + (found["letter"] or "")) in clauses(), (each.id, clause)


def test_each_case_is_consistent_in_itself() -> None:
    known = modes()
    for each in cases():
        wanted, is_referred = each.reference, each.reference["decision"] == "refer_to_medical_director"
        assert set(each.failure_modes) <= known.keys(), each.id
        assert (wanted["decision"] == "ask_for_records") == bool(wanted["missing"]), each.id
        assert (wanted["time_limit"] == "none") == (wanted["decision"] == "not_required"), each.id
        assert wanted["needs_human"] or not is_referred, each.id
        assert is_referred or "unmet_criterion" not in each.failure_modes, each.id
        assert each.provenance["synthetic"] is True


def test_each_answer_that_is_wanted_fits_the_features_schema() -> None:
    scorer = next(each for each in plan().scorers if each.name == "schema_valid")
    for each in cases():
        score = asyncio.run(scorer.score(SOMEBODY, each, Output(text=json.dumps(each.reference))))
        assert score.value == 1, (each.id, score.reason)


def test_the_schema_that_judges_is_the_features_own() -> None:
    assert (FEATURE / "answer.json").read_bytes() == (FEATURE / "evals" / "answer.schema.json").read_bytes()


def test_the_collection_is_that_of_the_health_plan() -> None:
    here = WORKSPACE / "collections" / "plan-documents.yaml"
    there = EXAMPLES / "health-plan" / "workspace" / "collections" / "plan-documents.yaml"
    assert here.read_bytes() == there.read_bytes()


def test_the_taxonomy_is_a_tree_with_definitions_examples_and_severity() -> None:
    known = modes()
    for each in known.values():
        assert each["definition"]
        assert each["severity"] in {1, 2, 3}
        assert each.get("parent") is None or known[each["parent"]].get("parent") is None
    shown = {mode for each in cases() for mode in each.failure_modes}
    groups = {each["parent"] for each in known.values() if "parent" in each}
    assert known.keys() - shown - groups == {"unsupported_reason", "rude_or_unclear"}


def test_people_and_judge_models_are_asked_by_one_rubric() -> None:
    guide = (FOLDER / "labelling-guide.md").read_text().split("## The verdict")[1].split("## The failure mode")[0]
    rubric = read_judges(judging())["reviewer"]
    assert list(rubric.criteria) == re.findall(r"^\| `(\w+)` \|", guide, re.MULTILINE)
    assert {each.name for each in rubric.prompt.inputs} == {"question", "passages", "answer"}, "no reference"


def test_the_rubric_waits_in_the_suite_for_a_model_and_finds_what_it_says() -> None:
    files = judging() | {PATH: judging()[PATH].replace(b"  # reasons_true:", b"  reasons_true:")}
    models = ScriptedModels(
        lambda prompt, _: judges_answer(
            prompt,
            {
                name: "fail" if "missed by little" in between(prompt, "answer") else "pass"
                for name in read_judges(judging())["reviewer"].criteria
            },
        )
    )
    scorer = suite_reader(models)(files).scorer("reasons_true")
    assert scorer is not None
    assert scorer.is_judge
    broken = next(each for each in results("changed-clause") if "missed by little" in each.output.text)
    before = next(each for each in results("baseline") if each.example == broken.example)
    for result, value in ((before, 1.0), (broken, 0.0)):
        assert asyncio.run(scorer.score(SOMEBODY, result.example, result.output)).value == value
    assert before.example.question in between(models.prompts[0], "question")


def test_no_prompt_or_knowledge_quotes_a_case() -> None:
    for path in [*FEATURE.rglob("*.md"), *FEATURE.rglob("*.prompty"), *FOLDER.glob("variants/**/*.prompty")]:
        text = " ".join(path.read_text().split())
        assert not re.search(r"PA-26-\d", text)
        for each in cases():
            words = each.question.split()[4:]
            assert not any(" ".join(words[at : at + 9]) in text for at in range(0, len(words) - 9, 3)), each.id


@pytest.mark.parametrize("release", ["baseline", "equal", "changed-clause"])
def test_simulated_answers_are_marked_and_answer_each_case(release: str) -> None:
    assert "SIMULATED" in (folder_of(release) / "routes.yaml").read_text().split("routes:")[0]
    last = script(release)[-1]
    assert last.match is None
    assert all(rule_for(list(script(release)), each.question) is not last for each in cases())


def test_a_release_as_good_as_before_passes() -> None:
    flipped = by_mode(flips(results("baseline"), results("equal"), _task(), "block"))
    assert flipped
    judged = verdict("equal")
    assert judged.verdict == "PASS", judged.summary


def test_a_release_with_the_same_answers_passes() -> None:
    assert verdict("baseline").verdict == "PASS"


def test_a_planted_regression_is_blocked_and_named_by_its_failure_mode() -> None:
    judged = verdict("changed-clause")
    assert judged.verdict == "FAIL"
    lines = [
        each for each in judged.lines if each.verdict == "FAIL" and each.metric == "decision_right · unmet_criterion"
    ]
    assert lines
    broken = by_mode(flips(results("baseline"), results("changed-clause"), _task(), "block"))
    assert next(iter(broken)) == EXPECTED_WORST
    assert broken[EXPECTED_WORST][0] >= 40


def test_the_regression_changes_one_clause_of_the_prompt_and_nothing_else() -> None:
    before = (WORKSPACE / PROMPT).read_text().splitlines()
    after = (folder_of("changed-clause") / PROMPT).read_text().splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == 1
    assert changed[0][0].startswith("4. If a criterion is not met, answer refer_to_medical_director")


def test_fewer_families_than_the_gate_needs_are_inconclusive_and_it_says_how_many_more() -> None:
    few = tuple(each for each in results("equal") if each.example.cluster in set(_families()[:30]))
    base = tuple(each for each in results("baseline") if each.example.cluster in set(_families()[:30]))
    metrics = {each.name: Metric(each.name, each.scale, each.is_better_high, each.is_judge) for each in plan().scorers}
    judged = judge(read_gate_of(judging()), Case(few, base, metrics, len(few), 0.05))
    assert judged.verdict == "INCONCLUSIVE"
    assert judged.needed


def test_the_readme_states_sizes_and_results_as_they_are() -> None:
    text = (FOLDER / "README.md").read_text()
    size = len(cases()) / len(set(_families()))
    for share, printed in ((0.031, 133), (0.05, 171), (0.08, 234), (0.10, 278)):
        assert needed_examples(share, Goal(0.05), 1.0, size) == printed
        assert f"| {printed} |" in text
    assert f"{len(cases())} cases in {len(set(_families()))} families" in text
    assert f"| baseline | {right('baseline')} of {len(cases())} |" in text
    assert f"| `equal` | {right('equal')} of {len(cases())}," in text
    assert f"| `changed-clause` | {right('changed-clause')} of {len(cases())} |" in text


def _families() -> list[str]:
    return sorted({each.cluster for each in cases() if each.cluster})


def _task() -> Metric:
    return Metric("task_success", "binary")
