"""One typed settings tree: defaults < `headworks.toml` < environment < command line. Unknown keys are errors."""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from headworks.errors import StartupRefused


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where and how the server listens."""

    host: str = "127.0.0.1"
    """Bind address. Anything but loopback needs `allow_remote = true`, for use behind a proxy that ends TLS."""
    port: int = 8484
    """0 picks a free one."""
    allow_remote: bool = False
    """Whether `host` may be an address that others reach; then `X-Forwarded-*` of the proxy is believed."""
    workers: int = 1
    """Gateway processes; one for each core is a good number."""
    max_body_mb: int = 32
    """The largest request body of `/v1/*`."""
    drain_s: int = 30
    """How long open streams may go on after SIGTERM."""
    worker_memory_mb: int = 4096
    """What one gateway process may allocate; one that wants more ends and is started again. 0: no limit."""
    stale_max_s: int = 30
    """How long plain routes go on without PostgreSQL; 0 is closed."""


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Which PostgreSQL: embedded in the data folder unless a URL is given."""

    url: str = ""
    """Of an administrator (migrations, maintenance); `DATABASE_URL` is taken too. Empty: embedded."""
    app_url: str = ""
    """Only where `url` may not create logins: a login that is a member of hw_app."""
    system_url: str = ""
    """As `app_url`, a member of hw_system."""
    ingest_url: str = ""
    """As `app_url`, a member of hw_ingest."""
    pool_size: int = 8
    """Connections of one process, at most."""


@dataclass(frozen=True, slots=True)
class RecordSettings:
    """The journal of DESIGN §6.6."""

    journal_sync_ms: int = 100
    """Power loss can take at most this much; kill -9 takes nothing."""
    batch_ms: int = 200
    """How soon a record of the journal is copied to PostgreSQL; while more keep coming, up to four times that."""


@dataclass(frozen=True, slots=True)
class RetrievalServerSettings:
    """Limits of ingestion."""

    max_file_mb: int = 64
    """The largest file that is taken in."""
    parse_memory_mb: int = 1024
    """What the child process that parses one file may use."""
    parse_cpu_s: int = 60
    """As above, in seconds of CPU."""
    parse_wall_s: int = 120
    """As above, in seconds by the clock."""
    ocr_memory_mb: int = 3072
    """What the child process may use that reads the pictures of one file, where a collection asks for OCR."""
    ocr_cpu_s: int = 1800
    """As above, in seconds of CPU; by the clock it may take twice as long."""
    permissions_max_age_h: int = 24
    """Documents whose readers are told by their source are hidden when it last told them longer ago, in hours."""
    fetch_private_hosts: tuple[str, ...] = ()
    """Hosts that web sources may fetch although private, or of another port: `wiki.internal`, `10.0.0.7:8080`."""
    source_folders: tuple[str, ...] = ()
    """Folders of the server, as whole paths, that collections of every tenant may name as a source; none: none."""


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """How experiments are scored."""

    scorer_python: Path | None = None
    """The interpreter with DeepEval, Ragas, autoevals and Inspect, of which a suite uses metrics; None: our own."""


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """Which credentials a workspace may name beside the providers' usual environment variables."""

    credential_env: tuple[str, ...] = ()
    """Environment variables that a workspace may name as `api_key_env`, also for addresses of its own."""
    probe_local: bool = True
    """Look for Ollama, vLLM and others on their usual loopback ports at start."""


@dataclass(frozen=True, slots=True)
class DeadlineSettings:
    """How long one attempt at a target may take, in seconds. Before output, another target is then tried."""

    connect_s: float = 5.0
    """Until there is a connection to the provider, waiting for a free one included."""
    first_byte_s: float = 60.0
    """From the request to the end of the answer's headers."""
    idle_s: float = 30.0
    """Between two pieces of the answer."""
    total_s: float = 600.0
    """For everything."""


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """The way to the providers."""

    deadlines: DeadlineSettings = field(default_factory=DeadlineSettings)
    """See `gateway.deadlines.*`."""


