-- The first schema. Run as hw_owner inside one transaction, in schema `headworks` (search_path headworks, public).
-- Rules, checked by tests/architecture/test_catalogue.py: the tenant comes first in every key; every table with a tenant has
-- FORCEd row-level security with policies for all commands; views are security_invoker; nothing is SECURITY DEFINER.

-- ── Who asks: set once per transaction by storage/pool.py, and nothing else is ever passed in ──────────────────────────

CREATE FUNCTION app_tenant() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.tenant', true), '')::uuid;
CREATE FUNCTION app_principal() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.principal', true), '')::uuid;
CREATE FUNCTION app_key() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.key', true), '')::uuid;

-- ── Identity ───────────────────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE tenant (
    tenant_id   uuid PRIMARY KEY,
    name        text NOT NULL,
    is_operator boolean NOT NULL DEFAULT false,      -- the first one: only its owners create tenants
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE data_key (                 -- per-tenant keys of storage/sealing.py, wrapped by the master key
    tenant_id   uuid NOT NULL REFERENCES tenant,
    key_id      integer NOT NULL,
    wrapped     bytea NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    retired_at  timestamptz,
    PRIMARY KEY (tenant_id, key_id)
);

CREATE TABLE principal (                -- kind `curator`: the tenant's ingest writer; no key or session can ever belong to it
    tenant_id    uuid NOT NULL REFERENCES tenant,
    principal_id uuid NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('user', 'service', 'group', 'curator')),
    name         text NOT NULL,
    disabled_at  timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, principal_id),
    UNIQUE (tenant_id, name),
    UNIQUE (tenant_id, principal_id, kind)
);

CREATE TABLE membership (               -- who is directly in a group: users, service accounts, other groups; cycles are harmless
    tenant_id    uuid NOT NULL,
    group_id     uuid NOT NULL,
    group_kind   text NOT NULL DEFAULT 'group' CHECK (group_kind = 'group'),
    principal_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, principal_id, group_id),
    FOREIGN KEY (tenant_id, group_id, group_kind) REFERENCES principal (tenant_id, principal_id, kind) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, principal_id) REFERENCES principal ON DELETE CASCADE
);

CREATE INDEX membership_of_group ON membership (tenant_id, group_id);

CREATE TABLE principal_closure (        -- all groups that a principal is in, also through groups; written by `refresh_closure` only
    tenant_id    uuid NOT NULL,
    principal_id uuid NOT NULL,
    group_id     uuid NOT NULL,
    is_enabled   boolean NOT NULL,       -- by a way on which no group is disabled: such a one admits, any way denies
    PRIMARY KEY (tenant_id, principal_id, group_id),
    FOREIGN KEY (tenant_id, principal_id) REFERENCES principal ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, group_id) REFERENCES principal ON DELETE CASCADE
);

CREATE TABLE project (                  -- a workspace, owned by its home tenant
    tenant_id   uuid NOT NULL REFERENCES tenant,
    project_id  uuid NOT NULL,
    name        text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, project_id),
    UNIQUE (tenant_id, name)
);

CREATE TABLE role_binding (             -- principal (or group) has a role, built in or of roles.yaml, in the whole tenant
    tenant_id    uuid NOT NULL,
    principal_id uuid NOT NULL,
    role         text NOT NULL,
    PRIMARY KEY (tenant_id, principal_id, role),
    FOREIGN KEY (tenant_id, principal_id) REFERENCES principal ON DELETE CASCADE
);

CREATE TABLE role_definition (          -- the tenant's own roles, by the project whose roles.yaml defines each; built-in ones: identity/roles.py
    tenant_id   uuid NOT NULL REFERENCES tenant,
    role        text NOT NULL,
    permissions text[] NOT NULL,
    project_id  uuid NOT NULL,
    PRIMARY KEY (tenant_id, role),
    FOREIGN KEY (tenant_id, project_id) REFERENCES project ON DELETE CASCADE
);

CREATE TABLE feature_grant (            -- a feature lent by its home tenant to another tenant
    tenant_id         uuid NOT NULL,
    project_id        uuid NOT NULL,
    feature           text NOT NULL,
    grantee_tenant_id uuid NOT NULL,
    created_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, project_id, feature, grantee_tenant_id),
    FOREIGN KEY (tenant_id, project_id) REFERENCES project ON DELETE CASCADE
);

CREATE TABLE api_key (
    tenant_id      uuid NOT NULL,
    key_id         uuid NOT NULL,
    principal_id   uuid NOT NULL,
    principal_kind text NOT NULL CHECK (principal_kind IN ('user', 'service')),
    name           text NOT NULL DEFAULT '',
    secret_hash    bytea NOT NULL,       -- HMAC-SHA-256 of the secret under the server's pepper
    permissions    text[],               -- null: all of the principal's; else ⊆ those at creation and at every use
    allowed_models text[],               -- null: every model that the permissions allow
    narrowed       boolean NOT NULL DEFAULT false,   -- true: reads only through the groups of api_key_group
    expires_at     timestamptz,
    revoked_at     timestamptz,
    created_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, key_id),
    FOREIGN KEY (tenant_id, principal_id, principal_kind) REFERENCES principal (tenant_id, principal_id, kind)
);

CREATE TABLE api_key_group (
    tenant_id  uuid NOT NULL,
    key_id     uuid NOT NULL,
    group_id   uuid NOT NULL,
    PRIMARY KEY (tenant_id, key_id, group_id),
    FOREIGN KEY (tenant_id, key_id) REFERENCES api_key ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, group_id) REFERENCES principal ON DELETE CASCADE
);

CREATE TABLE claim (                    -- one-time links that sign a person in
    tenant_id    uuid NOT NULL,
    claim_hash   bytea NOT NULL,
    principal_id uuid NOT NULL,
    expires_at   timestamptz NOT NULL,
    used_at      timestamptz,
    PRIMARY KEY (tenant_id, claim_hash),
    FOREIGN KEY (tenant_id, principal_id) REFERENCES principal ON DELETE CASCADE
);

CREATE TABLE web_session (
    tenant_id    uuid NOT NULL,
    session_hash bytea NOT NULL,
    principal_id uuid NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    revoked_at   timestamptz,
    replaces     bytea,                  -- the session that this one rotated from, until this one is first used
    PRIMARY KEY (tenant_id, session_hash),
    FOREIGN KEY (tenant_id, principal_id) REFERENCES principal ON DELETE CASCADE
);

-- ── Groups in groups: the closure moves in the transaction that changes a membership or shuts a group ──────────────────

CREATE FUNCTION refresh_closure(of_tenant uuid, changed uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE affected uuid[];
BEGIN
    -- One at a time: of two that each add an edge, the second must see the edge of the first.
    PERFORM pg_advisory_xact_lock(hashtextextended('closure ' || of_tenant::text, 0));
    affected := ARRAY(
        WITH RECURSIVE inside AS (
            SELECT changed AS principal_id
             UNION
            SELECT m.principal_id FROM headworks.membership m JOIN inside i ON i.principal_id = m.group_id
             WHERE m.tenant_id = of_tenant)
        SELECT principal_id FROM inside);
    DELETE FROM headworks.principal_closure c WHERE c.tenant_id = of_tenant AND c.principal_id = ANY (affected);
    INSERT INTO headworks.principal_closure (tenant_id, principal_id, group_id, is_enabled)
    WITH RECURSIVE way AS (
        SELECT m.principal_id, m.group_id, g.disabled_at IS NULL AS is_enabled
          FROM headworks.membership m
          JOIN headworks.principal g ON g.tenant_id = m.tenant_id AND g.principal_id = m.group_id
         WHERE m.tenant_id = of_tenant AND m.principal_id = ANY (affected)
         UNION
        SELECT w.principal_id, m.group_id, w.is_enabled AND g.disabled_at IS NULL
          FROM way w
          JOIN headworks.membership m ON m.tenant_id = of_tenant AND m.principal_id = w.group_id
          JOIN headworks.principal g ON g.tenant_id = m.tenant_id AND g.principal_id = m.group_id)
    SELECT of_tenant, w.principal_id, w.group_id, bool_or(w.is_enabled) FROM way w GROUP BY w.principal_id, w.group_id;
END $$;

CREATE FUNCTION membership_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN PERFORM headworks.refresh_closure(OLD.tenant_id, OLD.principal_id); END IF;
    IF TG_OP <> 'DELETE' THEN PERFORM headworks.refresh_closure(NEW.tenant_id, NEW.principal_id); END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION group_shut_or_opened() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM headworks.refresh_closure(NEW.tenant_id, NEW.principal_id);
    RETURN NULL;
END $$;
-- By their names they come after `bumps_snapshot`, whose row lock every change of a tenant's principals takes first.
CREATE TRIGGER refreshes_closure AFTER INSERT OR UPDATE OR DELETE ON membership FOR EACH ROW EXECUTE FUNCTION membership_changed();
CREATE TRIGGER refreshes_closure AFTER UPDATE OF disabled_at ON principal FOR EACH ROW
    WHEN (NEW.kind = 'group' AND OLD.disabled_at IS DISTINCT FROM NEW.disabled_at) EXECUTE FUNCTION group_shut_or_opened();

-- ── Snapshots: what the request path keeps in memory is re-read when a tenant's version moves ──────────────────────────

CREATE TABLE snapshot_version (
    tenant_id   uuid PRIMARY KEY REFERENCES tenant,
    version     bigint NOT NULL DEFAULT 1
);

CREATE FUNCTION bump_snapshot() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE changed uuid := CASE WHEN TG_OP = 'DELETE' THEN OLD.tenant_id ELSE NEW.tenant_id END;
BEGIN
    INSERT INTO headworks.snapshot_version AS v (tenant_id) VALUES (changed)
        ON CONFLICT (tenant_id) DO UPDATE SET version = v.version + 1;
    PERFORM pg_notify('headworks_snapshot', '');     -- a wake-up hint; polling once a second is the truth
    RETURN NULL;
END $$;

-- ── Workspace and releases ─────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE workspace_file (           -- the files as last applied: what `diff` and `pull` compare with
    tenant_id   uuid NOT NULL,
    project_id  uuid NOT NULL,
    path        text NOT NULL,
    sha256      text NOT NULL,
    content     bytea NOT NULL,          -- sealed
    applied_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, project_id, path),
    FOREIGN KEY (tenant_id, project_id) REFERENCES project ON DELETE CASCADE
);

