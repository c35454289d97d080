"""A feature that reads only some documents: by what is known of them, and by an input of each request."""

from __future__ import annotations

import pytest
from running_server import FEATURE, PROMPT, Server

DECLARED = "inputs:\n  team: {kind: string, required: true}\n"
ONLY = "  filter: team = $team and year >= 2024\n  search: {per_document: 1, synonyms: true}\n"
DOCUMENTS = {"claims-2024.md": ("claims", 2024), "claims-2001.md": ("claims", 2001), "care-2024.md": ("care", 2024)}


@pytest.fixture(scope="module")
def shelf(server: Server) -> Server:
    own = server.as_tenant("filtered")
    feature = FEATURE.replace("retrieval: {collection: docs, k: 5}\n", f"retrieval:\n  collection: docs\n{ONLY}")
    assert ONLY in feature
    assert "inputs:\n" in PROMPT
    own.apply(
        {
            "routes.yaml": "routes:\n  default: {targets: [builtin/extractive]}\n",
            "collections/docs.yaml": "readers: [everyone]\nsearch: {decay: {field: seen, half_life_days: 900}}\n",
            "collections/docs.synonyms.txt": "heron => egret\n",
            "features/assistant/feature.yaml": feature,
            "features/assistant/prompts/answer.prompty": PROMPT.replace("inputs:\n", DECLARED),
        }
    )
    for path, (team, year) in DOCUMENTS.items():
        front = f"---\nteam: {team}\nyear: {year}\n---\n"
        own.hand_in("docs", path, f"{front}# Egret\n\nThe egret of {team} {year} is white.\n")
    assert own.worked_on("docs")["failed"] == []
    return own


def test_a_feature_reads_only_what_passes_its_filter_with_the_inputs_of_the_request(shelf: Server) -> None:
    for team in ("claims", "care"):
        status, answer, _ = shelf.ask("assistant", "What colour is the heron?", inputs={"team": team})
        assert status == 200, answer
        said = answer["choices"][0]["message"]["content"]
        assert f"{team} 2024" in said
        assert "2001" not in said
        assert ("care" in said) is (team == "care")


def test_an_input_that_is_missing_or_fits_nothing_is_refused_or_finds_nothing(shelf: Server) -> None:
    status, answer, _ = shelf.ask("assistant", "What colour is the heron?")
    assert (status, answer["error"]["param"]) == (400, "inputs.team")
    status, answer, _ = shelf.ask("assistant", "What colour is the heron?", inputs={"team": "x' or true"})
    assert status == 200
    assert "egret" not in answer["choices"][0]["message"]["content"]
