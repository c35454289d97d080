"""`search` of a collection's file, synonyms beside it, and what a feature says of its documents and their ranking."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import WorkspaceInvalid
from headworks.releases.workspace.retrieval_files import read_retrieval
from headworks.releases.workspace.search_files import check_search_models, read_search, read_synonyms
from headworks.strict_yaml import read_yaml
from headworks.types.features import InputSpec, RetrievalSettings
from headworks.types.filter_reading import read_filter
from headworks.types.search import Decay, Reranking, Rewriting, SearchTuning, Synonyms
from headworks.types.workspace import ChunkingSpec, CollectionSpec

INPUTS = (
    InputSpec("team", "string", is_required=True),
    InputSpec("year", "integer", default=2024),
    InputSpec("maybe", "string"),
    InputSpec("question", "string", source="question"),
)


def search(text: str, synonyms: str | None = None) -> SearchTuning:
    files = {} if synonyms is None else {"collections/docs.synonyms.txt": synonyms.encode()}
    return read_search(read_yaml("collections/docs.yaml", text), "docs", files)


def retrieval(text: str) -> RetrievalSettings | None:
    return read_retrieval(read_yaml("features/a/feature.yaml", text).section("retrieval"), INPUTS)


def test_what_is_not_said_is_as_usual_and_everything_can_be_said() -> None:
    assert search("readers: []\n") == search("search: {}\n") == SearchTuning()
    said = (
        "search:\n  keyword_weight: 0.7\n  decay: {field: published, half_life_days: 90}\n"
        "  per_document: 2\n  mmr: 0.8\n"
        "  rewrite: {model: small, queries: 3}\n  rerank: {model: cohere/rerank-v3.5}\n"
    )
    assert search(said, "a, b\n") == SearchTuning(
        0.7, Decay(90, "published"), 2, 0.8, (Synonyms("a", ("b",)), Synonyms("b", ("a",))),
        Rewriting("small", queries=3), Reranking("cohere/rerank-v3.5"),
    )  # fmt: skip
    assert search("search: {synonyms: false}\n", "a, b\n").synonyms == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("search:\n  keyword_wait: 1\n", "docs.yaml:2: unknown key `keyword_wait`. Did you mean `keyword_weight`?"),
        ("search:\n  decay:\n    half_life: 3\n", "docs.yaml:3: unknown key `decay.half_life`. Did you mean"),
        ("a: 1\nsearch:\n  mmr: 7\n", "docs.yaml:3: `mmr` is 7; it must lie between 0 and 1."),
        ("search: 3\n", "docs.yaml:1: `search` must be a mapping of keys."),
        ("search:\n  rerank: true\n", "docs.yaml:2: `rerank`: the collection's file names no model for it."),
    ],
)
def test_what_can_not_be_is_said_with_its_line(text: str, said: str) -> None:
    with pytest.raises(WorkspaceInvalid) as caught:
        search(text)
    assert said in str(caught.value)


def test_synonyms_stand_for_each_other_or_one_for_others() -> None:
    text = "# Fleet\ncar, automobile , motor   car\n\nPTO => paid time off, leave  # people\n"
    assert tuple(read_synonyms("x", text.encode())) == (
        Synonyms("car", ("automobile", "motor car")),
        Synonyms("automobile", ("car", "motor car")),
        Synonyms("motor car", ("car", "automobile")),
        Synonyms("PTO", ("paid time off", "leave")),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\n", "x:1: a line needs at least two words."),
        ("a,b\nc,,d", "x:2: there is nothing between two commas."),
        ("=> b", "x:1: there is nothing between"),
        ("a => ", "x:1: there is nothing between"),
        (", ".join(map(str, range(60))), "x:1: at most 50 words"),
        ("\n".join(f"a{n}, b{n}" for n in range(1001)), "x:1001: more than 2,000 rules."),
    ],
)
def test_a_line_that_says_nothing_is_named(text: str, said: str) -> None:
    with pytest.raises(WorkspaceInvalid) as caught:
        tuple(read_synonyms("x", text.encode()))
    assert said in str(caught.value)


@given(st.text(max_size=200))
def test_any_text_is_synonyms_or_a_refusal_with_its_line(text: str) -> None:
    try:
        assert all(rule.others for rule in read_synonyms("x", text.encode(errors="replace")))
    except WorkspaceInvalid as error:
        said = str(error)
    else:
        said = "x:"
    assert said.startswith("x:")


def test_models_that_are_not_there_are_named() -> None:
    def check(said: str) -> None:
        usual = CollectionSpec("docs", "", (), (), ChunkingSpec(), "builtin/minilm", "docs.yaml:1")
        spec = replace(usual, search=search(said))
        check_search_models([spec], [], ["small"], ["cohere"])

    check("search: {rerank: {model: cohere/x}, rewrite: {model: small}}")
    for model in ("smal", "coher/x"):
        with pytest.raises(WorkspaceInvalid, match=f"`{model}`, which is no route"):
            check(f"search: {{rerank: {{model: {model}}}}}")


def test_a_feature_says_which_documents_and_how_they_are_ranked() -> None:
    found = retrieval(
        "retrieval:\n  collection: docs\n  filter: team = $team and year >= $year\n  search: {mmr: 0.5, rerank: true}\n"
    )
    only = read_filter("team = $team and year >= $year", may_name_inputs=True)
    assert found == RetrievalSettings("docs", 6, only, {"mmr": 0.5, "rerank": True})
    tree = "{type: in, key: team, value: [{input: team}, other]}"
    found = retrieval(f"retrieval:\n  collection: docs\n  filter: {tree}\n")
    assert found is not None
    assert str(found.filter) == 'team in [$team, "other"]'


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("filter: team = $maybe", "feature.yaml:3: the filter compares with `$maybe`"),
        ("filter: team = $question", "compares with `$question`"),
        ("filter: team >", "feature.yaml:3: the filter can't be used: `filter, column 7`"),
        ("filter: {type: eq, key: team}", "has no `value`"),
        ("search: {mmr: 3}", "feature.yaml:3: `mmr` is 3"),
        ("search: {mnr: 0.3}", "Did you mean `mmr`?"),
        ("rerank: true", "unknown key `retrieval.rerank`"),
    ],
)
def test_what_a_feature_can_not_ask_for_is_said_with_its_line(line: str, said: str) -> None:
    with pytest.raises(WorkspaceInvalid) as caught:
        retrieval(f"retrieval:\n  collection: docs\n  {line}\n")
    assert said in str(caught.value)