CREATE TABLE route (
    tenant_id   uuid NOT NULL,
    project_id  uuid NOT NULL,
    name        text NOT NULL,
    definition  jsonb NOT NULL,
    digest      text NOT NULL,
    PRIMARY KEY (tenant_id, name),
    FOREIGN KEY (tenant_id, project_id) REFERENCES project ON DELETE CASCADE
);

CREATE TABLE account (                  -- a provider as a project configures it; credentials are named, never stored
    tenant_id   uuid NOT NULL,
    project_id  uuid NOT NULL,
    name        text NOT NULL,
    definition  jsonb NOT NULL,
    PRIMARY KEY (tenant_id, name),
    FOREIGN KEY (tenant_id, project_id) REFERENCES project ON DELETE CASCADE
);

CREATE TABLE release (                  -- immutable: no UPDATE is ever granted
    tenant_id   uuid NOT NULL,
    digest      text NOT NULL,           -- sha256:… of the canonical manifest
    project_id  uuid NOT NULL,
    feature     text NOT NULL,
    kind        text NOT NULL DEFAULT 'feature' CHECK (kind IN ('feature', 'gate')),    -- what is called, or what judges it
    manifest    jsonb NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    created_by  uuid,
    PRIMARY KEY (tenant_id, digest),
    FOREIGN KEY (tenant_id, project_id) REFERENCES project
);

CREATE TABLE release_file (             -- content-addressed, shared between releases of a tenant
    tenant_id   uuid NOT NULL REFERENCES tenant,
    sha256      text NOT NULL,
    media_type  text NOT NULL,
    content     bytea NOT NULL,          -- sealed
    PRIMARY KEY (tenant_id, sha256)
);

CREATE TABLE channel (
    tenant_id   uuid NOT NULL,
    project_id  uuid NOT NULL,
    feature     text NOT NULL,
    name        text NOT NULL CHECK (name IN ('prod', 'canary', 'staging')),
    digest      text NOT NULL,
    revision    bigint NOT NULL DEFAULT 1,     -- compare-and-swap; goes on where a closed channel's ended
    moved_by_way text NOT NULL DEFAULT 'apply' CHECK (moved_by_way IN ('apply', 'promote', 'rollback', 'break_glass')),
    moved_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, project_id, feature, name),
    FOREIGN KEY (tenant_id, project_id) REFERENCES project ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, digest) REFERENCES release
);

CREATE TABLE channel_move (             -- append-only history of the pointers
    tenant_id   uuid NOT NULL,
    move_id     uuid NOT NULL,
    number      bigint GENERATED ALWAYS AS IDENTITY,    -- in which order moves were made, whatever the clock says
    project_id  uuid NOT NULL,
    feature     text NOT NULL,
    name        text NOT NULL,
    from_digest text,
    to_digest   text NOT NULL,
    revision    bigint NOT NULL,
    way         text NOT NULL DEFAULT 'apply' CHECK (way IN ('apply', 'promote', 'rollback', 'break_glass')),
    ungated     boolean NOT NULL,
    reason      text NOT NULL DEFAULT '',
    proposal    bigint,                  -- its number
    moved_by    uuid,
    moved_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, move_id),
    UNIQUE (tenant_id, project_id, feature, name, revision)
);

CREATE TABLE feature_gate (             -- what judges releases on their way to prod: never the one that a proposal brings along
    tenant_id   uuid NOT NULL,
    project_id  uuid NOT NULL,
    feature     text NOT NULL,
    digest      text NOT NULL,
    dataset     text,                    -- digest of its golden files; null: it has none
    revision    bigint NOT NULL DEFAULT 1,
    attached_at timestamptz NOT NULL DEFAULT now(),
    attached_by uuid,
    PRIMARY KEY (tenant_id, project_id, feature),
    FOREIGN KEY (tenant_id, project_id) REFERENCES project ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, digest) REFERENCES release
);

CREATE TABLE signing_key (              -- Ed25519: our own, and those of others whose attestations may be imported
    tenant_id   uuid NOT NULL REFERENCES tenant,
    key_id      text NOT NULL,           -- sha256:… of the public key
    is_own      boolean NOT NULL,
    material    bytea NOT NULL,          -- sealed: the private key of our own, the public key of another
    created_at  timestamptz NOT NULL DEFAULT now(),
    retired_at  timestamptz,
    PRIMARY KEY (tenant_id, key_id)
);

CREATE TABLE attestation (              -- signed statements about a digest: append-only
    tenant_id      uuid NOT NULL,
    attestation_id uuid NOT NULL,
    digest         text NOT NULL,
    predicate_type text NOT NULL,
    envelope       bytea NOT NULL,       -- sealed: what was signed, and the signature
    made_at        timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, attestation_id),
    FOREIGN KEY (tenant_id, digest) REFERENCES release
);
CREATE INDEX attestation_of_release ON attestation (tenant_id, digest, predicate_type);

CREATE TABLE release_block (            -- an incident: nothing is promoted until it is lifted
    tenant_id   uuid NOT NULL,
    block_id    uuid NOT NULL,
    project_id  uuid NOT NULL,
    feature     text NOT NULL,
    digest      text,                    -- null: every release of the feature
    reason      text NOT NULL,
    made_by     uuid NOT NULL,
    made_at     timestamptz NOT NULL DEFAULT now(),
    lifted_by   uuid,
    lifted_at   timestamptz,
    PRIMARY KEY (tenant_id, block_id),
    FOREIGN KEY (tenant_id, project_id) REFERENCES project ON DELETE CASCADE
);

CREATE TABLE proposal (                 -- a change of a workspace's files, talked over before it is live
    tenant_id   uuid NOT NULL,
    proposal_id uuid NOT NULL,
    number      bigint NOT NULL,
    project_id  uuid NOT NULL,
    state       text NOT NULL CHECK (state IN ('draft', 'open', 'accepted', 'closed')),
    risk        text NOT NULL CHECK (risk IN ('low', 'medium', 'high')),                 -- as of its last change
    title       bytea NOT NULL,          -- sealed; apart, so that a list opens nothing else
    content     bytea NOT NULL,          -- sealed: title, description, files
    made_by     uuid NOT NULL,
    made_at     timestamptz NOT NULL DEFAULT now(),
    changed_at  timestamptz NOT NULL DEFAULT now(),
    closed_by   uuid,
    closed_at   timestamptz,
    is_taken_up boolean NOT NULL DEFAULT false,     -- since it was accepted, an apply brought what it says, or went over it knowingly
    PRIMARY KEY (tenant_id, proposal_id),
    UNIQUE (tenant_id, number),
    FOREIGN KEY (tenant_id, project_id) REFERENCES project ON DELETE CASCADE
);

CREATE TABLE proposal_release (         -- which releases it brings, and what was live when it was written
    tenant_id   uuid NOT NULL,
    proposal_id uuid NOT NULL,
    feature     text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('feature', 'gate')),
    base        text,
    digest      text NOT NULL,
    PRIMARY KEY (tenant_id, proposal_id, feature, kind),
    FOREIGN KEY (tenant_id, proposal_id) REFERENCES proposal ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, digest) REFERENCES release
);

CREATE TABLE proposal_comment (         -- append-only
    tenant_id   uuid NOT NULL,
    comment_id  uuid NOT NULL,
    proposal_id uuid NOT NULL,
    content     bytea NOT NULL,          -- sealed: text, and the file and line it is about
    made_by     uuid NOT NULL,
    made_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, comment_id),
    FOREIGN KEY (tenant_id, proposal_id) REFERENCES proposal ON DELETE CASCADE
);

-- ── Evaluation and review ──────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE dataset (
    tenant_id   uuid NOT NULL,
    dataset_id  uuid NOT NULL,
    project_id  uuid NOT NULL,
    name        text NOT NULL,
    made_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, dataset_id),
    UNIQUE (tenant_id, project_id, name),
    FOREIGN KEY (tenant_id, project_id) REFERENCES project ON DELETE CASCADE
);

