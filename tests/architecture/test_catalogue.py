"""What must be true of every table, view, function, policy and right, read from PostgreSQL's own catalogue.

A new table is found here by itself. Exceptions are listed with their reasons; each check is shown to fail on a planted
violation.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psycopg
import pytest

import headworks
from headworks.storage.queries import load

Superuser = psycopg.Connection[tuple[Any, ...]]

WITHOUT_TENANT = {
    "alembic_version": "the version of the schema",
    "replica": "heartbeats of processes, which serve all tenants",
}
SEALED = {
    "attestation.envelope",
    "blob.content",
    "chunk.content",
    "chunk_context.content",
    "dataset_example.content",
    "dataset_version.unlocked",
    "document_text.content",
    "golden_split.content",
    "judgement.content",
    "experiment.content",
    "experiment_output.content",
    "experiment_score.content",
    "proposal.content",
    "proposal.title",
    "proposal_comment.content",
    "release_file.content",
    "signing_key.material",
    "source.state",
    "span.payload",
    "stored_response.content",
    "workspace_file.content",
}
NOT_PAYLOAD = {
    "api_key.secret_hash": "a keyed hash",
    "claim.claim_hash": "a keyed hash",
    "data_key.wrapped": "a key, wrapped by the master key",
    "posting.block": "derived from text, unsealed: said in SECURITY.md",
    "web_session.replaces": "a keyed hash",
    "web_session.session_hash": "a keyed hash",
}
IMMUTABLE = {
    "attestation",
    "audit_event",
    "channel_move",
    "gate_look",
    "judge_card",
    "dataset_member",
    "dataset_version",
    "proposal_comment",
    "purge_receipt",
    "release",
    "release_file",
}
ERASABLE = {"span": "payload", "usage": "end_user", "dataset_example": "content", "judgement": "content"}
"""Append-only but for this column, which may become null, by the curator."""
APPENDED = {"dataset_example", "judgement"}
"""Of these, what requests write themselves."""

TABLES = """
    FROM pg_class c
   WHERE c.relnamespace = 'headworks'::regnamespace AND c.relkind IN ('r', 'p')
"""
TENANTED = f"""
    {TABLES} AND NOT c.relispartition
     AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped)
"""
GRANTS = """
    FROM pg_class c, aclexplode(c.relacl) g LEFT JOIN pg_roles r ON r.oid = g.grantee
   WHERE c.relnamespace = 'headworks'::regnamespace AND g.grantee <> c.relowner