@dataclass(frozen=True, slots=True)
class PriceSettings:
    """What calls cost; docs/reference/prices.md has the whole of it."""

    unpriced: Literal["allow", "refuse"] = "allow"
    """Whether a model of a provider outside this host may be called while no table has its price."""
    overrides: Path | None = None
    """A TOML file with prices of your own, which win over every table."""
    tables: Path | None = None
    """Folder of the tables that `headworks prices import` writes; None: `prices` in the data folder."""
    order: tuple[str, ...] = ("shipped", "litellm", "portkey")
    """Which tables are used: the first one that has a model decides."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole tree, as `headworks.toml` has it."""

    data: Path = Path(".headworks")
    """Everything that must survive a restart and is not in an external database."""
    models: Path | None = None
    """Folder of built-in weights; None: `HEADWORKS_MODELS_DIR` or the user's data folder."""
    server: ServerSettings = field(default_factory=ServerSettings)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    records: RecordSettings = field(default_factory=RecordSettings)
    retrieval: RetrievalServerSettings = field(default_factory=RetrievalServerSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    providers: ProviderSettings = field(default_factory=ProviderSettings)
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    prices: PriceSettings = field(default_factory=PriceSettings)


def load_settings(file: Path | None, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from a TOML file (None: `headworks.toml` here, if it exists) and the environment.

    A relative path in the file starts from the file's folder, one in the environment from the current one. The variable
    of `server.port` is `HEADWORKS_SERVER_PORT`; `DATABASE_URL` stands for `database.url`.
    Raises StartupRefused with file and key for what is unknown or of the wrong type.
    """
    environ = os.environ if environ is None else environ
    path = file or Path("headworks.toml")
    settings = Settings()
    if file is not None or path.exists():
        settings = _merge(settings, _read_toml(path), str(path), path.parent)
    if url := environ.get("DATABASE_URL"):
        settings = replace(settings, database=replace(settings.database, url=url))
    return _from_environment(settings, environ)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StartupRefused(f"{path}: no such file.", next_step="`headworks init` writes one.") from None
    except OSError as error:
        raise StartupRefused(f"{path}: it can't be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise StartupRefused(
            f"{path}: no file of settings: byte {error.start + 1} is not UTF-8.",
            next_step="Name a TOML file; `headworks init` writes one.",
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise StartupRefused(f"{path}: {error}.") from None


def _merge(settings: Any, given: Mapping[str, Any], where: str, folder: Path) -> Any:  # noqa: ANN401 -- any dataclass
    hints = get_type_hints(type(settings))
    changes: dict[str, Any] = {}
    for key, value in given.items():
        if key not in hints:
            known = ", ".join(sorted(hints))
            raise StartupRefused(f"{where}: unknown key `{key}`.", next_step=f"Known keys here: {known}.")
        current = getattr(settings, key)
        if is_dataclass(current):
            if not isinstance(value, Mapping):
                raise StartupRefused(f"{where}: `{key}` is a table of settings, not a value.")
            changes[key] = _merge(current, value, f"{where}: [{key}]", folder)
        else:
            changes[key] = _typed(hints[key], value, f"{where}: `{key}`", folder)
    return replace(settings, **changes)


def _from_environment(settings: Settings, environ: Mapping[str, str]) -> Settings:
    given: dict[str, Any] = {}
    for entry in fields(settings):
        current = getattr(settings, entry.name)
        if is_dataclass(current):
            if found := _named(current, f"HEADWORKS_{entry.name}".upper(), environ):
                given[entry.name] = found
        elif entry.name == "data" and "HEADWORKS_DATA" in environ:
            given["data"] = environ["HEADWORKS_DATA"]
        elif entry.name == "models" and "HEADWORKS_MODELS_DIR" in environ:
            given["models"] = environ["HEADWORKS_MODELS_DIR"]
    merged: Settings = _merge(settings, given, "environment", Path())
    return merged


def _named(table: Any, prefix: str, environ: Mapping[str, str]) -> dict[str, Any]:  # noqa: ANN401 -- as _merge
    """What the environment says about a table and the tables in it."""
    given: dict[str, Any] = {}
    for entry in fields(table):
        name = f"{prefix}_{entry.name}".upper()
        current = getattr(table, entry.name)
        if is_dataclass(current):
            if found := _named(current, name, environ):
                given[entry.name] = found
        elif name in environ:
            given[entry.name] = environ[name]
    return given


_WORDS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


def _path(value: str, where: str, folder: Path) -> Path:
    try:
        return folder / Path(value).expanduser()
    except RuntimeError:
        raise StartupRefused(
            f"{where}: {value[:80]!r} names the home of a user who has none.", next_step="Write the whole path."
        ) from None


def _typed(hint: Any, value: Any, where: str, folder: Path) -> Any:  # noqa: ANN401 -- values of a settings file
    """The value as its field wants it; text from the environment is converted."""
    if hint in {Path, Path | None} and isinstance(value, str):
        return _path(value, where, folder)
    if get_origin(hint) is Literal:
        return _one_of(get_args(hint), value, where)
    if hint is float:
        return _seconds(value, where)
    if hint == tuple[str, ...] and (words := _words(value)) is not None:
        return words
    if isinstance(value, str):
        value = _read(hint, value)
    if isinstance(hint, type) and isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    wanted = getattr(hint, "__name__", str(hint))
    raise StartupRefused(f"{where} must be {wanted}, not {value!r}.")


def _read(hint: Any, text: str) -> object:  # noqa: ANN401 -- as _typed
    """A switch or a whole number out of its text, where the field wants one."""
    if hint is bool:
        return _WORDS.get(text.lower(), text)
    if hint is int and _WHOLE.fullmatch(text.strip()):
        return int(text)
    return text


def _one_of(words: tuple[str, ...], value: Any, where: str) -> Any:  # noqa: ANN401 -- as _typed
    """One of a few words."""
    if value in words:
        return value
    raise StartupRefused(f"{where} must be one of {', '.join(words)}, not {value!r}.")


def _words(value: Any) -> tuple[str, ...] | None:  # noqa: ANN401 -- as _typed
    """A list of words, or words between commas; None: it is neither."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return tuple(value)
    return None


def _seconds(value: Any, where: str) -> float:  # noqa: ANN401 -- as _typed
    """A length of time: more than nothing, and not for ever."""
    if isinstance(value, str) and _DECIMAL.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value > 0:
        return float(value)
    raise StartupRefused(f"{where} must be a number of seconds above 0, not {value!r}.")
