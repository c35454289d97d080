"""The part of `feature.yaml` that says what a feature's answers look like: `output: {schema:, name:, strict:}`."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping

from headworks.errors import NotSupportedYet, WorkspaceInvalid
from headworks.releases.contract import SchemaReader, SchemaWrong
from headworks.strict_yaml import Section, decode, nearest, read_yaml
from headworks.types.features import OutputSettings

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NO_NAME = re.compile(r"[^A-Za-z0-9_-]")


def read_output(
    section: Section | None, feature: str, folder: str, files: Mapping[str, bytes], read_schema: SchemaReader | None
) -> tuple[OutputSettings | None, str | None]:
    """The settings, and the path of the schema's file if it has one. Raises WorkspaceInvalid with file and line."""
    if section is None:
        return None, None
    if read_schema is None:
        raise NotSupportedYet(f"{section.where()}: `output`: nothing here can check a schema.")
    name = section.text("name", _NO_NAME.sub("_", feature))
    if not _NAME.fullmatch(name):
        section.complain("name", f"`output.name` is {name!r}.", "Letters, digits, `_` and `-`, at most 64.")
    is_strict = section.flag("strict", default=False)
    schema = section.json("schema")
    section.finish()
    if schema is None:
        section.complain("schema" if section.has("schema") else None, "`output.schema` is missing.")
    path = _path_of(section, schema, folder, files) if isinstance(schema, str) else None
    text = json.dumps(schema, ensure_ascii=False) if path is None else decode(path, files[path])
    try:
        return OutputSettings(name, read_schema(text, is_strict=is_strict), is_strict), path
    except SchemaWrong as error:
        where = section.where_inside("schema", error.path) if path is None else _where_in(path, text, error)
        place = f" at `{'/'.join(['#', *map(str, error.path)])}`" if error.path else ""
        raise WorkspaceInvalid(f"{where}: the output schema{place}: {error.message}.") from None


def _path_of(section: Section, given: str, folder: str, files: Mapping[str, bytes]) -> str:
    path = posixpath.normpath(f"{folder}/{given}")
    if not path.startswith(f"{folder}/"):
        section.complain("schema", f"the schema {given!r} lies outside the feature's folder.")
    if not path.endswith(".json"):
        section.complain("schema", f"the schema {given!r} is no `.json` file.", "A schema may also stand here itself.")
    if path not in files:
        known = [posixpath.relpath(each, folder) for each in files if each.startswith(f"{folder}/")]
        section.complain(
            "schema", f"there is no file {given!r}.", nearest(given, [each for each in known if each.endswith(".json")])
        )
    return path


def _where_in(path: str, text: str, error: SchemaWrong) -> str:
    """`file:line` of a place in a JSON file; JSON is read as YAML for that, which knows its lines."""
    if error.line is not None:
        return f"{path}:{error.line}"
    try:
        return read_yaml(path, text).where_inside(None, error.path)
    except WorkspaceInvalid:
        return f"{path}:1"
