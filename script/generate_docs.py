"""Writes the generated reference pages, or with `--check` says which are out of date (exit status 1)."""

from __future__ import annotations

import argparse
import ast
import inspect
import sys
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"


def _docstrings_of_fields(cls: type) -> dict[str, str]:
    """The string that stands under each field of a dataclass."""
    tree = ast.parse(inspect.getsource(cls)).body[0]
    assert isinstance(tree, ast.ClassDef)  # noqa: S101 -- the source of a class
    found = {}
    for before, after in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(before, ast.AnnAssign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            assert isinstance(before.target, ast.Name)  # noqa: S101 -- dataclass fields are names
            found[before.target.id] = " ".join(str(after.value.value).split())
    return found


def _default(entry: Any) -> str:  # noqa: ANN401 -- a dataclasses.Field
    value = entry.default if entry.default is not MISSING else entry.default_factory()
    if value is None or value in {"", ()}:
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def settings_page() -> str:
    """`headworks.toml`."""
    from headworks.config import Settings

    rows = [
        "# Settings",
        "",
        "Defaults < `headworks.toml` < environment < command line. Unknown keys are errors. A relative path in the",
        "file starts from the file's folder. Written by `script/docs`.",
        "",
        "| key | variable | default | meaning |",
        "|---|---|---|---|",
    ]
    top = _docstrings_of_fields(Settings)
    example = Settings()
    for entry in fields(Settings):
        inner = getattr(example, entry.name)
        if not is_dataclass(inner):
            variable = "HEADWORKS_MODELS_DIR" if entry.name == "models" else f"HEADWORKS_{entry.name.upper()}"
            rows.append(f"| `{entry.name}` | `{variable}` | {_default(entry)} | {top.get(entry.name, '')} |")
            continue
        rows += _table_of_settings(inner, entry.name)
    rows += [
        "",
        "Beside these: `DATABASE_URL` stands for `database.url`; `HEADWORKS_MASTER_KEY` (32 bytes in base64) for the",
        "file `<data>/keys/master.key`; `HEADWORKS_URL` and `HEADWORKS_API_KEY` tell the commands",
        "which server they talk to.",
    ]
    return "\n".join(rows) + "\n"


def _table_of_settings(table: Any, prefix: str) -> list[str]:  # noqa: ANN401 -- a dataclass of the settings
    """The rows of one table and of the tables in it."""
    rows: list[str] = []
    words = _docstrings_of_fields(type(table))
    for leaf in fields(table):
        inner, key = getattr(table, leaf.name), f"{prefix}.{leaf.name}"
        if is_dataclass(inner):
            rows += _table_of_settings(inner, key)
            continue
        variable = f"HEADWORKS_{key.replace('.', '_')}".upper()
        rows.append(f"| `{key}` | `{variable}` | {_default(leaf)} | {words.get(leaf.name, '')} |")
    return rows


def errors_page() -> str:
    """Every error with its status and code."""
    from headworks import errors

    rows = [
        "# Errors",
        "",
        'Every answer that is an error has OpenAI\'s shape: `{"error": {"message", "type", "param", "code"}}`. The',
        "message says what happened, where, and what to do next. Written by `script/docs`.",
        "",
        "| error | status | code | meaning |",
        "|---|---|---|---|",
    ]
    for name, cls in inspect.getmembers(errors, inspect.isclass):
        if issubclass(cls, errors.HeadworksError) and cls is not errors.HeadworksError:
            meaning = " ".join((cls.__doc__ or "").split())
            rows.append(f"| {name} | {cls.status} | `{cls.code}` | {meaning} |")
    return "\n".join(rows) + "\n"


def routes_page() -> str:
    """Every HTTP route with the permission it needs."""
    from fastapi.routing import iter_route_contexts

    from headworks.app import routers
    from headworks.gateway.openapi.document import OPERATIONS

    rows = [
        "# HTTP routes",
        "",
        "All of them, with schemas, are in `/api/openapi.json`. What is not open needs an API key or a session.",
        "Written by `script/docs`.",
        "",
        "## Calling models and features",
        "",
        "In the formats of OpenAI, Anthropic, Google, Cohere and Jina. A feature needs `feature:call`, everything else",
        "`model:call`. `POST /api/ask` is Chat Completions for the signed-in page.",
        "",
        "| route | meaning |",
        "|---|---|",
        *(f"| `{' '.join(each.route)}` | {each.says}. |" for each in OPERATIONS),
        "",
        "## Everything else",
        "",
        "| route | permission | audit event | meaning |",
        "|---|---|---|---|",
    ]
    found = []
    for router in routers(lambda: None):
        for route in iter_route_contexts(router.routes):
            extra = route.openapi_extra["x-headworks"]
            meaning = (inspect.getdoc(route.endpoint) or "").split("\n", 1)[0]
            for method in sorted(route.methods):
                permission = (extra["permission"] or "open").replace("|", " or ")
                row = f"| `{method} {route.path}` | {permission} | {extra['audit'] or ''} | {meaning} |"
                found.append((route.path, row))
    rows += [row for _, row in sorted(found)]
    return "\n".join(rows) + "\n"


def permissions_page() -> str:
    """Permissions and the built-in roles."""
    from headworks.identity.roles import BUILT_IN_ROLES, MEMBER, PERMISSIONS

    roles = {**BUILT_IN_ROLES, "(none)": MEMBER}
    rows = [
        "# Permissions and roles",
        "",
        "A permission says what a key or a session may do; which documents it may read is decided by readers alone.",
        "Roles are bound to users, service accounts or groups and add up; who has none has those under *(none)*. A",
        "workspace's `roles.yaml` adds roles. A key holds what it names *and* its principal holds, and nobody gives",
        "a permission that he lacks. Written by `script/docs`.",
        "",
        f"| permission | allows to | {' | '.join(roles)} |",
        f"|---|---|{'---|' * len(roles)}",
    ]
    for permission, meaning in PERMISSIONS.items():
        marks = " | ".join("yes" if permission in held else "" for held in roles.values())
        rows.append(f"| `{permission}` | {meaning} | {marks} |")
    return "\n".join(rows) + "\n"


def commands_page() -> str:
    """The command line."""
    from headworks.cli.reference import commands_page as page

    return page()


PAGES: dict[str, Callable[[], str]] = {
    "cli.md": commands_page,
    "settings.md": settings_page,
    "errors.md": errors_page,
    "routes.md": routes_page,
    "permissions.md": permissions_page,
}


def main() -> int:
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = []
    for name, make in PAGES.items():
        path = REFERENCE / name
        text = make()
        if path.exists() and path.read_text() == text:
            continue
        stale.append(name)
        if not check:
            path.write_text(text)
            print(f"wrote docs/reference/{name}")
    if check and stale:
        print(f"out of date: {', '.join(stale)}; run script/docs")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
