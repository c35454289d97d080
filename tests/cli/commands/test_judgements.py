from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def test_answers_are_drawn_judged_blind_decided_and_told_of_all(cli: Any, tmp_path: Path) -> None:
    metric = cli.name("quality")
    asker = cli.server.key_of(cli.name("asker"))  # reads what everyone may; an administrator, more than the raters
    traces = [cli.json("ask", "assistant", f"Within how many days? ({at})", key=asker)["trace"] for at in range(3)]
    for trace in traces:
        cli.json("trace", "show", trace)
    drawn = cli.json("judgements", "sample", "assistant", "--metric", metric, "--budget", "100000", "--seed", "7")
    assert drawn["population"] == drawn["drawn"] == drawn["asked"] >= 3
    assert drawn["chance"] == 1.0
    wanted = cli.json("judgements", "wanted", "--metric", metric)
    subjects = {row["subject"] for row in wanted}
    assert {f"trace:{trace}" for trace in traces} <= subjects
    assert "Drawn from the traffic" in cli("judgements", "wanted", "--metric", metric).stdout

    rita, omar = (cli.server.key_of(cli.name("rater"), roles=["reviewer"]) for _ in range(2))
    first = f"trace:{traces[0]}"  # what others rest on may be gone: then nobody reads what is written of them
    cli("judgements", "add", first, "fail", "--metric", metric, "--critique", "too vague", key=rita)
    said = cli("judgements", "list", "--metric", metric, key=omar)
    assert "too vague" not in said.stdout
    assert "1 more are of answers that you have not judged yet" in said.stderr
    cli("judgements", "add", first, "pass", "--metric", metric, key=omar)
    assert "too vague" in cli("judgements", "list", "--metric", metric, key=omar).stdout
    assert f"disputed: {first}" in cli("judgements", "agreement", "--metric", metric, key=omar).stdout
    assert first not in {row["subject"] for row in cli.json("judgements", "wanted", "--metric", metric, key=omar)}

    shown = cli("judgements", "show", first, "--metric", metric).stdout.partition("Passages (* cited)")[2]
    assert "[1]" in shown
    assert "can't be read" not in shown
    read = cli.json("judgements", "show", first, "--metric", metric)["passages"]
    assert read
    stored = {each["document"]: cli.server.must("GET", f"/api/documents/{each['document']}") for each in read}
    for each in read:
        document = stored[each["document"]]
        assert (each["title"], each["path"]) == (document["title"], document["path"])
        assert each["text"] == document["text"][each["start"] : each["end"]] != ""
        assert f"{each['path']}, characters {each['start']:,} to {each['end']:,}" in shown
        assert f"    {each['text'].splitlines()[0]}" in shown

    refused = cli("judgements", "add", first, "fail", "--metric", metric, "--adjudicate", key=omar, check=False)
    assert refused.returncode == 1
    assert "judgement:adjudicate" in refused.stderr
    cli("judgements", "add", first, "fail", "--metric", metric, "--adjudicate")
    assert "fail (decided)" in cli("judgements", "list", "--subject", first, "--metric", metric).stdout

    for subject in sorted(subjects - {first}):
        cli("judgements", "add", subject, "pass", "--metric", metric, key=rita)
    found = cli.json("judgements", "estimate", drawn["id"])
    assert found["reviewed"] == found["drawn"]
    assert abs(found["share"] - (1 - 1 / found["drawn"])) < 1e-9
    assert found["low"] <= found["share"] <= found["high"]
    assert "pass (" in cli("judgements", "estimate", drawn["id"]).stdout


def test_what_is_exported_is_imported_elsewhere_under_other_names(cli: Any, tmp_path: Path) -> None:
    metric, file = cli.name("quality"), tmp_path / "judgements.jsonl"
    cli("judgements", "add", "case:1", "fail", "--metric", metric, "--severity", "2", "--criterion", "cites=fail")
    cli("judgements", "export", str(file), "--metric", metric)
    (line,) = file.read_text().splitlines()
    said = json.loads(line)
    assert (said["verdict"], said["severity"], said["criteria"]) == ("fail", 2, {"cites": "fail"})
    assert cli("judgements", "export", str(file), check=False).returncode == 1
    said["rater"], said["metric"] = "ann", f"{metric}-2"
    file.write_text(json.dumps(said) + "\n")
    assert "1 judgement read, 1 new or changed." in cli("judgements", "import", str(file)).stdout
    assert "1 judgement read, 0 new or changed." in cli("judgements", "import", str(file)).stdout
    (row,) = cli.json("judgements", "list", "--metric", f"{metric}-2")["rows"]
    assert row["rater"] == "import:ann"


def test_a_line_that_is_wrong_is_named(cli: Any, tmp_path: Path) -> None:
    file = tmp_path / "judgements.jsonl"
    file.write_text('{"rater": "ann", "subject": "a", "metric": "m", "verdct": "pass"}\n')
    done = cli("judgements", "import", str(file), check=False)
    assert done.returncode == 1
    assert f"{file}:1: `verdct` is unknown. Did you mean `verdict`" in done.stderr
    file.write_text('{"rater": "ann", "subject": "a", "metric": "m", "verdict": "good"}\n')
    assert "verdict" in cli("judgements", "import", str(file), check=False).stderr
    file.write_text("[{}]")
    done = cli("judgements", "import", "--from", "pandalm", str(file), check=False)
    assert "not a test set of PandaLM" in done.stderr
