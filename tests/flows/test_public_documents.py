"""A real standard and one file of each format, ingested by the command and asked about: every citation is looked up."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from running_server import FEATURE, PROMPT, READERS, Server, eventually

DATA = Path(os.environ.get("HEADWORKS_TEST_DATA", "../shared/data")).resolve() / "documents"
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not there; HEADWORKS_TEST_DATA names the test data"),
]

QUESTIONS = {
    "At least how many characters must user set passwords have?": (
        "0x15-V6-Authentication.md", "user set passwords are at least 8 characters in length"
    ),
    "Are passwords of 64 characters permitted?": (
        "0x15-V6-Authentication.md", "passwords of at least 64 characters are permitted"
    ),
    "Which password hints or secret questions are allowed?": (
        "0x15-V6-Authentication.md", 'knowledge-based authentication (so-called "secret questions") are not present'
    ),
    "How many bits of entropy must reference tokens of a session possess?": (
        "0x16-V7-Session-Management.md", "possess at least 128 bits of entropy"
    ),
    "What is the maximum lifetime of an authorization code?": (
        "0x19-V10-OAuth-and-OIDC.md", "maximum lifetime can be up to 10 minutes"
    ),
    "How long is the challenge nonce?": ("0x15-V6-Authentication.md", "the challenge nonce is at least 64 bits"),
}  # fmt: skip
"""Question, the chapter that answers it, and how."""
NO_TEXT = {"jpg.jpg", "png.png"}
SHOWN = re.compile(r"“(.*?)” \[\d+\]", re.DOTALL)


@dataclass
class Scene:
    server: Server
    asvs: dict[str, Any]
    formats: dict[str, Any]
    """What `ingest --json` has said of each folder."""


@pytest.fixture(scope="module")
def scene(server: Server) -> Scene:
    tenant = server.as_tenant("public-documents")
    files = {"routes.yaml": "routes:\n  default: {targets: [builtin/extractive]}\n"}
    for name in ("asvs", "formats"):
        files[f"collections/{name}.yaml"] = READERS
        files[f"features/on-{name}/feature.yaml"] = FEATURE.replace("docs", name)
        files[f"features/on-{name}/prompts/answer.prompty"] = PROMPT
    tenant.apply(files)
    ingested = [tenant.cli("ingest", name, str(DATA / name), "--json", check=False) for name in ("asvs", "formats")]
    by_both = {"collection": "asvs", "query": "nonce", "k": 1}
    eventually(lambda: not tenant.must("POST", "/api/search", by_both)["notice"], limit_s=180)
    return Scene(tenant, *(json.loads(done.stdout) for done in ingested))


def asked(scene: Scene, feature: str, question: str) -> dict[str, Any]:
    return dict(json.loads(scene.server.cli("ask", feature, question, "--json").stdout))


def documents(scene: Scene, collection: str, query: str, k: int = 100) -> list[dict[str, Any]]:
    found = scene.server.must("POST", "/api/search", {"collection": collection, "query": query, "k": k})
    return list(found["rows"])


def by_keywords(scene: Scene, collection: str, query: str) -> set[str]:
    """The documents that a query finds whether or not a busy machine embeds it in time."""
    asked = {"collection": collection, "query": query, "k": 100, "ranking": "keywords"}
    return {row["document"] for row in scene.server.must("POST", "/api/search", asked)["rows"]}


def test_the_whole_standard_is_in(scene: Scene) -> None:
    assert scene.asvs["failed"] == []
    assert scene.asvs["documents"] == len(list((DATA / "asvs").iterdir()))
    assert scene.asvs["chunks"] > 500


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_is_answered_from_its_chapter_with_citations_that_verify(scene: Scene, question: str) -> None:
    path, words = QUESTIONS[question]
    answer = asked(scene, "on-asvs", question)
    assert answer["answer"].startswith("Closest passages:")
    assert words in answer["answer"]
    stored = {
        each["document"]: scene.server.must("GET", f"/api/documents/{each['document']}") for each in answer["citations"]
    }
    for each in answer["citations"]:
        found = stored[each["document"]]
        assert found["text"][each["start"] : each["end"]] == each["quote"]
        assert found["title"] == each["title"]
        assert each["quote"] in answer["answer"]
    said = [each for each in answer["citations"] if words in each["quote"]]
    assert said, "it is this sentence that is quoted"
    assert {stored[each["document"]]["path"] for each in said} <= {path, "asvs-5.0.0.docx"}
    file = (DATA / "asvs" / path).read_text()
    assert words in file


def questions_at_random(number: int) -> Iterator[str]:
    """Words out of the standard itself, the same ones each time."""
    chooser = random.Random(20261122)  # noqa: S311 -- no secret
    lines = [line for file in sorted((DATA / "asvs").glob("*.md")) for line in file.read_text().splitlines()]
    rich = [words for line in lines if len(words := re.findall(r"[A-Za-z]{3,}", line)) > 12]
    for words in chooser.sample(rich, number):
        start = chooser.randrange(len(words) - 8)
        yield " ".join(words[start : start + 8])


def test_every_sentence_that_is_shown_is_the_one_that_is_cited(scene: Scene) -> None:
    texts: dict[str, str] = {}
    shown = 0
    for question in questions_at_random(40):
        status, answer, _ = scene.server.ask("on-asvs", question)
        assert status == 200
        message = answer["choices"][0]["message"]
        sentences = SHOWN.findall(message["content"])
        assert len(sentences) == len(message["annotations"]) > 0, question
        for sentence, annotation in zip(sentences, message["annotations"], strict=True):
            cited, place = annotation["headworks"], annotation["url_citation"]
            document = cited["document"]
            if document not in texts:
                texts[document] = scene.server.must("GET", f"/api/documents/{document}")["text"]
            assert texts[document][cited["start"] : cited["end"]] == cited["quote"]
            assert hashlib.sha256(cited["quote"].encode()).hexdigest() == cited["sha256"]
            assert re.fullmatch(r"\[\d+\]", message["content"][place["start_index"] : place["end_index"]])
            assert sentence in cited["quote"] or cited["quote"] in sentence
            shown += 1
    assert shown >= 60


def test_each_format_is_searchable_or_has_a_named_failure(scene: Scene) -> None:
    files = {each.name for each in (DATA / "formats").iterdir()}
    failed = {each["path"]: each for each in scene.formats["failed"]}
    assert failed.keys() == NO_TEXT
    for each in failed.values():
        assert each["code"] in {"unsupported", "needs_ocr"}
        assert "OCR" in each["message"]
    assert scene.formats["documents"] == len(files) - len(failed)
    words = "the and of to a in for is with data information name text"
    found = {row["path"] for row in documents(scene, "formats", words)}
    assert found == files - failed.keys()


def test_a_quote_of_each_format_stands_in_its_stored_text(scene: Scene) -> None:
    words = "the and of to a in for is with data information name text"
    for row in {row["path"]: row for row in documents(scene, "formats", words)}.values():
        stored = scene.server.must("GET", f"/api/documents/{row['document']}")
        assert stored["text"][row["start"] : row["end"]] == row["text"] != ""


def test_ingesting_the_same_folder_again_sends_nothing(scene: Scene) -> None:
    before = by_keywords(scene, "asvs", "authentication")
    done = scene.server.cli("ingest", "asvs", str(DATA / "asvs"))
    assert f"0 sent, {scene.asvs['documents']} unchanged, 0 failed" in done.stdout
    assert by_keywords(scene, "asvs", "authentication") == before