CREATE TABLE dataset_version (          -- append-only; the highest number is the one that is meant by the name
    tenant_id   uuid NOT NULL,
    dataset_id  uuid NOT NULL,
    number      bigint NOT NULL,
    digest      text NOT NULL,
    examples    int NOT NULL,
    unlocked    bytea,                   -- sealed: why examples were let move between splits; null: none did
    made_by     uuid NOT NULL,
    made_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, dataset_id, number),
    FOREIGN KEY (tenant_id, dataset_id) REFERENCES dataset ON DELETE CASCADE
);
CREATE INDEX dataset_version_by_digest ON dataset_version (tenant_id, digest);

CREATE TABLE dataset_example (          -- content-addressed, shared between versions of a tenant
    tenant_id   uuid NOT NULL REFERENCES tenant,
    digest      text NOT NULL,
    trace_id    uuid,                    -- that it was made of; null: of none
    content     bytea,                   -- sealed; null: erased, and never stored again
    PRIMARY KEY (tenant_id, digest)
);
CREATE INDEX dataset_example_of_trace ON dataset_example (tenant_id, trace_id) WHERE trace_id IS NOT NULL;

CREATE TABLE dataset_member (           -- which examples a version has, by its digest
    tenant_id   uuid NOT NULL,
    dataset     text NOT NULL,
    example     text NOT NULL,
    PRIMARY KEY (tenant_id, dataset, example),
    FOREIGN KEY (tenant_id, example) REFERENCES dataset_example
);

CREATE TABLE golden_split (             -- the lock on splits for golden files of a workspace
    tenant_id   uuid NOT NULL,
    project_id  uuid NOT NULL,
    path        text NOT NULL,
    sha256      text NOT NULL,           -- of the file as it was last
    content     bytea NOT NULL,          -- sealed: in which split each example and cluster was last
    PRIMARY KEY (tenant_id, project_id, path),
    FOREIGN KEY (tenant_id, project_id) REFERENCES project ON DELETE CASCADE
);

CREATE TABLE review_sample (            -- what was drawn for review, and out of how many
    tenant_id   uuid NOT NULL,
    sample_id   uuid NOT NULL,
    project_id  uuid NOT NULL,
    feature     text NOT NULL,
    metric      text NOT NULL,
    population  int NOT NULL,
    seed        bigint NOT NULL,
    made_by     uuid NOT NULL,
    made_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, sample_id),
    FOREIGN KEY (tenant_id, project_id) REFERENCES project ON DELETE CASCADE
);

CREATE TABLE judgement_wanted (         -- what people are asked to judge: by gates, and by samples
    tenant_id   uuid NOT NULL,
    wanted_id   uuid NOT NULL,
    project_id  uuid NOT NULL,
    queue       text NOT NULL,
    metric      text NOT NULL,
    subject     text NOT NULL,           -- what is judged: `trace:…`, or as its source names it
    release     text,
    dataset     text,
    example     text,
    trace_id    uuid,
    chance      double precision CHECK (chance > 0 AND chance <= 1),    -- of having been drawn; null: it was not
    sample_id   uuid,
    not_by      uuid[] NOT NULL DEFAULT '{}',    -- whose judgement does not count for it: who made or proposed what a gate judges
    reason      text NOT NULL DEFAULT '',
    made_by     uuid NOT NULL,
    made_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, wanted_id),
    UNIQUE NULLS NOT DISTINCT (tenant_id, project_id, metric, subject, sample_id, not_by),
    FOREIGN KEY (tenant_id, project_id) REFERENCES project ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, sample_id) REFERENCES review_sample
);

CREATE TABLE judgement (                -- what a person says of one answer: append-only, a changed one replaces
    tenant_id    uuid NOT NULL,
    judgement_id uuid NOT NULL,
    project_id   uuid NOT NULL,
    metric       text NOT NULL,
    subject      text NOT NULL,
    release      text,
    dataset      text,
    example      text,
    trace_id     uuid,
    kind         text NOT NULL CHECK (kind IN ('opinion', 'adjudication')),
    is_blind     boolean NOT NULL,       -- given before the rater could read another's
    rater        text NOT NULL,          -- a principal's id, or the name that an import gives
    verdict      text NOT NULL CHECK (verdict IN ('pass', 'fail', 'unsure', 'first', 'second', 'tie')),
    severity     smallint CHECK (severity BETWEEN 1 AND 3),
    failure_modes text[] NOT NULL DEFAULT '{}',
    content      bytea,                  -- sealed: critique, suggested fix, knowledge, evidence, criteria; null: erased
    replaces     uuid,
    made_by      uuid NOT NULL,
    made_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, judgement_id),
    UNIQUE (tenant_id, replaces),
    FOREIGN KEY (tenant_id, project_id) REFERENCES project ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, replaces) REFERENCES judgement
);
CREATE INDEX judgement_of_subject ON judgement (tenant_id, project_id, metric, subject);
CREATE INDEX judgement_of_example ON judgement (tenant_id, release, example) WHERE example IS NOT NULL;

CREATE TABLE experiment (               -- a release asked every example of a dataset, so many times, and scored
    tenant_id     uuid NOT NULL,
    experiment_id uuid NOT NULL,
    number        bigint GENERATED ALWAYS AS IDENTITY,  -- which is the newest, whatever the clock says
    project_id    uuid NOT NULL,
    feature       text NOT NULL,
    release       text NOT NULL,         -- digest
    gate          text,                  -- digest of the gate bundle that it is run for; null: for somebody to look at
    dataset       text NOT NULL,         -- digest of the examples
    dataset_name  text NOT NULL,
    scorers       jsonb NOT NULL,        -- name, digest, scale, is_better_high, is_judge of each
    examples      int NOT NULL,
    repeats       int NOT NULL,
    at_once       int NOT NULL,
    most_cost_micro_usd bigint,          -- null: no ceiling of its own
    cost_micro_usd bigint NOT NULL DEFAULT 0,   -- what it has spent itself; what was kept from before costs nothing
    state         text NOT NULL CHECK (state IN ('running', 'done', 'stopped', 'cancelled', 'failed')),
    why           text NOT NULL DEFAULT '',
    content       bytea NOT NULL,        -- sealed: the files that it was read from
    traces        uuid[] NOT NULL DEFAULT '{}',  -- that its examples were made of
    erased        int NOT NULL DEFAULT 0,        -- examples that were erased since
    revision      bigint NOT NULL DEFAULT 1,    -- goes up with every resume
    made_by       uuid NOT NULL,
    made_at       timestamptz NOT NULL DEFAULT now(),
    ended_at      timestamptz,
    PRIMARY KEY (tenant_id, experiment_id),
    FOREIGN KEY (tenant_id, project_id) REFERENCES project ON DELETE CASCADE
);
CREATE INDEX experiment_of_release ON experiment (tenant_id, release, dataset);

CREATE TABLE experiment_output (        -- what a release answered: kept for every experiment that asks the same
    tenant_id   uuid NOT NULL REFERENCES tenant,
    release     text NOT NULL,
    example     text NOT NULL,           -- digest
    repeat      int NOT NULL,
    trace_id    uuid,                    -- of the call that answered
    documents   uuid[] NOT NULL DEFAULT '{}',    -- that it rests on: read by who may read all of them
    content     bytea NOT NULL,          -- sealed
    error_code  text,
    made_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, release, example, repeat)
);
CREATE INDEX experiment_output_of_trace ON experiment_output (tenant_id, trace_id) WHERE trace_id IS NOT NULL;

CREATE TABLE experiment_score (
    tenant_id   uuid NOT NULL,
    release     text NOT NULL,
    example     text NOT NULL,
    repeat      int NOT NULL,
    scorer      text NOT NULL,           -- digest
    value       double precision,        -- null: an error
    label       text NOT NULL,
    error_code  text,
    content     bytea NOT NULL,          -- sealed: reason and details
    made_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, release, example, repeat, scorer),
    FOREIGN KEY (tenant_id, release, example, repeat) REFERENCES experiment_output ON DELETE CASCADE
);

CREATE TABLE gate_look (                -- each time a gate looked at results: append-only, so that trying again costs
    tenant_id   uuid NOT NULL,
    look_id     uuid NOT NULL,
    project_id  uuid NOT NULL,
    feature     text NOT NULL,
    golden      text NOT NULL,           -- digest of what the golden files say
    base        text NOT NULL,           -- release that it was compared with; empty: none was live
    candidate   text NOT NULL,
    gate        text NOT NULL,
    answers     text NOT NULL,           -- digest of what both sides answered, and how that was scored
    results     text NOT NULL,           -- digest of all that was looked at: what people said, too
    look        int NOT NULL,
    attempt     int NOT NULL,
    alpha       double precision NOT NULL,
    verdict     text NOT NULL CHECK (verdict IN ('PASS', 'FAIL', 'INCONCLUSIVE')),
    waits       boolean NOT NULL,        -- a line waited for people: judging on is the same look
    made_by     uuid NOT NULL,
    made_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, look_id),
    UNIQUE (tenant_id, project_id, feature, golden, base, candidate, look, results),
    FOREIGN KEY (tenant_id, project_id) REFERENCES project ON DELETE CASCADE
);

