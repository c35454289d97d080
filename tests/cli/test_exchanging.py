"""`headworks eval import` and `export`, as they are typed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from headworks.cli.commands.eval import app
from headworks.errors import InvalidRequest

ROOT = Path(__file__).parents[2]
FEATURE = ROOT / "examples" / "prior-authorisation" / "workspace" / "features" / "prior-authorisation"
CONFIG = """
prompts: ["{{question}}"]
providers: [echo]
tests: [{vars: {question: a}, assert: [{type: equals, value: a}, {type: javascript, value: output}]}]
"""


def test_a_configuration_becomes_files_of_a_feature_and_goes_back(tmp_path: Path) -> None:
    config, feature = tmp_path / "promptfooconfig.yaml", tmp_path / "greeter"
    config.write_text(CONFIG)
    done = CliRunner().invoke(app, ["import", str(config), "--from", "promptfoo", "--out", str(feature)])
    assert done.exit_code == 0, done.output
    assert "lost: test 1: `javascript`: it is code and is not run" in done.stderr
    assert (feature / "evals" / "suite.yaml").exists()
    out = tmp_path / "back.yaml"
    done = CliRunner().invoke(app, ["export", str(feature), "--to", "promptfoo", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "type: equals" in out.read_text()
    again = CliRunner().invoke(app, ["import", str(config), "--from", "promptfoo", "--out", str(feature)])
    assert isinstance(again.exception, InvalidRequest)


def test_the_reference_workspaces_cases_become_samples_and_come_back(tmp_path: Path) -> None:
    out = tmp_path / "samples.jsonl"
    done = CliRunner().invoke(app, ["export", str(FEATURE), "--to", "openai-evals", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert len(out.read_text().splitlines()) == 260
    done = CliRunner().invoke(app, ["import", str(out), "--from", "openai-evals", "--out", str(tmp_path / "new")])
    assert done.exit_code == 0, done.output
    assert (
        json.loads((tmp_path / "new" / "golden" / "imported.jsonl").read_text().splitlines()[0])["id"] == "mri-roofer-1"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"eval": {}, "samples": []}', "no sample in this file"),
        ('{"eval": {}, "samples": [{"a": NaN}]}', "Sample 1 can't be an example: `id` is no name"),
        ('{"eval": {}, "samples": [{"id": 1, "input": ""}]}', "nothing is asked"),
        ('{"eval": {}, "samples": [{"id": 1, "input": "a"}, {"id": 1, "input": "b"}]}', "stands for different samples"),
        ('{"eval": {}, "samples": [{"id": 1, "input": "a", "target": NaN}]}', "sample `1` holds NaN"),
    ],
)
def test_a_log_whose_samples_are_no_examples_is_refused_and_writes_nothing(
    tmp_path: Path, text: str, said: str
) -> None:
    file, out = tmp_path / "log.json", tmp_path / "feature"
    file.write_text(text)
    done = CliRunner().invoke(app, ["import", str(file), "--from", "inspect", "--out", str(out)])
    assert isinstance(done.exception, InvalidRequest)
    assert re.search(said, str(done.exception))
    assert not out.exists()


def test_a_sample_that_no_dataset_holds_is_named(tmp_path: Path) -> None:
    file = tmp_path / "samples.jsonl"
    file.write_text('{"input": "a", "ideal": "b"}\n{"input": "c", "ideal": NaN}\n')
    done = CliRunner().invoke(app, ["import", str(file), "--from", "openai-evals", "--out", str(tmp_path / "out")])
    assert "Sample 2 can't be an example: NaN is no JSON" in str(done.exception)


@pytest.mark.parametrize("words", [["import", "{file}", "--from", "excel"], ["export", "{folder}", "--to", "excel"]])
def test_an_unknown_format_is_refused(tmp_path: Path, words: list[str]) -> None:
    file = tmp_path / "a.txt"
    file.write_text("x")
    given = [each.format(file=file, folder=FEATURE) for each in words]
    done = CliRunner().invoke(app, [*given, "--out", str(tmp_path / "out")])
    assert isinstance(done.exception, InvalidRequest)