"""

# Each query gives one row of text for each violation.
CHECKS: dict[str, str] = {
    "a table without a tenant is listed with its reason": f"""
        SELECT c.relname {TABLES} AND NOT c.relispartition AND c.oid NOT IN (SELECT c.oid {TENANTED})
           AND c.relname <> ALL (%(without_tenant)s)""",
    "row-level security is enabled and forced": f"""
        SELECT c.relname {TENANTED} AND NOT (c.relrowsecurity AND c.relforcerowsecurity)""",
    "each command has a policy for hw_app": f"""
        SELECT c.relname || ' ' || command.name
          FROM unnest(ARRAY['r', 'a', 'w', 'd'], ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS command (code, name),
               LATERAL (SELECT c.oid, c.relname {TENANTED}) AS c
         WHERE NOT EXISTS (SELECT FROM pg_policy p
                            WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd::text IN (command.code, '*')
                              AND 'hw_app'::regrole::oid = ANY (p.polroles))""",
    "a policy for hw_app asks for the tenant": """
        SELECT c.relname || ' ' || p.polname
          FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
         WHERE 'hw_app'::regrole::oid = ANY (p.polroles) AND p.polpermissive
           AND (coalesce(pg_get_expr(p.polqual, p.polrelid), 'app_tenant()') !~ 'tenant_id = .*app_tenant\\(\\)'
                  AND p.polqual IS NOT NULL
                OR coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '') !~ '\\(tenant_id = .*app_tenant\\(\\)'
                  AND p.polwithcheck IS NOT NULL)""",
    "a policy is for one of our roles, and those of hw_system and hw_ingest only read and only append": """
        SELECT c.relname || ' ' || p.polname
          FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid, unnest(p.polroles) AS role (oid)
         WHERE c.relnamespace = 'headworks'::regnamespace
           AND NOT (role.oid = 'hw_app'::regrole
                    OR role.oid = 'hw_system'::regrole AND p.polcmd = 'r'
                    OR role.oid = 'hw_ingest'::regrole AND p.polcmd = 'a')""",
    "a unique key starts with the tenant": f"""
        SELECT i.indexrelid::regclass::text
          FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
         WHERE i.indisunique AND t.relname <> ALL (%(without_tenant)s)
           AND t.oid IN (SELECT c.oid {TABLES})
           AND NOT EXISTS (SELECT FROM pg_attribute a
                            WHERE a.attrelid = t.oid AND a.attnum = i.indkey[0] AND a.attname = 'tenant_id')""",
    "a foreign key compares the tenants": f"""
        SELECT f.conname
          FROM pg_constraint f
         WHERE f.contype = 'f' AND f.conrelid IN (SELECT c.oid {TENANTED})
           AND NOT EXISTS (SELECT FROM unnest(f.conkey, f.confkey) AS k (ours, theirs)
                             JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.ours
                             JOIN pg_attribute b ON b.attrelid = f.confrelid AND b.attnum = k.theirs
                            WHERE a.attname = 'tenant_id' AND b.attname = 'tenant_id')""",
    "who has rights on a partition appends to a month's": f"""
        SELECT c.relname || ' ' || r.rolname || ' ' || g.privilege_type {GRANTS} AND c.relispartition
           AND (r.rolname <> 'hw_ingest' OR g.privilege_type <> 'INSERT' OR c.relname !~ '_[0-9]{{4}}_[0-9]{{2}}$')""",
    "nobody else has rights on anything of ours": f"""
        SELECT c.relname || ' ' || coalesce(r.rolname, 'PUBLIC') {GRANTS}
           AND coalesce(r.rolname, '') NOT IN ('hw_app', 'hw_system', 'hw_ingest')""",
    "rights are to read and write rows, and nothing more": f"""
        SELECT c.relname || ' ' || g.privilege_type {GRANTS}
           AND g.privilege_type NOT IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'USAGE')""",
    "hw_system only reads and hw_ingest only appends": f"""
        SELECT c.relname || ' ' || r.rolname || ' ' || g.privilege_type {GRANTS}
           AND (r.rolname = 'hw_system' AND g.privilege_type <> 'SELECT'
                OR r.rolname = 'hw_ingest' AND g.privilege_type <> 'INSERT')""",
    "what is immutable can't be changed": f"""
        SELECT c.relname || ' ' || g.privilege_type {GRANTS}
           AND c.relname = ANY (%(immutable)s) AND g.privilege_type IN ('UPDATE', 'DELETE')""",
    "what may be erased is only forgotten, by the curator": f"""
        SELECT c.relname || ' ' || g.privilege_type {GRANTS}
           AND c.relname = ANY (%(erasable)s) AND r.rolname = 'hw_app' AND g.privilege_type NOT IN ('SELECT', 'UPDATE')
           AND NOT (g.privilege_type = 'INSERT' AND c.relname = ANY (%(appended)s))
         UNION ALL
        SELECT c.relname {TABLES} AND c.relname = ANY (%(erasable)s)
           AND NOT (EXISTS (SELECT FROM pg_trigger t JOIN pg_proc f ON f.oid = t.tgfoid
                             WHERE t.tgrelid = c.oid AND f.proname = 'only_forgets' AND t.tgenabled = 'O')
                    AND EXISTS (SELECT FROM pg_policy p
                                 WHERE p.polrelid = c.oid AND p.polcmd = 'w' AND NOT p.polpermissive
                                   AND pg_get_expr(p.polqual, p.polrelid) ~ 'is_curator'))""",
    "rights on single columns are not given": """
        SELECT attrelid::regclass || '.' || attname FROM pg_attribute
         WHERE attacl IS NOT NULL
           AND attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'headworks'::regnamespace)""",
    "a view asks as its caller": """
        SELECT relname FROM pg_class
         WHERE relnamespace = 'headworks'::regnamespace AND relkind = 'v'
           AND NOT coalesce(reloptions, '{}') && ARRAY['security_invoker=true', 'security_invoker=on']""",
    "there is no materialized view and no foreign table": """
        SELECT relname FROM pg_class WHERE relnamespace = 'headworks'::regnamespace AND relkind IN ('m', 'f')""",
    "no function runs as its owner": """
        SELECT proname FROM pg_proc
         WHERE pronamespace IN ('headworks'::regnamespace, 'public'::regnamespace) AND prosecdef""",
    "nothing of ours lies outside of our schema": """
        SELECT c.oid::regclass::text FROM pg_class c
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
           AND c.relnamespace::regnamespace::text NOT IN ('headworks', 'dbos', 'pg_catalog', 'information_schema')
           AND c.relnamespace::regnamespace::text !~ '^pg_toast'""",
    "everything of ours belongs to hw_owner": """
        SELECT relname FROM pg_class
         WHERE relnamespace = 'headworks'::regnamespace AND relowner <> 'hw_owner'::regrole""",
    "no role of ours bypasses row-level security or changes roles": """
        SELECT rolname FROM pg_roles
         WHERE rolname ~ '^hw_'
           AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)""",
    "a login is a member of its own group only, and a group of none": """
        SELECT m.rolname || ' in ' || g.rolname
          FROM pg_auth_members x JOIN pg_roles m ON m.oid = x.member JOIN pg_roles g ON g.oid = x.roleid
         WHERE m.rolname IN ('hw_owner', 'hw_app', 'hw_system', 'hw_ingest')
            OR m.rolname ~ '_(app|system|ingest)$' AND g.rolname <> regexp_replace(m.rolname, '^.*_', 'hw_')""",
    "nobody who logs in may make anything, but for hw_ingest the table it copies lines into": """
        SELECT r.rolname || ' ' || n.nspname
          FROM pg_roles r, pg_namespace n
         WHERE r.rolname IN ('hw_app', 'hw_system', 'hw_ingest') AND n.nspname !~ '^pg_'
           AND has_schema_privilege(r.oid, n.oid, 'CREATE')
         UNION ALL
        SELECT r.rolname || ' ' || kind
          FROM pg_roles r, unnest(ARRAY['CREATE', 'TEMPORARY']) AS kind
         WHERE r.rolname IN ('hw_app', 'hw_system', 'hw_ingest')
           AND has_database_privilege(r.oid, current_database(), kind)
           AND NOT (r.rolname = 'hw_ingest' AND kind = 'TEMPORARY')""",
    "only hw_app works in the schema of DBOS": """
        SELECT r.rolname FROM pg_roles r
         WHERE r.rolname IN ('hw_system', 'hw_ingest') AND has_schema_privilege(r.oid, 'dbos', 'USAGE')""",
    "a column of bytes is listed as sealed, or with the reason why it is not": f"""
        SELECT c.relname || '.' || a.attname
          FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
         WHERE c.oid IN (SELECT c.oid {TENANTED}) AND a.attnum > 0 AND NOT a.attisdropped
           AND a.atttypid = 'bytea'::regtype AND c.relname || '.' || a.attname <> ALL (%(bytes)s)""",
}

PLANTED = [
    ("CREATE TABLE stray (id uuid PRIMARY KEY)", "a table without a tenant is listed with its reason"),
    ("CREATE TABLE stray (tenant_id uuid PRIMARY KEY)", "row-level security is enabled and forced"),
    ("ALTER TABLE document NO FORCE ROW LEVEL SECURITY", "row-level security is enabled and forced"),
    ("ALTER TABLE chunk DISABLE ROW LEVEL SECURITY", "row-level security is enabled and forced"),
    ("DROP POLICY curated_delete ON document", "each command has a policy for hw_app"),
    ("DROP POLICY of_tenant ON project", "each command has a policy for hw_app"),
    ("CREATE POLICY extra ON project FOR SELECT TO hw_app USING (true)", "a policy for hw_app asks for the tenant"),
    (
        "CREATE POLICY extra ON project FOR SELECT TO hw_app USING (name <> '' OR app_tenant() IS NOT NULL)",
        "a policy for hw_app asks for the tenant",
    ),
    (
        "CREATE POLICY extra ON project FOR INSERT TO hw_app WITH CHECK (true)",
        "a policy for hw_app asks for the tenant",
    ),
    (
        "CREATE POLICY extra ON project FOR SELECT USING (tenant_id = app_tenant())",
        "a policy is for one of our roles, and those of hw_system and hw_ingest only read and only append",
    ),
    (
        "CREATE POLICY extra ON project FOR ALL TO hw_system USING (true)",
        "a policy is for one of our roles, and those of hw_system and hw_ingest only read and only append",
    ),
    ("ALTER TABLE project ADD UNIQUE (name)", "a unique key starts with the tenant"),
    ("CREATE UNIQUE INDEX ON project (lower(name), tenant_id)", "a unique key starts with the tenant"),
    (
        "ALTER TABLE usage_default ADD UNIQUE (request_id)",
        "a unique key starts with the tenant",
    ),
    (
        "CREATE TABLE stray (tenant_id uuid, id uuid UNIQUE, other uuid REFERENCES stray (id))",
        "a foreign key compares the tenants",
    ),
    ("GRANT SELECT ON usage_default TO hw_app", "who has rights on a partition appends to a month's"),
    ("GRANT INSERT ON usage_default TO hw_ingest", "who has rights on a partition appends to a month's"),
    ("GRANT SELECT ON project TO PUBLIC", "nobody else has rights on anything of ours"),
    ("GRANT TRUNCATE ON project TO hw_app", "rights are to read and write rows, and nothing more"),
    ("GRANT REFERENCES ON project TO hw_app", "rights are to read and write rows, and nothing more"),
    ("GRANT UPDATE ON tenant TO hw_system", "hw_system only reads and hw_ingest only appends"),
    ("GRANT SELECT ON usage TO hw_ingest", "hw_system only reads and hw_ingest only appends"),
    ("GRANT UPDATE ON release TO hw_app", "what is immutable can't be changed"),
    ("GRANT DELETE ON audit_event TO hw_app", "what is immutable can't be changed"),
    ("GRANT DELETE ON usage TO hw_app", "what may be erased is only forgotten, by the curator"),
    ("DROP POLICY erased ON span", "what may be erased is only forgotten, by the curator"),
    ("DROP TRIGGER only_forgets ON usage", "what may be erased is only forgotten, by the curator"),
    ("GRANT UPDATE (manifest) ON release TO hw_app", "rights on single columns are not given"),
    ("CREATE VIEW leak AS SELECT * FROM project", "a view asks as its caller"),
    ("ALTER VIEW acting_as SET (security_invoker = false)", "a view asks as its caller"),
    ("CREATE MATERIALIZED VIEW leak AS SELECT * FROM project", "there is no materialized view and no foreign table"),
    (
        "CREATE FUNCTION leak() RETURNS bigint LANGUAGE sql SECURITY DEFINER RETURN (SELECT count(*) FROM project)",
        "no function runs as its owner",
    ),
    ("CREATE TABLE public.stray (tenant_id uuid)", "nothing of ours lies outside of our schema"),
    ("ALTER TABLE project OWNER TO CURRENT_USER", "everything of ours belongs to hw_owner"),
    ("ALTER ROLE hw_app BYPASSRLS", "no role of ours bypasses row-level security or changes roles"),
    ("GRANT hw_owner TO hw_template_app", "a login is a member of its own group only, and a group of none"),
    ("GRANT hw_system TO hw_app", "a login is a member of its own group only, and a group of none"),
    (
        "GRANT CREATE ON SCHEMA headworks TO hw_app",
        "nobody who logs in may make anything, but for hw_ingest the table it copies lines into",
    ),
    (
        "GRANT TEMPORARY ON DATABASE hw_template TO hw_app",
        "nobody who logs in may make anything, but for hw_ingest the table it copies lines into",
    ),
    ("GRANT USAGE ON SCHEMA dbos TO hw_ingest", "only hw_app works in the schema of DBOS"),
    (
        "ALTER TABLE document ADD COLUMN summary bytea",
        "a column of bytes is listed as sealed, or with the reason why it is not",
    ),
]


def violations(connection: Superuser, check: str) -> list[str]:
    lists = {
        "without_tenant": list(WITHOUT_TENANT),
        "immutable": list(IMMUTABLE),
        "erasable": list(ERASABLE),
        "appended": list(APPENDED),
        "bytes": [*SEALED, *NOT_PAYLOAD],
    }
    used = {name: value for name, value in lists.items() if f"%({name})s" in CHECKS[check]}
    return [str(row[0]) for row in connection.execute(CHECKS[check].encode(), used or None).fetchall()]


@pytest.fixture(scope="module")
def module_superuser(template_urls: Any) -> Any:
    """The template database, which every test here leaves as it was."""
    with psycopg.connect(template_urls.owner) as connection:
        connection.execute("SET search_path = headworks, public")
        connection.commit()
        yield connection


@pytest.mark.parametrize("check", CHECKS)
def test_of_everything_in_the_database(module_superuser: Superuser, check: str) -> None:
    assert violations(module_superuser, check) == []


@pytest.mark.parametrize(("plant", "check"), PLANTED, ids=[plant[:60] for plant, _ in PLANTED])
def test_a_planted_violation_is_found(module_superuser: Superuser, plant: str, check: str) -> None:
    module_superuser.execute("SET LOCAL client_min_messages = error")
    module_superuser.execute(plant.encode())
    try:
        assert violations(module_superuser, check) != []
    finally:
        module_superuser.rollback()


def test_each_check_is_shown_to_fail() -> None:
    assert {check for _, check in PLANTED} == set(CHECKS)


def test_the_listed_exceptions_still_exist(module_superuser: Superuser) -> None:
    columns = {
        f"{table}.{column}"
        for table, column in module_superuser.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'headworks'"
        )
    }
    tables = {name.split(".")[0] for name in columns}
    assert set(WITHOUT_TENANT) <= tables
    assert tables >= IMMUTABLE
    assert {f"{table}.{column}" for table, column in ERASABLE.items()} <= columns
    assert (SEALED | set(NOT_PAYLOAD)) <= columns


def test_every_statement_over_rows_of_tenants_names_the_tenant(module_superuser: Superuser) -> None:
    """Row-level security is the second lock, not the only one."""
    tables = [str(row[0]) for row in module_superuser.execute(f"SELECT c.relname {TENANTED}".encode())]
    pattern = re.compile(rf"\b(?:FROM|JOIN|INTO|UPDATE|TABLE)\s+(?:headworks\.)?({'|'.join(tables)})\b", re.IGNORECASE)
    source = Path(headworks.__file__).parent
    nameless = [
        f"{package}: {name}"
        for package, name, statement in _statements(source)
        if pattern.search(statement) and "tenant" not in statement
    ]
    assert nameless == []


def _statements(source: Path) -> list[tuple[str, str, str]]:
    files = sorted(source.rglob("queries.sql"))
    packages = [file.parent.relative_to(source.parent).as_posix().replace("/", ".") for file in files]
    return [(package, name, statement) for package in packages for name, statement in load(package).items()]