CREATE TABLE judge_card (               -- how a judge did beside people: append-only, the newest counts
    tenant_id   uuid NOT NULL,
    card_id     uuid NOT NULL,
    number      bigint GENERATED ALWAYS AS IDENTITY,    -- which is the newest, whatever the clock says
    project_id  uuid NOT NULL,
    judge       text NOT NULL,           -- digest of the scorer
    metric      text NOT NULL,
    card        jsonb NOT NULL,          -- numbers, and the tags that they are of
    is_good     boolean NOT NULL,
    valid_until timestamptz NOT NULL,
    made_by     uuid NOT NULL,
    made_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, card_id),
    FOREIGN KEY (tenant_id, project_id) REFERENCES project ON DELETE CASCADE
);
CREATE INDEX judge_card_of_judge ON judge_card (tenant_id, project_id, metric, judge, number);

-- ── Retrieval ──────────────────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE collection (
    tenant_id     uuid NOT NULL,
    collection_id uuid NOT NULL,
    project_id    uuid NOT NULL,
    name          text NOT NULL,
    settings      jsonb NOT NULL DEFAULT '{}',   -- chunk settings, embedding model, document reader patterns
    generation_id uuid,                          -- the one live generation
    epoch         bigint NOT NULL DEFAULT 1,     -- moves with every change of content or readers
    wave          bigint NOT NULL DEFAULT 0,     -- names the run that takes up what is handed in now
    lacks_vectors boolean NOT NULL DEFAULT false,    -- chunks of the live generation wait for their embedding
    PRIMARY KEY (tenant_id, collection_id),
    UNIQUE (tenant_id, name),
    FOREIGN KEY (tenant_id, project_id) REFERENCES project
);

CREATE TABLE generation (
    tenant_id     uuid NOT NULL,
    generation_id uuid NOT NULL,
    collection_id uuid NOT NULL,
    model         text NOT NULL,
    model_digest  text,                          -- of the weights; null: it has no vectors yet
    dimension     integer,
    vectors       bigint NOT NULL DEFAULT 0,     -- about how many: with many it wants an index, nearest_<generation_id>
    trouble       text,                          -- why its model's vectors are not stored, e.g. of the wrong size
    chunking      jsonb NOT NULL,
    languages     text[] NOT NULL DEFAULT '{}',  -- that its chunks are analysed in
    bare_chunks   integer NOT NULL DEFAULT 0,    -- without the context that a model was to write
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, generation_id),
    FOREIGN KEY (tenant_id, collection_id) REFERENCES collection ON DELETE CASCADE
);

CREATE TABLE collection_reader (
    tenant_id     uuid NOT NULL,
    collection_id uuid NOT NULL,
    principal_id  uuid NOT NULL,
    PRIMARY KEY (tenant_id, collection_id, principal_id),
    FOREIGN KEY (tenant_id, collection_id) REFERENCES collection ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, principal_id) REFERENCES principal ON DELETE CASCADE
);

CREATE TABLE collection_denial (        -- deny entries go before every reader, also through groups
    tenant_id     uuid NOT NULL,
    collection_id uuid NOT NULL,
    principal_id  uuid NOT NULL,
    PRIMARY KEY (tenant_id, collection_id, principal_id),
    FOREIGN KEY (tenant_id, collection_id) REFERENCES collection ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, principal_id) REFERENCES principal ON DELETE CASCADE
);

CREATE TABLE document (
    tenant_id     uuid NOT NULL,
    document_id   uuid NOT NULL,
    collection_id uuid NOT NULL,
    source        text NOT NULL,                 -- which sync owns it, e.g. `upload` or `folder:…`
    path          text NOT NULL,
    part          text NOT NULL DEFAULT '',      -- empty: the file itself; the headings of a section with readers of its own
    part_of       uuid,                          -- the file's document, whose lists must admit, too
    cut_by        text,                          -- the rule of the collection that the section is cut off by
    shown_path    text NOT NULL GENERATED ALWAYS AS (path || CASE WHEN part = '' THEN '' ELSE '#' || part END) STORED,
    title         text NOT NULL,
    media_type    text NOT NULL,
    content_hash  text NOT NULL,                 -- sha256 of the file
    version       integer NOT NULL,
    restricted    boolean NOT NULL,              -- has a list of its own: document_reader; empty = nobody
    file_restricted boolean NOT NULL DEFAULT false,  -- of a section: whether its file has one; kept by parts_follow
    given_readers uuid[],                        -- the list given on upload; null: none was; a pattern goes before it
    has_denials   boolean NOT NULL DEFAULT false,    -- there are rows of document_denial
    given_denials uuid[] NOT NULL DEFAULT '{}',  -- those of them that were given on upload
    own_metadata  jsonb NOT NULL DEFAULT '{}',   -- what the file says of itself
    given_metadata jsonb,                        -- what was said of it on upload; null: nothing was
    metadata      jsonb NOT NULL GENERATED ALWAYS AS (own_metadata || coalesce(given_metadata, '{}')) STORED,
    readers_from  uuid,                          -- the source that tells its readers: hidden when it has not for too long
    handed_in_by  uuid NOT NULL,                 -- who knows its path and hash without reading it
    characters    integer NOT NULL,
    blob_id       uuid,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    confirmed_at  timestamptz NOT NULL DEFAULT now(),    -- when it was last handed in, or still there at the end of a sync
    valid_from    timestamptz,                   -- before, and from valid_to on, nobody reads it; null: no limit
    valid_to      timestamptz,
    review_at     timestamptz,                   -- when somebody is to look at it again
    tombstoned_at timestamptz,
    PRIMARY KEY (tenant_id, document_id),
    CHECK (part_of IS NULL OR (part <> '' AND restricted)),
    UNIQUE (tenant_id, collection_id, source, path, part),
    FOREIGN KEY (tenant_id, part_of) REFERENCES document ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, collection_id) REFERENCES collection ON DELETE CASCADE
);
CREATE INDEX document_part ON document (tenant_id, part_of) WHERE part_of IS NOT NULL;
CREATE INDEX document_unrestricted ON document (tenant_id, collection_id, document_id) WHERE NOT restricted;

CREATE TABLE document_fact (            -- what filters look for, each value a row: made by note_facts of what the document says
    tenant_id     uuid NOT NULL,
    document_id   uuid NOT NULL,
    place         integer NOT NULL,
    collection_id uuid NOT NULL,
    name          text NOT NULL,
    number        double precision,              -- numbers, truth (0 and 1), dates (microseconds since 1970)
    text          text COLLATE "C",              -- texts, and dates as written: the first 200 characters
    PRIMARY KEY (tenant_id, document_id, place),
    FOREIGN KEY (tenant_id, document_id) REFERENCES document ON DELETE CASCADE
);
CREATE INDEX document_fact_number ON document_fact (tenant_id, collection_id, name, number, document_id) WHERE number IS NOT NULL;
CREATE INDEX document_fact_text ON document_fact (tenant_id, collection_id, name, text, document_id) WHERE text IS NOT NULL;

CREATE TABLE document_reader (
    tenant_id     uuid NOT NULL,
    document_id   uuid NOT NULL,
    principal_id  uuid NOT NULL,
    PRIMARY KEY (tenant_id, document_id, principal_id),
    FOREIGN KEY (tenant_id, document_id) REFERENCES document ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, principal_id) REFERENCES principal ON DELETE CASCADE
);
CREATE INDEX document_reader_of_principal ON document_reader (tenant_id, principal_id, document_id);

CREATE TABLE document_version (         -- what a document was, and who brought it; its text lies in document_text until it is purged
    tenant_id     uuid NOT NULL,
    document_id   uuid NOT NULL,
    version       integer NOT NULL,
    content_hash  text NOT NULL,
    characters    integer NOT NULL,
    handed_in_by  uuid NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    replaced_at   timestamptz,                   -- null: it is the one that is read
    blob_id       uuid,                          -- the original of one that was replaced under a legal hold
    collection_readers uuid[],                   -- the lists that it had when it was replaced or vanished, written by keep_lists
    file_readers  uuid[],                        -- of a section: its file's; null: that had none
    readers       uuid[],                        -- null: it had none of its own
    denied        uuid[],                        -- by the collection, the file or the document
    PRIMARY KEY (tenant_id, document_id, version),
    FOREIGN KEY (tenant_id, document_id) REFERENCES document ON DELETE CASCADE
);
CREATE INDEX document_version_original ON document_version (tenant_id, blob_id) WHERE blob_id IS NOT NULL;

CREATE TABLE document_denial (
    tenant_id     uuid NOT NULL,
    document_id   uuid NOT NULL,
    principal_id  uuid NOT NULL,
    PRIMARY KEY (tenant_id, document_id, principal_id),
    FOREIGN KEY (tenant_id, document_id) REFERENCES document ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, principal_id) REFERENCES principal ON DELETE CASCADE
);

CREATE TABLE document_text (            -- the stored text that offsets point into, and its headings
    tenant_id     uuid NOT NULL,
    document_id   uuid NOT NULL,
    version       integer NOT NULL,
    content       bytea NOT NULL,                -- sealed: {text, headings, pages}
    PRIMARY KEY (tenant_id, document_id, version),
    FOREIGN KEY (tenant_id, document_id) REFERENCES document ON DELETE CASCADE
);

