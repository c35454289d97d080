from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MESSAGES = json.dumps([{"role": "system", "content": "Be brief."}])


def test_another_tools_prompt_becomes_a_file_and_its_losses_are_told(cli: Any, tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    file.write_text(MESSAGES)
    done = cli("prompts", "import", str(file), "--from", "openai", "--out", str(tmp_path / "out"))
    written = tmp_path / "out" / "chat.prompty"
    assert done.stdout == f"wrote {written}\n"
    assert done.stderr == "lost: chat: there was no user message: the caller's question was added as one\n"
    assert "good. Inputs: question." in cli("prompts", "check", str(written)).stdout
    again = cli("prompts", "import", str(file), "--from", "openai", "--out", str(tmp_path / "out"), check=False)
    assert (again.returncode, "is there already" in again.stderr) == (1, True)


def test_as_json_the_losses_stand_beside_the_text(cli: Any, tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    file.write_text(MESSAGES)
    (one,) = cli.json("prompts", "import", str(file), "--from", "openai")
    assert one["text"].startswith('---\nname: "chat"\n')
    assert len(one["losses"]) == 1


def test_what_is_no_prompt_is_refused_with_its_line(cli: Any, tmp_path: Path) -> None:
    file = tmp_path / "a.prompty"
    file.write_text("---\ninputs:\n  question: {kind: string, from: question}\n---\nuser:\n{{ other }}\n")
    done = cli("prompts", "check", str(file), check=False)
    assert done.returncode == 1
    assert f"{file}:6: the template uses `other`" in done.stderr
    file.write_bytes(b"\xff")
    assert "not UTF-8. Save the file as UTF-8." in cli("prompts", "check", str(file), check=False).stderr
    done = cli("prompts", "import", str(file), "--from", "word", check=False)
    assert done.returncode == 1
