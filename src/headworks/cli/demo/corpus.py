"""What a demo is told with: documents, a workspace over them, questions, and one document that only some may read."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import msgspec

import headworks
from headworks.cli.folders import read_folder
from headworks.cli.starting import workspace_files
from headworks.errors import InvalidRequest, NotFound, StartupRefused

_SHIPPED = "demo_corpus"
_IN_CHECKOUT = Path("examples", "health-plan")
_FEATURE, _COLLECTION = "assistant", "documents"
_GROUP, _MEMBER, _OTHER = "insiders", "ines", "tom"


@dataclass(frozen=True, slots=True)
class Restricted:
    """A document that only a group may read, and two people: a member and another. An empty question: find one."""

    document: str
    group: str
    member: str
    other: str
    question: str = ""


@dataclass(frozen=True, slots=True)
class Corpus:
    """All that a demo needs to know: `feature` answers from `collection`. No questions: headings are asked instead."""

    title: str
    documents: Path
    workspace: Mapping[str, bytes]
    feature: str
    collection: str
    questions: tuple[str, ...]
    restricted: Restricted


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """`demo.toml`."""

    title: str
    feature: str
    collection: str
    questions: tuple[str, ...]
    restricted: Restricted


def shipped_folder() -> Path:
    """Where the demo's own documents lie: in the package, or in the checkout that it is installed from."""
    packaged = Path(str(files("headworks.cli") / _SHIPPED))
    checkout = Path(headworks.__file__).resolve().parents[2] / _IN_CHECKOUT
    for folder in (packaged, checkout):
        if (folder / "demo.toml").is_file():
            return folder
    raise StartupRefused(
        "The demo's documents are not installed.", next_step="Give a folder of your own with --documents DIR."
    )


def shipped(folder: Path) -> Corpus:
    """The corpus of a folder with `documents/`, `workspace/` and `demo.toml`; StartupRefused says what is wrong."""
    path = folder / "demo.toml"
    try:
        read = msgspec.toml.decode(path.read_bytes(), type=_File)
    except (OSError, msgspec.DecodeError) as error:
        raise StartupRefused(f"{path}: {error}.") from None
    workspace = read_folder(folder / "workspace")
    return Corpus(
        read.title, folder / "documents", workspace, read.feature, read.collection, read.questions, read.restricted
    )


def generated(folder: Path, paths: Sequence[str], questions: Sequence[str], restrict: Path | None) -> Corpus:
    """A corpus over a user's own folder with these documents: the workspace of `headworks init` with readers.

    Raises InvalidRequest for fewer than two documents, NotFound for a restricted one that is not there.
    """
    restricted = Restricted(_restricted_path(folder, paths, restrict), _GROUP, _MEMBER, _OTHER)
    collection = _collection_file(folder.name, restricted).encode()
    return Corpus(
        title=f"your folder {folder}, {len(paths)} documents",
        documents=folder,
        workspace={**workspace_files(), f"collections/{_COLLECTION}.yaml": collection},
        feature=_FEATURE,
        collection=_COLLECTION,
        questions=tuple(questions),
        restricted=restricted,
    )


def _collection_file(name: str, restricted: Restricted) -> str:
    """YAML, whatever characters the names have."""
    from ruamel.yaml import YAML

    written = io.StringIO()
    YAML().dump(
        {
            "description": f"The folder {name}.",
            "readers": ["everyone"],
            "documents": [{"match": restricted.document, "readers": [restricted.group]}],
            "embedding": "builtin/minilm",
        },
        written,
    )
    return written.getvalue()


def _restricted_path(folder: Path, paths: Sequence[str], wanted: Path | None) -> str:
    """The path, inside the folder, of the document to restrict: the wanted one, else the last."""
    if len(paths) < 2:
        raise InvalidRequest(
            f"{folder} holds {len(paths) or 'no'} document{'' if len(paths) == 1 else 's'} that can be read.",
            next_step="The demo needs two: one for everybody, and one that is restricted.",
        )
    if wanted is None:
        return paths[-1]
    for candidate in (folder / wanted, wanted):
        if candidate.is_file() and candidate.resolve().is_relative_to(folder.resolve()):
            path = candidate.resolve().relative_to(folder.resolve()).as_posix()
            if path in paths:
                return path
    raise NotFound(f"{wanted} is no document in {folder}.", next_step=f"Name one of them, like {paths[-1]}.")