CREATE TABLE chunk (
    tenant_id     uuid NOT NULL,
    chunk_id      bigint GENERATED BY DEFAULT AS IDENTITY,
    collection_id uuid NOT NULL,
    generation_id uuid NOT NULL,
    document_id   uuid NOT NULL,
    ordinal       integer NOT NULL,
    start_offset  integer NOT NULL,              -- characters into the stored text
    end_offset    integer NOT NULL,
    content       bytea NOT NULL,                -- sealed: {text, section, context}
    PRIMARY KEY (tenant_id, chunk_id),
    UNIQUE (tenant_id, document_id, generation_id, ordinal),
    FOREIGN KEY (tenant_id, document_id) REFERENCES document ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, generation_id) REFERENCES generation ON DELETE CASCADE
);
CREATE INDEX chunk_of_generation ON chunk (tenant_id, generation_id);

CREATE TABLE chunk_context (            -- what a model wrote about chunks, kept so that it is asked once
    tenant_id     uuid NOT NULL,
    collection_id uuid NOT NULL,
    content_hash  text NOT NULL,                 -- of the file
    digest        text NOT NULL,                 -- of the model, the prompt and the chunk with what stands around it
    content       bytea NOT NULL,                -- sealed
    PRIMARY KEY (tenant_id, collection_id, content_hash, digest),
    FOREIGN KEY (tenant_id, collection_id) REFERENCES collection ON DELETE CASCADE
);

CREATE TABLE embedding (                -- of every dimension, one a chunk; derived, unsealed (SECURITY.md)
    tenant_id     uuid NOT NULL,
    generation_id uuid NOT NULL,                 -- its vectors are all of its `dimension`
    chunk_id      bigint NOT NULL,
    document_id   uuid NOT NULL,
    vector        halfvec NOT NULL,              -- of length 1
    PRIMARY KEY (tenant_id, chunk_id),
    FOREIGN KEY (tenant_id, chunk_id) REFERENCES chunk ON DELETE CASCADE
);
CREATE INDEX embedding_of_document ON embedding (tenant_id, generation_id, document_id);

CREATE TABLE posting (                  -- packed blocks of retrieval/lexical.py; derived, unsealed (SECURITY.md)
    tenant_id     uuid NOT NULL,
    collection_id uuid NOT NULL,
    term          text NOT NULL,
    segment_id    bigint NOT NULL,
    block         bytea NOT NULL,
    PRIMARY KEY (tenant_id, collection_id, term, segment_id),
    FOREIGN KEY (tenant_id, collection_id) REFERENCES collection ON DELETE CASCADE
);

CREATE TABLE posting_segment (          -- statistics, per tenant and collection only
    tenant_id     uuid NOT NULL,
    collection_id uuid NOT NULL,
    generation_id uuid NOT NULL,
    segment_id    bigint GENERATED BY DEFAULT AS IDENTITY,
    chunks        integer NOT NULL,
    total_length  bigint NOT NULL,
    PRIMARY KEY (tenant_id, collection_id, segment_id),
    FOREIGN KEY (tenant_id, collection_id) REFERENCES collection ON DELETE CASCADE
);

CREATE TABLE sync (                     -- one pass over a source: what was seen, what is to vanish
    tenant_id     uuid NOT NULL,
    sync_id       uuid NOT NULL,
    collection_id uuid NOT NULL,
    source        text NOT NULL,
    started_at    timestamptz NOT NULL DEFAULT now(),
    finished_at   timestamptz,
    started_by    uuid NOT NULL,
    PRIMARY KEY (tenant_id, sync_id),
    FOREIGN KEY (tenant_id, collection_id) REFERENCES collection ON DELETE CASCADE
);

CREATE TABLE source (                   -- where a collection's documents come from by themselves, and how far its sync is
    tenant_id     uuid NOT NULL,
    source_id     uuid NOT NULL,
    collection_id uuid NOT NULL,
    name          text NOT NULL,                 -- as in document.source
    sync_id       uuid,                          -- the sync under way; null: none
    chain         uuid,                          -- names the runs that go on with it: those of an older one stop
    phase         text NOT NULL DEFAULT 'waiting' CHECK (phase IN ('waiting', 'changes', 'sweep', 'done', 'failed')),
    step          bigint NOT NULL DEFAULT 0,     -- moves with every write of a sync: a run that was taken over writes nothing
    state         bytea,                         -- sealed: cursors, what was seen, what is to be tried again
    looked_at     integer NOT NULL DEFAULT 0,
    expected      integer,
    error_code    text,
    error_message text,
    carries_permissions boolean NOT NULL DEFAULT false,
    readable_until timestamptz,                  -- of documents whose readers it tells
    synced_at     timestamptz,                   -- the end of the last sync that went through
    held_back     integer,                       -- so many documents were gone that no sync has removed them since
    confirmed     boolean NOT NULL DEFAULT false, -- the sync under way may remove as many as were held back
    due_at        timestamptz,                   -- when the next sync begins by itself; null: only when asked for
    PRIMARY KEY (tenant_id, source_id),
    UNIQUE (tenant_id, collection_id, name),
    FOREIGN KEY (tenant_id, collection_id) REFERENCES collection ON DELETE CASCADE
);

CREATE TABLE ingest_item (              -- one file handed in; acknowledged when this row and its blob are committed
    tenant_id     uuid NOT NULL,
    item_id       uuid NOT NULL,
    sync_id       uuid,
    collection_id uuid NOT NULL,
    source        text NOT NULL,
    path          text NOT NULL,
    media_type    text NOT NULL,
    content_hash  text NOT NULL,
    bytes         bigint NOT NULL,
    blob_id       uuid,
    readers       uuid[],                        -- given on upload, this one or one that it superseded; null: none were
    denials       uuid[],                        -- the same of deny entries
    metadata      jsonb,                         -- the same of metadata
    said          text NOT NULL DEFAULT '',      -- digest of what was handed in with an idempotency key
    state         text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'done', 'unchanged', 'failed', 'superseded')),
    attempts      integer NOT NULL DEFAULT 0,    -- how often a run has taken it up: what kills processes is set aside
    chunks        integer NOT NULL DEFAULT 0,
    error_code    text,
    error_message text,
    handed_in_by  uuid NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    finished_at   timestamptz,
    PRIMARY KEY (tenant_id, item_id),
    FOREIGN KEY (tenant_id, collection_id) REFERENCES collection ON DELETE CASCADE
);
CREATE INDEX ingest_item_open ON ingest_item (tenant_id, collection_id, created_at, item_id) WHERE state = 'queued';
CREATE INDEX ingest_item_open_path ON ingest_item (tenant_id, collection_id, source, path) WHERE state = 'queued';
CREATE INDEX ingest_item_failed ON ingest_item (tenant_id, collection_id, path) WHERE state = 'failed';
CREATE INDEX ingest_item_of_sync ON ingest_item (tenant_id, sync_id);

CREATE TABLE blob (                     -- originals, sealed, in pieces of at most 1 MiB
    tenant_id   uuid NOT NULL REFERENCES tenant,
    blob_id     uuid NOT NULL,
    piece       integer NOT NULL,
    content     bytea NOT NULL,
    PRIMARY KEY (tenant_id, blob_id, piece)
);
ALTER TABLE blob ALTER COLUMN content SET STORAGE EXTERNAL;

CREATE TABLE legal_hold (               -- while it stands, nothing of the document, the collection or the person is purged or erased
    tenant_id     uuid NOT NULL REFERENCES tenant,
    hold_id       uuid NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('document', 'collection', 'person')),
    subject_id    uuid NOT NULL,
    reason        text NOT NULL,
    placed_by     uuid NOT NULL,
    placed_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, hold_id),
    UNIQUE (tenant_id, kind, subject_id)
);

CREATE TABLE purge_receipt (            -- what was removed for good: ids, hashes and counts, never text or names; append-only
    tenant_id     uuid NOT NULL REFERENCES tenant,
    receipt_id    uuid NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('purge', 'erasure')),
    subject       text NOT NULL,                 -- `collection:…`, `document:…` or `person:…`, by id
    policy        text NOT NULL,                 -- the rule or the request that it was removed by
    asked_by      uuid NOT NULL,
    at            timestamptz NOT NULL DEFAULT now(),
    detail        jsonb NOT NULL,
    PRIMARY KEY (tenant_id, receipt_id)
);

CREATE TABLE job_pause (                -- runs of these partitions of durable work wait until it is taken away
    tenant_id     uuid NOT NULL REFERENCES tenant,
    partition     text NOT NULL,
    paused_by     uuid NOT NULL,
    paused_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, partition)
);

-- ── Records: append-only; partitions by arrival are made ahead, and granted, by storage/partitions.py ───────────────────────────────

