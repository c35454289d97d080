"""The four roles of every installation, and the logins of one database that are members of them.

`hw_owner`, `hw_app`, `hw_system` and `hw_ingest` belong to the whole server and can't log in: they carry rights and
policies. `<database>_app`, `<database>_system` and `<database>_ingest` log in, with passwords derived from the master
key, so that nothing has to be stored or handed around.
"""

from __future__ import annotations

import base64
import time
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from headworks.errors import StartupRefused
from headworks.storage.keys import derive
from headworks.storage.pool import DatabaseUrls

GROUPS = ("hw_owner", "hw_app", "hw_system", "hw_ingest")
_LOGINS = ("app", "system", "ingest")
_NAME_LIMIT = 63
_TRIES = 20

_DANGERS = """
    SELECT current_user,
           EXISTS (SELECT FROM pg_roles r
                   WHERE (r.rolsuper OR r.rolbypassrls) AND pg_has_role(current_user, r.oid, 'MEMBER')),
           (SELECT rolcreaterole FROM pg_roles WHERE rolname = current_user),
           EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = to_regnamespace('headworks')
                   AND pg_has_role(current_user, c.relowner, 'MEMBER'))
"""


def derive_urls(owner_url: str, master: bytes, *, app: str = "", system: str = "", ingest: str = "") -> DatabaseUrls:
    """The four URLs of one database: the administrator's, and its logins', unless these are given."""
    derived = {login: _login_url(owner_url, master, login) for login in _LOGINS}
    return DatabaseUrls(
        owner=owner_url,
        app=app or derived["app"],
        system=system or derived["system"],
        ingest=ingest or derived["ingest"],
    )


def with_login(url: str, user: str, password: str) -> str:
    """The same database in the form `postgresql://…`, for another login."""
    parts: dict[str, Any] = {key: value for key, value in conninfo_to_dict(url).items() if value is not None}
    database = parts.pop("dbname", user)
    for key in ("user", "password", "passfile"):
        parts.pop(key, None)
    where = urlencode(parts, quote_via=quote)
    return f"postgresql://{quote(user, safe='')}:{quote(password, safe='')}@/{quote(database, safe='')}?{where}"


def database_name(url: str) -> str:
    """The database that a URL names; libpq's rule is that without a name it is the user's."""
    parts = conninfo_to_dict(url)
    return str(parts.get("dbname") or parts.get("user") or "postgres")


def ensure_groups(connection: psycopg.Connection[Any]) -> None:
    """Make the four roles where they are missing, and let the administrator become hw_owner.

    Raises StartupRefused where the administrator may not, or where one of them could bypass row-level security.
    """
    for group in GROUPS:
        if not _role_exists(connection, group):
            _change(
                connection, f"make the role {group}", sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(group))
            )
    unsafe = connection.execute(
        "SELECT string_agg(rolname, ', ') FROM pg_roles WHERE rolname = ANY(%s) AND (rolsuper OR rolbypassrls)",
        [list(GROUPS)],
    ).fetchone()
    if unsafe is not None and unsafe[0]:
        raise StartupRefused(
            f"Row-level security does not bind the role {unsafe[0]} of this PostgreSQL.",
            next_step=f"Run: ALTER ROLE {unsafe[0]} NOSUPERUSER NOBYPASSRLS",
        )
    (may,) = connection.execute("SELECT pg_has_role(current_user, 'hw_owner', 'MEMBER')").fetchone() or (False,)
    if not may:
        options = sql.SQL(" WITH INHERIT TRUE, SET TRUE" if connection.info.server_version >= 160_000 else "")
        _change(connection, "become hw_owner", sql.SQL("GRANT hw_owner TO CURRENT_USER{}").format(options))


def ensure_logins(connection: psycopg.Connection[Any], urls: DatabaseUrls) -> None:
    """Make the logins of these URLs, members of their groups, with the passwords that the URLs hold.

    A login that works already, and is in its group, is left as it is.
    """
    for login, url in (("app", urls.app), ("system", urls.system), ("ingest", urls.ingest)):
        parts = conninfo_to_dict(url)
        name, password = str(parts.get("user") or ""), str(parts.get("password") or "")
        role, group, database = map(sql.Identifier, (name, f"hw_{login}", connection.info.dbname))
        if not _role_exists(connection, name):
            _change(connection, f"make the login {name}", sql.SQL("CREATE ROLE {} LOGIN").format(role))
        grant = sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, role)
        _change(connection, f"let {name} connect", grant)
        if not _member(connection, name, f"hw_{login}"):
            _change(connection, f"grant hw_{login} to {name}", sql.SQL("GRANT {} TO {}").format(group, role))
        if password and not _logs_in(url):
            _set_password(connection, name, password)


def check_roles(urls: DatabaseUrls) -> None:
    """Raise StartupRefused where a login of the running server could get around row-level security."""
    for login in _LOGINS:
        with psycopg.connect(getattr(urls, login), autocommit=True, connect_timeout=5) as connection:
            name, unbound, creates, owns = connection.execute(_DANGERS).fetchone() or ("?", True, True, True)
        dangers = {
            "is or may become a role that bypasses it": unbound,
            "may change roles": creates,
            "owns tables": owns,
        }
        for danger, present in dangers.items():
            if present:
                raise StartupRefused(
                    f"The database login `{name}` {danger}, so row-level security does not bind it.",
                    next_step=f"Give `{login}_url` in [database] a login that is a member of hw_{login} only.",
                )


def logins_work(urls: DatabaseUrls) -> bool:
    """Whether all three logins of the running server get in."""
    return all(_logs_in(getattr(urls, login)) for login in _LOGINS)


def _login_url(owner_url: str, master: bytes, login: str) -> str:
    name = f"{database_name(owner_url)[: _NAME_LIMIT - len(login) - 1]}_{login}"
    password = base64.urlsafe_b64encode(derive(master, f"password of the login {name}", 24)).decode()
    return with_login(owner_url, name, password)


def _role_exists(connection: psycopg.Connection[Any], name: str) -> bool:
    return connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).fetchone() is not None


def _member(connection: psycopg.Connection[Any], name: str, group: str) -> bool:
    return connection.execute("SELECT pg_has_role(%s, %s, 'USAGE')", [name, group]).fetchone() == (True,)


def _logs_in(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def _set_password(connection: psycopg.Connection[Any], name: str, password: str) -> None:
    """Hashed here: PostgreSQL, its log and its statistics never see the password."""
    verifier = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
    statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(name), sql.Literal(verifier))
    _change(connection, f"set the password of {name}", statement)


def _change(connection: psycopg.Connection[Any], what: str, statement: sql.Composed) -> None:
    """Execute what another process may be doing at the same moment: roles belong to the whole server."""
    for attempt in range(_TRIES):
        try:
            connection.execute(statement)
        except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
            return
        except psycopg.errors.InsufficientPrivilege as error:
            raise StartupRefused(
                f"The administrator's login of the database, `{connection.info.user}`, may not {what}.",
                next_step="Give it CREATEROLE, or let a superuser do this once, then start again.",
            ) from error
        except psycopg.errors.InternalError_:
            if attempt == _TRIES - 1:
                raise
            time.sleep(0.05)  # "tuple concurrently updated"
        else:
            return
