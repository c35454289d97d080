"""A workspace's files, read and checked as a whole: pure, and nothing is stored before everything is right."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from headworks.errors import NotSupportedYet, WorkspaceInvalid
from headworks.releases.contract import SchemaReader
from headworks.releases.workspace.account_files import read_account
from headworks.releases.workspace.chunking_files import check_context_models, read_chunking
from headworks.releases.workspace.features import parse_feature
from headworks.releases.workspace.freshness_files import read_freshness
from headworks.releases.workspace.grounding_files import check_judges
from headworks.releases.workspace.parsing_files import read_parsing
from headworks.releases.workspace.reader_files import read_readers
from headworks.releases.workspace.route_files import notice_of, read_route_entry
from headworks.releases.workspace.search_files import SYNONYMS, check_search_models, read_search
from headworks.releases.workspace.source_files import read_sources
from headworks.strict_yaml import Section, decode, nearest, read_yaml
from headworks.types.features import every_target
from headworks.types.workspace import AccountSpec, CollectionSpec, FeatureSpec, RouteSpec, Workspace

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
BUILTIN_MODELS = ("extractive", "simulated", "minilm")
EMBEDDINGS = ("builtin/minilm",)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a workspace may refer to beside its own files."""

    providers: frozenset[str]
    """Ids of the catalogue."""
    pii_kinds: frozenset[str]
    permissions: frozenset[str]
    usual_env: frozenset[str]
    """The catalogue's own environment variables: for the catalogue's own addresses only."""
    operator_env: frozenset[str]
    """Those that the operator allows for any address (`[providers] credential_env`)."""
    read_schema: SchemaReader | None = None
    """guardrails.schema.read_output_schema; None where no schema can be checked."""
    read_golden: Callable[[str, bytes], object] | None = None
    """retrieval.quality.golden.read_golden; None where no golden queries can be checked."""
    check_judging: Callable[[str, Mapping[str, bytes]], object] | None = None
    """Of a feature's folder (`features/<name>/`) the files that judge it, by their paths inside; None: not checked."""


_Reader = Callable[["_Reading", str, bytes], None]


class _Reading:
    """What has been read so far."""

    def __init__(self, files: Mapping[str, bytes], around: Surroundings) -> None:
        self.files = files
        self.around = around
        self.collections: list[CollectionSpec] = []
        self.accounts: list[AccountSpec] = []
        self.routes: list[RouteSpec] = []
        self.features: list[FeatureSpec] = []
        self.roles: dict[str, tuple[str, ...]] = {}
        self.notices: list[str] = []
        self.json_files: list[str] = []


def parse_workspace(files: Mapping[str, bytes], around: Surroundings) -> Workspace:
    """All files of a workspace by their path inside it, or WorkspaceInvalid / NotSupportedYet with file and line."""
    reading = _Reading(files, around)
    for path in sorted(files):
        _reader_of(path)(reading, path, files[path])
    if files and all(_reader_of(path) is _unknown for path in files):
        # A folder that was named by mistake would take every feature away.
        some = ", ".join([*sorted(files)[:3], *(["…"] if len(files) > 3 else [])])
        raise WorkspaceInvalid(
            f"None of these files belongs to a workspace: {some}.",
            next_step="Name the folder that holds routes.yaml and features/.",
        )
    for folder in sorted(
        {path.split("/")[1] for path in files if path.startswith("features/") and path.count("/") > 1}
    ):
        if f"features/{folder}/feature.yaml" not in files:
            raise WorkspaceInvalid(f"features/{folder}:1: the folder has no `feature.yaml`.")
    schemas = {each.output_file for each in reading.features}
    reading.notices += [
        f"{path}: left alone, its feature's `output` does not name it."
        for path in reading.json_files
        if path not in schemas
    ]
    workspace = Workspace(
        collections=tuple(reading.collections),
        accounts=tuple(reading.accounts),
        routes=tuple(reading.routes),
        features=tuple(reading.features),
        roles=reading.roles,
        notices=tuple(reading.notices),
        files=dict(files),
    )
    _check_references(workspace, around)
    _check_judging(workspace, around)
    return workspace


def _reader_of(path: str) -> _Reader:
    for pattern, reader in _READERS:
        if re.fullmatch(pattern, path):
            return reader
    return _unknown


def _read_providers(reading: _Reading, path: str, content: bytes) -> None:
    top = read_yaml(path, decode(path, content))
    for name, section in top.sections("providers"):
        reading.accounts.append(read_account(_checked_name(section, name), section, reading.around))
    top.finish()


