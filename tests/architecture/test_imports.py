"""The rules of the house that import-linter's layers can't say. Each is proven to fail on a planted violation."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import grimp
import pytest

SOURCE = Path(__file__).parents[2] / "src" / "headworks"
DOMAINS = ("identity", "policy", "releases", "guardrails", "retrieval", "gateway", "observability")
"""Rooms with a face: others meet them at `service.py`, `contract.py` and `routes.py` (mounted by app and server)."""
FACES = {"service", "contract", "routes", "jobs"}
COMPOSES = {"headworks.app"}
"""The composition root may look into every room."""
ON_THE_CALLERS_MACHINE = {
    "headworks.releases.workspace.files",
    "headworks.releases.prompts.imports",
    "headworks.releases.prompts.templates",
    "headworks.releases.workspace.reading",
    "headworks.retrieval.parsers.catalog",
    "headworks.retrieval.quality.golden",
    "headworks.retrieval.quality.measures",
    "headworks.retrieval.quality.ranking",
    "headworks.retrieval.quality.report",
    "headworks.retrieval.quality.trec",
    "headworks.retrieval.quality.tuning",
    "headworks.retrieval.sources.folder",
    "headworks.retrieval.sources.vanishing",
}
"""Pure code that commands run where the user's files are: reading a workspace, walking a folder, judging a search."""
OWNERS = {
    "dbos": {"headworks.jobs", "headworks.storage.migrate"},
    "alembic": {"headworks.storage"},
    "sqlalchemy": {"headworks.storage.migrate", "headworks.jobs"},
    "onnxruntime": {"headworks.providers"},
    "kreuzberg": {"headworks.retrieval.parsers"},
    "pypdfium2": {"headworks.retrieval.parsers"},
    "openai": {"headworks.cli.demo"},
    "re2": {"headworks.guardrails", "headworks.providers.simulated", "headworks.evaluation.scorers"},
    "minijinja": {"headworks.releases.prompts.templates"},
    "psycopg": {"headworks.storage", "headworks.records", "headworks.jobs", "headworks.server.supervisor"},
}
"""Heavy or telling libraries, and who alone may import them. `psycopg.types` is free: values, not cursors."""


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("headworks", include_external_packages=True, cache_dir=None)


def imports_of(graph: grimp.ImportGraph) -> list[tuple[str, str]]:
    return [
        (importer, imported)
        for importer in sorted(graph.modules)
        if importer.startswith("headworks")
        for imported in sorted(graph.find_modules_directly_imported_by(importer))
    ]


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def past_the_face(pairs: list[tuple[str, str]]) -> list[str]:
    """Imports that reach past the face of another domain."""
    return [
        f"{importer} imports {imported}"
        for importer, imported in pairs
        if room(imported) in DOMAINS
        and room(importer) != room(imported)
        and importer not in COMPOSES
        and not (room(importer) == "cli" and imported in ON_THE_CALLERS_MACHINE)
        and len(imported.split(".")) > 2
        and imported.split(".")[2] not in FACES
        and imported.split(".")[-1] != "contract"  # of a kind of extensions, which others implement
    ]


def out_of_place(pairs: list[tuple[str, str]]) -> list[str]:
    """Imports of an owned library outside its owner."""
    return [
        f"{importer} imports {imported}"
        for importer, imported in pairs
        if imported in OWNERS
        and not any(importer == owner or importer.startswith(owner + ".") for owner in OWNERS[imported])
    ]


def test_domains_meet_only_at_their_faces() -> None:
    assert past_the_face(imports_of(graph())) == []


def test_a_reach_past_a_face_is_found() -> None:
    assert past_the_face([("headworks.gateway.pipeline", "headworks.identity.store")])
    assert not past_the_face([("headworks.gateway.pipeline", "headworks.identity.service")])
    assert not past_the_face([("headworks.identity.service", "headworks.identity.store")])


def test_each_heavy_library_has_one_owner() -> None:
    found = [each for each in out_of_place(imports_of(graph())) if not each.endswith("imports psycopg")]
    assert found == []


def test_only_the_rooms_of_storage_and_records_hold_a_cursor() -> None:
    """Elsewhere `psycopg` may be imported for its types and errors alone: no `connect`, no `cursor`, no `execute`."""
    allowed = OWNERS["psycopg"]
    guilty = []
    for path in SOURCE.rglob("*.py"):
        module = "headworks." + path.relative_to(SOURCE).with_suffix("").as_posix().replace("/", ".")
        if any(module == owner or module.startswith(owner + ".") for owner in allowed):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Attribute) or node.attr not in {"connect", "AsyncConnection"}:
                continue
            if isinstance(node.value, ast.Name) and node.value.id == "psycopg":
                guilty.append(f"{module}:{node.lineno}")
    assert guilty == []


def test_a_library_out_of_place_is_found() -> None:
    assert out_of_place([("headworks.gateway.pipeline", "dbos")])
    assert not out_of_place([("headworks.jobs.engine", "dbos")])


def test_there_are_no_cycles_not_even_inside_functions() -> None:
    """grimp reads imports wherever they stand; a strongly connected component of two modules is a cycle."""
    pairs = [(a, b) for a, b in imports_of(graph()) if b.startswith("headworks")]
    assert cycles(pairs) == []


def test_a_cycle_is_found() -> None:
    assert cycles([("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")]) == [{"a", "b", "c"}]


def cycles(pairs: list[tuple[str, str]]) -> list[set[str]]:
    """Strongly connected components of more than one module: what reaches each other."""
    following: dict[str, set[str]] = {}
    for importer, imported in pairs:
        following.setdefault(importer, set()).add(imported)

    def reach(start: str) -> set[str]:
        seen: set[str] = set()
        todo = [start]
        while todo:
            for module in following.get(todo.pop(), ()):
                if module not in seen:
                    seen.add(module)
                    todo.append(module)
        return seen

    reached = {module: reach(module) for module in following}
    found: list[set[str]] = []
    for module, others in reached.items():
        knot = {other for other in others if module in reached.get(other, ())}
        if knot and knot not in found:
            found.append(knot)
    return found


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("__init__.py")), ids=lambda path: path.parent.name)
def test_an_init_file_holds_a_docstring_and_no_imports(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    if path.parent != SOURCE:
        assert len(tree.body) == 1


def test_no_module_has_a_name_that_says_nothing() -> None:
    nothing = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "handler", "base", "core"}
    assert [path for path in SOURCE.rglob("*.py") if path.stem in nothing] == []