CREATE TABLE usage (                    -- one row per call of a model; stage timings are columns
    tenant_id       uuid NOT NULL,
    arrived_at      timestamptz NOT NULL,
    request_id      uuid NOT NULL,
    trace_id        uuid NOT NULL,
    principal_id    uuid,
    key_id          uuid,
    surface         text NOT NULL,       -- chat, embeddings, … or `internal`
    purpose         text NOT NULL,       -- answer, embed_query, embed_ingest, …
    asked_model     text NOT NULL,
    feature         text,
    channel         text,
    release         text,                -- digest
    provider        text,
    model           text,
    status          smallint NOT NULL,
    error_code      text,
    streamed        boolean NOT NULL,
    attempts        smallint NOT NULL DEFAULT 1,
    input_tokens    integer,             -- inclusive: cached, written to the cache and audio tokens are in it
    cached_input_tokens integer,
    cache_write_tokens integer,          -- for five minutes
    cache_write_1h_tokens integer,       -- for an hour
    audio_input_tokens integer,
    output_tokens   integer,             -- inclusive: reasoning and audio are in it
    reasoning_tokens integer,
    audio_output_tokens integer,
    is_estimated    boolean NOT NULL DEFAULT false,
    service_tier    text,                -- in which the provider says that it served the call
    continuations   smallint NOT NULL DEFAULT 0, -- how often another target went on with the text of one that was cut off
    cost_micro_usd  bigint,              -- null: no price is known
    price_version   text,
    end_user        text,
    admit_us        bigint,
    retrieval_us    bigint,
    render_us       bigint,
    first_byte_us   bigint,
    upstream_us     bigint,
    total_us        bigint NOT NULL,
    PRIMARY KEY (tenant_id, arrived_at, request_id)
) PARTITION BY RANGE (arrived_at);

CREATE TABLE span (
    tenant_id       uuid NOT NULL,
    arrived_at      timestamptz NOT NULL,
    trace_id        uuid NOT NULL,
    span_id         uuid NOT NULL,
    parent_id       uuid,
    principal_id    uuid,
    key_id          uuid,
    name            text NOT NULL,
    started_at      timestamptz NOT NULL,
    duration_us     bigint NOT NULL,
    status          text NOT NULL DEFAULT 'ok',
    release         text,
    input_tokens    integer,
    output_tokens   integer,
    cost_micro_usd  bigint,
    attributes      jsonb NOT NULL DEFAULT '{}',     -- never payload
    documents       uuid[] NOT NULL DEFAULT '{}',    -- whose text the payload may hold: shown only to who may read all of them
    payload         bytea,                           -- sealed; passages are references into stored text
    PRIMARY KEY (tenant_id, arrived_at, span_id)
) PARTITION BY RANGE (arrived_at);
CREATE INDEX span_of_trace ON span (tenant_id, trace_id);

CREATE TABLE audit_event (
    tenant_id    uuid NOT NULL,
    event_id     uuid NOT NULL,
    at           timestamptz NOT NULL DEFAULT now(),
    principal_id uuid,
    key_id       uuid,
    action       text NOT NULL,
    subject      text NOT NULL,
    detail       jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, event_id)
);

CREATE TABLE stored_response (          -- of /v1/responses: where it lies, or, where nobody else keeps it, what it says
    tenant_id    uuid NOT NULL,
    principal_id uuid NOT NULL,          -- who asked: nobody else finds it
    response_id  text NOT NULL CHECK (length(response_id) <= 512),
    number       bigint GENERATED ALWAYS AS IDENTITY,    -- a response follows only those with a lower one
    target       text,                   -- who keeps it; null: we do
    previous_id  text,                   -- of ours: which it follows
    content      bytea,                  -- sealed: {input, response, making}
    documents    uuid[] NOT NULL DEFAULT '{}',   -- what it may quote: found only by who may read all of them
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, principal_id, response_id),
    FOREIGN KEY (tenant_id, principal_id) REFERENCES principal ON DELETE CASCADE,
    CHECK ((target IS NULL) = (content IS NOT NULL))
);
CREATE INDEX stored_response_by_age ON stored_response (tenant_id, expires_at);

CREATE TABLE stored_item (              -- an item of a stored response, which its owner may name in a later request
    tenant_id    uuid NOT NULL,
    principal_id uuid NOT NULL,
    item_id      text NOT NULL CHECK (length(item_id) <= 512),
    response_id  text NOT NULL,
    PRIMARY KEY (tenant_id, principal_id, item_id),
    FOREIGN KEY (tenant_id, principal_id, response_id) REFERENCES stored_response ON DELETE CASCADE
);
CREATE INDEX stored_item_of_response ON stored_item (tenant_id, principal_id, response_id);

CREATE TABLE replica (                  -- heartbeats of the processes that do durable work; of no tenant
    executor_id text PRIMARY KEY,
    beat_at     timestamptz NOT NULL
);

-- ── Who the caller reads as ────────────────────────────────────────────────────────────────────────────────────────────
-- A whole key (or a session) reads as its principal and all its groups, also those that its groups are in; a narrowed key
-- only as those of its named groups that the principal is still in; a revoked or expired key and a disabled principal as
-- nobody.

CREATE VIEW acting_as WITH (security_invoker = true) AS
    WITH asking AS (
        SELECT p.tenant_id, p.principal_id, coalesce(k.narrowed, false) AS narrowed
          FROM principal p
          LEFT JOIN api_key k ON k.tenant_id = p.tenant_id AND k.principal_id = p.principal_id AND k.key_id = app_key()
         WHERE p.tenant_id = app_tenant() AND p.principal_id = app_principal() AND p.disabled_at IS NULL
           AND (app_key() IS NULL
                OR (k.key_id IS NOT NULL AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())))
    )
    SELECT principal_id FROM asking WHERE NOT narrowed
    UNION ALL
    SELECT m.group_id FROM asking a JOIN principal_closure m ON m.tenant_id = a.tenant_id AND m.principal_id = a.principal_id
     WHERE m.is_enabled AND (NOT a.narrowed
        OR EXISTS (SELECT FROM api_key_group n WHERE n.tenant_id = m.tenant_id AND n.key_id = app_key() AND n.group_id = m.group_id));

-- What the policies ask, once per statement. In plpgsql, whose plans are kept for the session: written out in each policy,
-- planning a statement took longer than executing it.
CREATE FUNCTION is_curator() RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM headworks.principal p WHERE p.tenant_id = headworks.app_tenant()
                                                       AND p.principal_id = headworks.app_principal() AND p.kind = 'curator');
END $$;
CREATE FUNCTION acting_ids() RETURNS uuid[] LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN ARRAY(SELECT a.principal_id FROM headworks.acting_as a);
END $$;
-- Whose deny entries hold for the caller: a key that is narrowed, or a group that is disabled, opens nothing by that.
CREATE FUNCTION deniable_ids() RETURNS uuid[] LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN headworks.app_principal() || ARRAY(SELECT c.group_id FROM headworks.principal_closure c
                                               WHERE c.tenant_id = headworks.app_tenant() AND c.principal_id = headworks.app_principal());
END $$;
CREATE FUNCTION denied_collections() RETURNS uuid[] LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN ARRAY(SELECT DISTINCT d.collection_id FROM headworks.collection_denial d WHERE d.tenant_id = headworks.app_tenant());
END $$;
CREATE FUNCTION readable_collections() RETURNS uuid[] LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN ARRAY(SELECT DISTINCT c.collection_id FROM headworks.collection_reader c WHERE c.tenant_id = headworks.app_tenant());
END $$;
-- The sources whose documents may be read: those that told their readers not too long ago.
CREATE FUNCTION fresh_sources() RETURNS uuid[] LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN ARRAY(SELECT s.source_id FROM headworks.source s WHERE s.tenant_id = headworks.app_tenant() AND s.readable_until > now());
END $$;

-- ── Policies ───────────────────────────────────────────────────────────────────────────────────────────────────────────

DO $$
DECLARE
    every_table text[] := ARRAY['experiment','experiment_output','experiment_score','gate_look','judge_card','tenant','data_key','principal','membership','principal_closure','project','role_binding','role_definition','feature_grant',
        'api_key','api_key_group','claim','web_session','snapshot_version','workspace_file','route','account','release','release_file',
        'channel','channel_move','feature_gate','signing_key','attestation','release_block','proposal','proposal_release','proposal_comment',
        'dataset','dataset_version','dataset_example','dataset_member','golden_split','review_sample','judgement_wanted','judgement','collection','generation','collection_reader','collection_denial','document','document_fact','document_reader','document_denial','document_text','chunk',
        'chunk_context','embedding','posting','posting_segment','sync','source','ingest_item','blob','usage','span','audit_event','stored_response','stored_item',
        'document_version','legal_hold','purge_receipt','job_pause'];
    by_tenant text[] := ARRAY['experiment','experiment_output','experiment_score','gate_look','judge_card','tenant','data_key','principal','membership','principal_closure','project','role_binding','role_definition',
        'api_key','api_key_group','claim','web_session','snapshot_version','workspace_file','route','account','release','release_file',
        'channel','channel_move','feature_gate','signing_key','attestation','release_block','proposal','proposal_release','proposal_comment',
        'dataset','dataset_version','dataset_example','dataset_member','golden_split','review_sample','judgement_wanted','judgement','collection','generation','chunk_context','posting','posting_segment','source','blob','usage','span','audit_event',
        'legal_hold','purge_receipt','job_pause'];
    of_document text[] := ARRAY['chunk','embedding'];
    for_system text[] := ARRAY['tenant','data_key','principal','membership','principal_closure','project','role_binding','role_definition','feature_grant',
        'api_key','api_key_group','claim','web_session','snapshot_version','route','account','release','release_file','channel','collection'];
    bumping text[] := ARRAY['principal','membership','project','role_binding','role_definition','feature_grant','api_key','api_key_group',
        'route','account','channel'];
    t text;