def _read_routes(reading: _Reading, path: str, content: bytes) -> None:
    top = read_yaml(path, decode(path, content))
    for name, section in top.sections("routes"):
        spec = read_route_entry(_checked_name(section, name), section)
        reading.routes.append(spec)
        if notice := notice_of(spec):
            reading.notices.append(notice)
    top.finish()


def _read_roles(reading: _Reading, path: str, content: bytes) -> None:
    top = read_yaml(path, decode(path, content))
    for name, section in top.sections("roles"):
        section.text("description", "")
        permissions = section.names("permissions", None, like="feature:call")
        for each in permissions:
            if each not in reading.around.permissions:
                section.complain(
                    "permissions", f"unknown permission `{each}`.", nearest(each, reading.around.permissions)
                )
        section.finish()
        reading.roles[_checked_name(section, name)] = permissions
    top.finish()


def _read_collection(reading: _Reading, path: str, content: bytes) -> None:
    top = read_yaml(path, decode(path, content))
    name = path.removeprefix("collections/").removesuffix(".yaml")
    top.refuse("parser")
    readers = read_readers(top)
    spec = CollectionSpec(
        _checked_name(top, name),
        top.text("description", ""),
        readers.readers,
        readers.documents,
        read_chunking(top),
        top.choice("embedding", EMBEDDINGS, "builtin/minilm"),
        top.where(),
        read_sources(top),
        read_freshness(top),
        denied=readers.denied,
        denials=readers.denials,
        sections=readers.sections,
        search=read_search(top, name, reading.files),
        parsing=read_parsing(top),
        places={key: top.where(key) for key in ("readers", "deny", "documents", "sections", "sources")},
    )
    top.finish()
    reading.collections.append(spec)
    if not spec.readers:
        reading.notices.append(f"{path}: no readers, so nobody can read this collection.")


def _read_feature(reading: _Reading, path: str, content: bytes) -> None:
    del content
    folder = path.removesuffix("/feature.yaml")
    name = folder.removeprefix("features/")
    if not NAME.fullmatch(name):
        raise WorkspaceInvalid(f"{path}:1: {name!r} is no name for a feature.", next_step=_NAMING)
    reading.features.append(
        parse_feature(name, folder, reading.files, reading.around.pii_kinds, reading.around.read_schema)
    )


def _belongs_to_feature(reading: _Reading, path: str, content: bytes) -> None:
    """Prompts and knowledge: read with their feature."""
    decode(path, content)
    del reading


def _belongs_to_collection(reading: _Reading, path: str, content: bytes) -> None:
    """Synonyms: read with their collection."""
    del content
    if path.removesuffix(SYNONYMS) + ".yaml" not in reading.files:
        reading.notices.append(f"{path}: left alone, there is no `{path.removesuffix(SYNONYMS)}.yaml`.")


def _may_be_schema(reading: _Reading, path: str, content: bytes) -> None:
    """Read with its feature, if that names it."""
    del content
    reading.json_files.append(path)


def _check_golden(reading: _Reading, path: str, content: bytes) -> None:
    """Queries and what should be found for them: `headworks retrieval eval` asks them; a wrong line is said now."""
    collection = path.removesuffix(".golden.jsonl") + ".yaml"
    if reading.around.read_golden is None:
        reading.notices.append(f"{path}: left alone, nothing here can check golden queries.")
    elif collection not in reading.files:
        reading.notices.append(f"{path}: left alone, there is no `{collection}`.")
    else:
        reading.around.read_golden(path, content)


def _judges(reading: _Reading, path: str, content: bytes) -> None:
    """Kept beside the feature's releases as what judges them; what it says is checked with its whole folder."""
    del content
    folder = "/".join(path.split("/")[:2])
    if f"{folder}/evals/gate.yaml" not in reading.files:
        reading.notices.append(f"{path}: left alone, there is no `{folder}/evals/gate.yaml`.")


def _not_yet(reading: _Reading, path: str, content: bytes) -> None:
    del reading, content
    raise NotSupportedYet(
        f"{path}:1: `{path.split('/', maxsplit=1)[0]}/` is not supported yet.",
        next_step="Move the file out of the workspace.",
    )


