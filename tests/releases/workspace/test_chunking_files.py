"""`chunking` in a collection's file: what is read, and what is said about what can't be."""

from __future__ import annotations

import pytest

from headworks.errors import WorkspaceInvalid
from headworks.releases.workspace.chunking_files import check_context_models, read_chunking
from headworks.strict_yaml import read_yaml
from headworks.types.workspace import ChunkingSpec, CollectionSpec


def read(text: str) -> ChunkingSpec:
    return read_chunking(read_yaml("collections/a.yaml", text))


def test_what_is_not_said_is_as_usual() -> None:
    assert read("readers: [everyone]\n") == read("chunking: {}\n") == ChunkingSpec()
    assert ChunkingSpec().of_index() == {"tokens": 200, "overlap": 1}
    assert ChunkingSpec().of_passages() == {}


def test_everything_can_be_said() -> None:
    spec = read(
        "chunking:\n  tokens: 120\n  overlap: 2\n  tables: whole\n  contextual_headers: false\n  language: de\n"
        "  context: {model: writer}\n  parent_tokens: 800\n  passages_tokens: 4000\n"
    )
    assert spec == ChunkingSpec(
        tokens=120, overlap=2, has_whole_tables=True, has_headers=False, language="de", context_model="writer",
        parent_tokens=800, passages_tokens=4000,
    )  # fmt: skip
    assert spec.of_index() == {
        "tokens": 120, "overlap": 2, "tables": "whole", "headers": False, "language": "de", "context": "writer",
    }  # fmt: skip
    assert spec.of_passages() == {"parent_tokens": 800, "neighbours": 0, "passages_tokens": 4000}


def test_what_is_shown_around_a_chunk_makes_no_index_anew() -> None:
    assert read("chunking: {neighbours: 2}\n").of_index() == ChunkingSpec().of_index()


def test_a_model_that_writes_context_gets_room_for_it() -> None:
    assert read("chunking: {context: {model: writer}}\n").tokens == 150


@pytest.mark.parametrize(
    ("block", "complaint"),
    [
        ("{tokens: 20}", "`chunking.tokens` is 20; it must lie between 40 and 240"),
        ("{tokens: 200, context: {model: m}}", "it must lie between 40 and 160"),
        ("{neighbours: 4}", "it must lie between 0 and 3"),
        ("{neighbours: 1, parent_tokens: 400}", "two ways to show more"),
        ("{parent_tokens: 100}", "at least as many tokens as a chunk"),
        ("{parent_tokens: 10}", "must be 0, or at least 40"),
        ("{tables: all}", "`chunking.tables` is 'all'"),
        ("{language: english}", "`chunking.language` is 'english'"),
        ("{language: xx}", "`chunking.language` is 'xx'"),
        ("{contextual_headers: 1}", "must be true or false"),
        ("{context: {}}", "`chunking.context.model` is missing"),
        ("{context: {model: m, prompt: x}}", "unknown key `chunking.context.prompt`"),
        ("{parents: 400}", "unknown key `chunking.parents`"),
        ("[1]", "`chunking` must be a mapping"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(block: str, complaint: str) -> None:
    with pytest.raises(WorkspaceInvalid) as raised:
        read(f"readers: [everyone]\nchunking: {block}\n")
    assert raised.value.message.startswith("collections/a.yaml:2: ")
    assert complaint in raised.value.message


@pytest.mark.parametrize("model", ["writer", "openai/gpt-4o-mini", ""])
def test_context_is_written_by_a_route_or_by_a_providers_model(model: str) -> None:
    check_context_models([_with(model)], {"writer"}, {"openai"})


@pytest.mark.parametrize(("model", "near"), [("writers", "writer"), ("opnai/gpt-4o-mini", "openai")])
def test_a_model_that_is_not_there_is_named_with_its_neighbours(model: str, near: str) -> None:
    with pytest.raises(WorkspaceInvalid) as raised:
        check_context_models([_with(model)], {"writer"}, {"openai"})
    assert f"names `{model}`" in raised.value.message
    assert f"`{near}`" in raised.value.next_step


def _with(model: str) -> CollectionSpec:
    return CollectionSpec("a", "", (), (), ChunkingSpec(context_model=model), "builtin/minilm", "collections/a.yaml:1")