BEGIN
    FOREACH t IN ARRAY every_table LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    END LOOP;
    FOREACH t IN ARRAY by_tenant LOOP
        EXECUTE format('CREATE POLICY of_tenant ON %I FOR ALL TO hw_app USING (tenant_id = (SELECT app_tenant())) '
                       'WITH CHECK (tenant_id = (SELECT app_tenant()))', t);
    END LOOP;
    FOREACH t IN ARRAY of_document LOOP
        EXECUTE format('CREATE POLICY readable ON %I FOR SELECT TO hw_app USING (tenant_id = (SELECT app_tenant()) AND EXISTS '
                       '(SELECT FROM document d WHERE d.tenant_id = %I.tenant_id AND d.document_id = %I.document_id))', t, t, t);
    END LOOP;
    FOREACH t IN ARRAY of_document || ARRAY['document_version','document_text','document','document_fact','document_reader','document_denial',
                     'collection_reader','collection_denial'] LOOP
        EXECUTE format('CREATE POLICY curated_insert ON %I FOR INSERT TO hw_app WITH CHECK (tenant_id = (SELECT app_tenant()) AND (SELECT is_curator()))', t);
        EXECUTE format('CREATE POLICY curated_update ON %I FOR UPDATE TO hw_app USING (tenant_id = (SELECT app_tenant()) AND (SELECT is_curator())) '
                       'WITH CHECK (tenant_id = (SELECT app_tenant()) AND (SELECT is_curator()))', t);
        EXECUTE format('CREATE POLICY curated_delete ON %I FOR DELETE TO hw_app USING (tenant_id = (SELECT app_tenant()) AND (SELECT is_curator()))', t);
    END LOOP;
    FOREACH t IN ARRAY for_system LOOP
        EXECUTE format('CREATE POLICY system_reads ON %I FOR SELECT TO hw_system USING (true)', t);
        EXECUTE format('GRANT SELECT ON %I TO hw_system', t);
    END LOOP;
    FOREACH t IN ARRAY bumping LOOP
        EXECUTE format('CREATE TRIGGER bumps_snapshot AFTER INSERT OR UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION bump_snapshot()', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['usage','span','audit_event'] LOOP
        EXECUTE format('CREATE POLICY ingested ON %I FOR INSERT TO hw_ingest WITH CHECK (true)', t);
        EXECUTE format('GRANT INSERT ON %I TO hw_ingest', t);
    END LOOP;
END $$;

CREATE TRIGGER bumps_snapshot AFTER INSERT OR DELETE OR UPDATE OF name, project_id, settings ON collection
    FOR EACH ROW EXECUTE FUNCTION bump_snapshot();          -- not by its counters, which move with every batch

-- What was handed in is known to who handed it in, and to the curator, who works on it: paths are not for every eye.
CREATE POLICY own ON sync FOR SELECT TO hw_app
    USING (tenant_id = (SELECT app_tenant()) AND ((SELECT is_curator()) OR started_by = (SELECT app_principal())));
CREATE POLICY begun_by_self ON sync FOR INSERT TO hw_app
    WITH CHECK (tenant_id = (SELECT app_tenant()) AND started_by = (SELECT app_principal()));
CREATE POLICY own ON ingest_item FOR SELECT TO hw_app
    USING (tenant_id = (SELECT app_tenant()) AND ((SELECT is_curator()) OR handed_in_by = (SELECT app_principal())));
CREATE POLICY handed_in_by_self ON ingest_item FOR INSERT TO hw_app
    WITH CHECK (tenant_id = (SELECT app_tenant()) AND handed_in_by = (SELECT app_principal()));
CREATE POLICY curated_insert ON ingest_item FOR INSERT TO hw_app      -- an original again, in the name of who brought it
    WITH CHECK (tenant_id = (SELECT app_tenant()) AND (SELECT is_curator()));
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['sync','ingest_item'] LOOP
        EXECUTE format('CREATE POLICY curated_update ON %I FOR UPDATE TO hw_app USING (tenant_id = (SELECT app_tenant()) AND (SELECT is_curator())) '
                       'WITH CHECK (tenant_id = (SELECT app_tenant()) AND (SELECT is_curator()))', t);
        EXECUTE format('CREATE POLICY curated_delete ON %I FOR DELETE TO hw_app USING (tenant_id = (SELECT app_tenant()) AND (SELECT is_curator()))', t);
    END LOOP;
END $$;

-- A stored response is its owner's alone; the curator removes what has expired and what is erased.
CREATE POLICY own ON stored_response FOR ALL TO hw_app
    USING (tenant_id = (SELECT app_tenant()) AND principal_id = (SELECT app_principal()))
    WITH CHECK (tenant_id = (SELECT app_tenant()) AND principal_id = (SELECT app_principal()));
CREATE POLICY own ON stored_item FOR ALL TO hw_app
    USING (tenant_id = (SELECT app_tenant()) AND principal_id = (SELECT app_principal()))
    WITH CHECK (tenant_id = (SELECT app_tenant()) AND principal_id = (SELECT app_principal()));
CREATE POLICY curated_seen ON stored_response FOR SELECT TO hw_app USING (tenant_id = (SELECT app_tenant()) AND (SELECT is_curator()));
CREATE POLICY curated_removed ON stored_response FOR DELETE TO hw_app USING (tenant_id = (SELECT app_tenant()) AND (SELECT is_curator()));

-- Append-only but for what erasure takes out of it, which the curator does and a trigger keeps to.
CREATE FUNCTION only_forgets() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(NEW) - TG_ARGV[0] <> to_jsonb(OLD) - TG_ARGV[0] OR to_jsonb(NEW) -> TG_ARGV[0] <> 'null' THEN
        RAISE EXCEPTION 'rows of % are not changed', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER only_forgets BEFORE UPDATE ON span FOR EACH ROW EXECUTE FUNCTION only_forgets('payload');
CREATE TRIGGER only_forgets BEFORE UPDATE ON usage FOR EACH ROW EXECUTE FUNCTION only_forgets('end_user');
CREATE TRIGGER only_forgets BEFORE UPDATE ON dataset_example FOR EACH ROW EXECUTE FUNCTION only_forgets('content');
CREATE TRIGGER only_forgets BEFORE UPDATE ON judgement FOR EACH ROW EXECUTE FUNCTION only_forgets('content');
CREATE POLICY erased ON dataset_example AS RESTRICTIVE FOR UPDATE TO hw_app USING ((SELECT is_curator()));
CREATE POLICY erased ON judgement AS RESTRICTIVE FOR UPDATE TO hw_app USING ((SELECT is_curator()));
CREATE POLICY erased ON span AS RESTRICTIVE FOR UPDATE TO hw_app USING ((SELECT is_curator()));
CREATE POLICY erased ON usage AS RESTRICTIVE FOR UPDATE TO hw_app USING ((SELECT is_curator()));

-- A grant is seen from both ends, and written only from home.
CREATE POLICY seen_from_both_ends ON feature_grant FOR SELECT TO hw_app
    USING (tenant_id = (SELECT app_tenant()) OR grantee_tenant_id = (SELECT app_tenant()));
CREATE POLICY given_from_home ON feature_grant FOR INSERT TO hw_app WITH CHECK (tenant_id = (SELECT app_tenant()));
CREATE POLICY changed_at_home ON feature_grant FOR UPDATE TO hw_app
    USING (tenant_id = (SELECT app_tenant())) WITH CHECK (tenant_id = (SELECT app_tenant()));
CREATE POLICY taken_back_at_home ON feature_grant FOR DELETE TO hw_app USING (tenant_id = (SELECT app_tenant()));

-- No reader, no chunk.
CREATE POLICY holds ON collection_denial FOR SELECT TO hw_app USING (
    tenant_id = (SELECT app_tenant()) AND ((SELECT is_curator()) OR principal_id = ANY ((SELECT deniable_ids())::uuid[])));
CREATE POLICY holds ON document_denial FOR SELECT TO hw_app USING (
    tenant_id = (SELECT app_tenant()) AND ((SELECT is_curator()) OR principal_id = ANY ((SELECT deniable_ids())::uuid[])));
CREATE POLICY readable ON collection_reader FOR SELECT TO hw_app USING (
    tenant_id = (SELECT app_tenant()) AND ((SELECT is_curator())
        OR principal_id = ANY ((SELECT acting_ids())::uuid[]) AND collection_id <> ALL ((SELECT denied_collections())::uuid[])));
CREATE POLICY readable ON document_reader FOR SELECT TO hw_app USING (
    tenant_id = (SELECT app_tenant()) AND ((SELECT is_curator()) OR principal_id = ANY ((SELECT acting_ids())::uuid[])));
-- Of any document of the tenant, as postings are: only ids are taken from it, and what is read by them has its own policy.
CREATE POLICY of_tenant ON document_fact FOR SELECT TO hw_app USING (tenant_id = (SELECT app_tenant()));
-- A version that was replaced is for who may read the document and was not closed out of it then: both lists must admit.
CREATE POLICY readable ON document_version FOR SELECT TO hw_app USING (
    tenant_id = (SELECT app_tenant())
    AND EXISTS (SELECT FROM document d WHERE d.tenant_id = document_version.tenant_id AND d.document_id = document_version.document_id)
    AND (replaced_at IS NULL OR (SELECT is_curator())
         OR (collection_readers && (SELECT acting_ids())::uuid[]
             AND (file_readers IS NULL OR file_readers && (SELECT acting_ids())::uuid[])
             AND (readers IS NULL OR readers && (SELECT acting_ids())::uuid[])
             AND NOT denied && (SELECT deniable_ids())::uuid[])));
-- The text of a version that was replaced is the curator's, until it is purged.
CREATE POLICY readable ON document_text FOR SELECT TO hw_app USING (
    tenant_id = (SELECT app_tenant())
    AND EXISTS (SELECT FROM document d WHERE d.tenant_id = document_text.tenant_id AND d.document_id = document_text.document_id
                   AND (d.version = document_text.version OR (SELECT is_curator()))));
CREATE POLICY readable ON document FOR SELECT TO hw_app USING (
    tenant_id = (SELECT app_tenant())
    AND ((SELECT is_curator())
         OR (tombstoned_at IS NULL
             AND (valid_from IS NULL OR valid_from <= now()) AND (valid_to IS NULL OR valid_to > now())
             AND collection_id = ANY ((SELECT readable_collections())::uuid[])
             AND (readers_from IS NULL OR readers_from = ANY ((SELECT fresh_sources())::uuid[]))
             AND (NOT restricted
                  OR EXISTS (SELECT FROM document_reader r WHERE r.tenant_id = document.tenant_id AND r.document_id = document.document_id))
             AND (NOT has_denials
                  OR NOT EXISTS (SELECT FROM document_denial n WHERE n.tenant_id = document.tenant_id AND n.document_id = document.document_id))
             AND (part_of IS NULL                -- of a section: its file's lists, too
                  OR (NOT EXISTS (SELECT FROM document_denial n WHERE n.tenant_id = document.tenant_id AND n.document_id = document.part_of)
                      AND (NOT file_restricted
                           OR EXISTS (SELECT FROM document_reader r WHERE r.tenant_id = document.tenant_id AND r.document_id = document.part_of)))))));

-- A version that is replaced, or vanishes, keeps the lists that it had, and those of the file's sections with it. Once: what
-- becomes of the document's lists afterwards opens no text that it was closed for.
CREATE FUNCTION keep_lists() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE headworks.document_version v
       SET collection_readers = ARRAY(SELECT r.principal_id FROM headworks.collection_reader r
                                       WHERE r.tenant_id = d.tenant_id AND r.collection_id = d.collection_id),
           file_readers = CASE WHEN d.part_of IS NOT NULL AND d.file_restricted THEN
                               ARRAY(SELECT r.principal_id FROM headworks.document_reader r
                                      WHERE r.tenant_id = d.tenant_id AND r.document_id = d.part_of) END,
           readers = CASE WHEN d.part_of IS NOT NULL OR OLD.restricted THEN
                          ARRAY(SELECT r.principal_id FROM headworks.document_reader r
                                 WHERE r.tenant_id = d.tenant_id AND r.document_id = d.document_id) END,
           denied = ARRAY(SELECT n.principal_id FROM headworks.collection_denial n
                           WHERE n.tenant_id = d.tenant_id AND n.collection_id = d.collection_id
                           UNION
                          SELECT n.principal_id FROM headworks.document_denial n
                           WHERE n.tenant_id = d.tenant_id AND n.document_id IN (d.document_id, d.part_of))
      FROM headworks.document d
     WHERE d.tenant_id = OLD.tenant_id
       AND d.document_id = ANY (OLD.document_id || ARRAY(SELECT p.document_id FROM headworks.document p
                                                          WHERE p.tenant_id = OLD.tenant_id AND p.part_of = OLD.document_id))
       AND v.tenant_id = d.tenant_id AND v.document_id = d.document_id
       AND v.replaced_at IS NULL AND v.collection_readers IS NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER lists_are_kept AFTER UPDATE ON document FOR EACH ROW
    WHEN (OLD.tombstoned_at IS NULL AND (NEW.version <> OLD.version OR NEW.tombstoned_at IS NOT NULL))
    EXECUTE FUNCTION keep_lists();              -- fires before parts_follow, by its name: sections still have what the file had

-- What is true of a file is true of the sections that were cut off it, in the same transaction, whoever writes it.
CREATE FUNCTION parts_follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE document
       SET file_restricted = NEW.restricted, readers_from = NEW.readers_from, handed_in_by = NEW.handed_in_by,
           own_metadata = NEW.own_metadata, given_metadata = NEW.given_metadata, confirmed_at = NEW.confirmed_at,
           valid_from = NEW.valid_from, valid_to = NEW.valid_to, review_at = NEW.review_at,
           tombstoned_at = coalesce(tombstoned_at, NEW.tombstoned_at)
     WHERE tenant_id = NEW.tenant_id AND part_of = NEW.document_id;
    RETURN NULL;
END $$;
CREATE TRIGGER parts_follow AFTER UPDATE ON document FOR EACH ROW WHEN (NEW.part_of IS NULL) EXECUTE FUNCTION parts_follow();

-- What filters compare with: what is said of a document, and its own facts.
CREATE FUNCTION facts_of(d document) RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT jsonb_build_object('said', d.metadata, 'own', jsonb_build_object(
        'path', d.path, 'title', d.title, 'media_type', d.media_type, 'source', d.source,
        'created_at', jsonb_build_object('at', (extract(epoch FROM d.created_at) * 1000000)::bigint),
        'updated_at', jsonb_build_object('at', (extract(epoch FROM d.updated_at) * 1000000)::bigint)))
$$;

-- The same as rows, but for facts that few values share out among many documents: those are looked through.
CREATE FUNCTION note_facts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM headworks.document_fact f WHERE f.tenant_id = NEW.tenant_id AND f.document_id = NEW.document_id;
    INSERT INTO headworks.document_fact (tenant_id, document_id, place, collection_id, name, number, text)
    SELECT NEW.tenant_id, NEW.document_id, row_number() OVER (), NEW.collection_id, v.name, v.number, left(v.text, 200)
      FROM (SELECT 'path' AS name, NULL::double precision AS number, NEW.path AS text
             UNION ALL SELECT 'created_at', extract(epoch FROM NEW.created_at) * 1000000, NULL
             UNION ALL SELECT 'updated_at', extract(epoch FROM NEW.updated_at) * 1000000, NULL
             UNION ALL
            SELECT m.key,
                   CASE jsonb_typeof(e.value) WHEN 'number' THEN (e.value #>> '{}')::double precision
                                              WHEN 'boolean' THEN e.value::boolean::integer
                                              WHEN 'object' THEN (e.value ->> 'at')::double precision END,
                   CASE jsonb_typeof(e.value) WHEN 'string' THEN e.value #>> '{}' WHEN 'object' THEN e.value ->> 'as' END
              FROM jsonb_each(NEW.metadata) AS m
             CROSS JOIN LATERAL jsonb_array_elements(
                   CASE jsonb_typeof(m.value) WHEN 'array' THEN m.value ELSE jsonb_build_array(m.value) END) AS e (value)) AS v;
    RETURN NULL;
END $$;
CREATE TRIGGER facts_are_noted AFTER INSERT ON document FOR EACH ROW EXECUTE FUNCTION note_facts();
CREATE TRIGGER facts_follow AFTER UPDATE ON document FOR EACH ROW
    WHEN (NEW.metadata <> OLD.metadata OR NEW.updated_at <> OLD.updated_at) EXECUTE FUNCTION note_facts();

-- ── Rights ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

GRANT USAGE ON SCHEMA headworks TO hw_app, hw_system, hw_ingest;
GRANT SELECT, INSERT, UPDATE, DELETE ON
    experiment, experiment_output, experiment_score, principal, membership, principal_closure, project, role_binding, role_definition, feature_grant, api_key, api_key_group, claim, web_session,
    snapshot_version, workspace_file, route, account, channel, feature_gate, proposal_release, collection, generation, collection_reader, collection_denial,
    document, document_fact, document_reader, document_denial,
    document_text, chunk, chunk_context, embedding, posting, posting_segment, sync, source, ingest_item, blob, stored_response, stored_item,
    document_version, legal_hold, job_pause TO hw_app;
GRANT SELECT ON acting_as TO hw_app;                  -- policies run with the caller's rights
GRANT SELECT, INSERT ON gate_look, judge_card, tenant, release, release_file, channel_move, attestation, proposal_comment, audit_event, purge_receipt,
    dataset, dataset_version, dataset_member, review_sample, judgement_wanted TO hw_app;
GRANT SELECT, INSERT, UPDATE ON data_key, signing_key, release_block, proposal, golden_split TO hw_app;
GRANT SELECT, UPDATE ON usage, span TO hw_app;      -- UPDATE: see only_forgets
GRANT SELECT, INSERT, UPDATE ON dataset_example, judgement TO hw_app;   -- UPDATE: as before
GRANT SELECT, INSERT, UPDATE, DELETE ON replica TO hw_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA headworks TO hw_app;