def _unknown(reading: _Reading, path: str, content: bytes) -> None:
    del content
    if path.endswith((".yaml", ".yml", ".prompty", ".cedar")):
        raise WorkspaceInvalid(
            f"{path}:1: nothing reads a file of this name here.",
            next_step="Files are providers.yaml, routes.yaml, roles.yaml, collections/<name>.yaml, "
            "features/<name>/feature.yaml and features/<name>/prompts/*.prompty.",
        )
    reading.notices.append(f"{path}: left alone, it is no file of a workspace.")


_READERS: tuple[tuple[str, _Reader], ...] = (
    (r"providers\.yaml", _read_providers),
    (r"routes\.yaml", _read_routes),
    (r"roles\.yaml", _read_roles),
    (r"collections/[^/]+\.yaml", _read_collection),
    (r"collections/[^/]+\.golden\.jsonl", _check_golden),
    (r"collections/[^/]+\.synonyms\.txt", _belongs_to_collection),
    (r"features/[^/]+/feature\.yaml", _read_feature),
    (r"features/[^/]+/prompts/[^/]+\.prompty", _belongs_to_feature),
    (r"features/[^/]+/knowledge/.+\.md", _belongs_to_feature),
    (r"features/[^/]+/(evals|golden|judges)/.+", _judges),
    (r"features/[^/]+/taxonomy\.yaml", _judges),
    (r"features/[^/]+/.+\.json", _may_be_schema),
    (r"(policies|tools)/.+", _not_yet),
)

_NAMING = "Names are lower-case letters, digits, `.`, `-` and `_`, at most 63."


def _checked_name(section: Section, name: str) -> str:
    if not NAME.fullmatch(name):
        section.complain(None, f"{name!r} is no name.", _NAMING)
    return name


def _check_references(workspace: Workspace, around: Surroundings) -> None:
    routes = {each.name for each in workspace.routes}
    collections = {each.name for each in workspace.collections}
    providers = {each.name for each in workspace.accounts} | around.providers | {"builtin"}
    for route in workspace.routes:
        for target in every_target(route.targets, route.fallback):
            if target.provider not in providers:
                raise WorkspaceInvalid(
                    f"{route.where}: the route `{route.name}` names the provider `{target.provider}`.",
                    next_step=nearest(target.provider, providers),
                )
            if target.provider == "builtin" and target.model not in BUILTIN_MODELS:
                raise WorkspaceInvalid(
                    f"{route.where}: there is no `{target.name}`.", next_step=nearest(target.model, BUILTIN_MODELS)
                )
    check_context_models(workspace.collections, routes, providers)
    check_search_models(workspace.collections, workspace.features, routes, providers)
    check_judges(workspace.features, routes, providers)
    for feature in workspace.features:
        _check_output(workspace, feature)
        if feature.route not in routes:
            raise WorkspaceInvalid(
                f"{feature.where}: the feature `{feature.name}` names the route `{feature.route}`.",
                next_step=nearest(feature.route, routes),
            )
        if feature.retrieval and feature.retrieval.collection not in collections:
            raise WorkspaceInvalid(
                f"{feature.where}: the feature `{feature.name}` names the collection `{feature.retrieval.collection}`.",
                next_step=nearest(feature.retrieval.collection, collections),
            )
        if feature.name in routes:
            raise WorkspaceInvalid(
                f"{feature.where}: `{feature.name}` is the name of a route too; a caller could not tell them apart.",
                next_step="Rename one of them.",
            )


def _check_judging(workspace: Workspace, around: Surroundings) -> None:
    """What can't be read would judge nothing, and a gate that is attached can't be taken away."""
    if around.check_judging is None:
        return
    for feature in workspace.features:
        folder = f"features/{feature.name}/"
        found = {path: content for path, content in workspace.files.items() if path.startswith(folder)}
        if judging := {path.removeprefix(folder): each for path, each in found.items() if _reader_of(path) is _judges}:
            around.check_judging(folder, judging)


def _check_output(workspace: Workspace, feature: FeatureSpec) -> None:
    """Quotes follow no schema."""
    route = next((each for each in workspace.routes if each.name == feature.route), None)
    if feature.output is None or route is None:
        return
    if all(target.name == "builtin/extractive" for target in every_target(route.targets, route.fallback)):
        raise WorkspaceInvalid(
            f"{feature.where}: the feature `{feature.name}` has an output schema, but its route `{route.name}` leads "
            "only to `builtin/extractive`, which can't follow one.",
            next_step="Add a target with a model that writes, or remove `output`.",
        )
