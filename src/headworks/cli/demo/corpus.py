"""What a demo is told with: documents, a workspace over them, questions, and one document that only some may read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import headworks
from headworks.app import surroundings
from headworks.cli.starting import workspace_files
from headworks.config import RetrievalServerSettings
from headworks.errors import InvalidRequest, NotFound, StartupRefused
from headworks.releases.files import read_folder
from headworks.releases.reading import Section, read_yaml
from headworks.releases.workspace import parse_workspace
from headworks.retrieval.parsers.catalog import is_supported
from headworks.retrieval.sources.folder import FolderEntry, walk

_SHIPPED = "demo_corpus"
_IN_CHECKOUT = Path("examples", "health-plan")


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and where it comes from (empty: somebody wrote it)."""

    text: str
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Restricted:
    """A document that only a group may read; `questions` are candidates, the best of which is asked by both people."""

    document: str
    questions: tuple[Question, ...]
    group: str
    member: str
    other: str


@dataclass(frozen=True, slots=True)
class Corpus:
    """All that a demo needs to know. `feature` answers from `collection`; `workspace` are files by path."""

    title: str
    documents: Path
    workspace: Mapping[str, bytes]
    feature: str
    collection: str
    questions: tuple[Question, ...]
    restricted: Restricted
    notes: tuple[str, ...] = field(default=())


def shipped_folder() -> Path:
    """Where the demo's own documents lie: in the package, or in the checkout that it is installed from."""
    packaged = Path(str(files("headworks.cli") / _SHIPPED))
    checkout = Path(headworks.__file__).resolve().parents[2] / _IN_CHECKOUT
    for folder in (packaged, checkout):
        if (folder / "demo.yaml").is_file():
            return folder
    raise StartupRefused(
        "The demo's documents are not installed.", next_step="Give a folder of your own with --documents DIR."
    )


def shipped(folder: Path) -> Corpus:
    """The corpus of a folder with `documents/`, `workspace/` and `demo.yaml`; WorkspaceInvalid names file and line."""
    path = folder / "demo.yaml"
    section = read_yaml(str(path), path.read_text(encoding="utf-8"))
    title, feature = section.text("title"), section.text("feature")
    questions = section.names("questions", None)
    restricted = _restricted(section)
    section.finish()
    workspace = read_folder(folder / "workspace")
    return Corpus(
        title=title,
        documents=folder / "documents",
        workspace=workspace,
        feature=feature,
        collection=collection_of(workspace, feature),
        questions=tuple(Question(each) for each in questions),
        restricted=restricted,
    )


def _restricted(section: Section) -> Restricted:
    inner = section.section("restricted")
    if inner is None:
        section.complain(None, "`restricted` is missing.")
    found = Restricted(
        document=inner.text("document"),
        questions=(Question(inner.text("question")),),
        group=inner.text("group"),
        member=inner.text("member"),
        other=inner.text("other"),
    )
    inner.finish()
    return found


def collection_of(workspace: Mapping[str, bytes], feature: str) -> str:
    """The collection that a feature of these files answers from."""
    parsed = parse_workspace(workspace, surroundings(()))
    for each in parsed.features:
        if each.name == feature and each.retrieval is not None:
            return each.retrieval.collection
    raise NotFound(f"The workspace has no feature `{feature}` that answers from a collection.")


def generated(folder: Path, paths: Sequence[str], questions: Sequence[Question], restricted: Restricted) -> Corpus:
    """A corpus over a user's own folder: the workspace that `headworks init` writes, with readers for this demo."""
    workspace = dict(workspace_files())
    feature, collection = "assistant", "documents"
    workspace[f"collections/{collection}.yaml"] = _collection_file(folder.name, restricted).encode()
    return Corpus(
        title=f"your folder {folder}, {len(paths)} documents",
        documents=folder,
        workspace=workspace,
        feature=feature,
        collection=collection,
        questions=tuple(questions),
        restricted=restricted,
    )


def _collection_file(name: str, restricted: Restricted) -> str:
    """YAML; each text in it is a JSON string, which YAML reads as it is meant."""
    return "\n".join(
        (
            f"description: {json.dumps(f'The folder {name}.')}",
            "readers: [everyone]",
            "documents:",
            f"  - match: {json.dumps(restricted.document)}",
            f"    readers: [{json.dumps(restricted.group)}]",
            "embedding: builtin/minilm",
            "",
        )
    )


def readable_paths(folder: Path) -> list[str]:
    """The documents of a folder that can be read, as far as their names tell, by their path inside it."""
    limit = RetrievalServerSettings().max_file_mb << 20
    entries = [entry for entry in walk(folder, max_bytes=limit) if isinstance(entry, FolderEntry)]
    return [entry.path for entry in entries if is_supported(entry.path)]


def restricted_path(folder: Path, paths: Sequence[str], wanted: Path | None) -> str:
    """The path, inside the folder, of the document to restrict: the wanted one, else the last."""
    if len(paths) < 2:
        raise InvalidRequest(
            f"{folder} holds {len(paths) or 'no'} document{'' if len(paths) == 1 else 's'} that can be read.",
            next_step="The demo needs two: one for everybody, and one that is restricted.",
        )
    if wanted is None:
        return paths[-1]
    for candidate in (wanted, folder / wanted):
        if candidate.exists() and candidate.resolve().is_relative_to(folder.resolve()):
            path = candidate.resolve().relative_to(folder.resolve()).as_posix()
            if path in paths:
                return path
    raise NotFound(f"{wanted} is no document in {folder}.", next_step=f"Name one of them, like {paths[-1]}.")
