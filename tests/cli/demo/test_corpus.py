from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.app import surroundings
from headworks.cli.demo.corpus import generated, shipped, shipped_folder
from headworks.cli.folders import readable_paths
from headworks.errors import InvalidRequest, NotFound, StartupRefused
from headworks.releases.workspace.reading import parse_workspace


def test_the_shipped_corpus_agrees_with_its_own_workspace_and_documents() -> None:
    corpus = shipped(shipped_folder())
    workspace = parse_workspace(corpus.workspace, surroundings(()))
    (feature,) = [each for each in workspace.features if each.name == corpus.feature]
    assert feature.retrieval is not None
    assert feature.retrieval.collection == corpus.collection
    (collection,) = [each for each in workspace.collections if each.name == corpus.collection]
    assert corpus.restricted.group in {name for _, names in collection.documents for name in names}
    assert corpus.restricted.document in readable_paths(corpus.documents)
    assert len(readable_paths(corpus.documents)) >= 15
    assert len(corpus.questions) == 3
    assert corpus.restricted.question


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("title = 1\n", r"demo\.toml: Expected `str`, got `int`"),
        ("title = 'x'\n", "missing required field"),
        ("titel = 'x'\n", "unknown field `titel`"),
        ("=", "demo.toml: "),
    ],
)
def test_a_broken_description_is_said(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "demo.toml").write_text(content)
    with pytest.raises(StartupRefused, match=message):
        shipped(tmp_path)


PATHS = st.text(
    alphabet=st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="/\x85"),
    min_size=1,
    max_size=20,
).filter(lambda name: name.strip() == name and name not in {".", ".."})


@given(PATHS, PATHS)
def test_a_generated_workspace_restricts_exactly_the_last_document(folder: str, name: str) -> None:
    corpus = generated(Path("/tmp") / folder, ["a.md", f"sub/{name}"], [], None)  # noqa: S108 -- never touched
    workspace = parse_workspace(corpus.workspace, surroundings(()))
    (collection,) = workspace.collections
    assert collection.name == corpus.collection
    assert collection.documents == ((f"sub/{name}", (corpus.restricted.group,)),)
    assert collection.readers == ("everyone",)
    assert [each.name for each in workspace.features] == [corpus.feature]


def test_the_restricted_document_may_be_named_inside_or_from_here(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("a.md", "sub/b.md", "z.md"):
        (tmp_path / name).write_text("x")
    paths = readable_paths(tmp_path)
    assert generated(tmp_path, paths, [], None).restricted.document == "z.md"
    assert generated(tmp_path, paths, [], Path("sub/b.md")).restricted.document == "sub/b.md"
    assert generated(tmp_path, paths, [], tmp_path / "a.md").restricted.document == "a.md"
    with pytest.raises(NotFound, match=r"none.md is no document in .* Name one of them, like z.md"):
        generated(tmp_path, paths, [], Path("none.md"))
    (tmp_path / "picture.png").write_text("x")
    with pytest.raises(NotFound, match="picture.png is no document"):
        generated(tmp_path, paths, [], Path("picture.png"))


@pytest.mark.parametrize(("paths", "message"), [([], "holds no documents"), (["a.md"], "holds 1 document that")])
def test_one_document_is_too_few(tmp_path: Path, paths: list[str], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        generated(tmp_path, paths, [], None)


def test_questions_that_are_given_are_asked(tmp_path: Path) -> None:
    assert generated(tmp_path, ["a.md", "b.md"], ["Why?"], None).questions == ("Why?",)
