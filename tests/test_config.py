from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.config import Settings, load_settings
from headworks.errors import StartupRefused


def written(folder: Path, text: str) -> Path:
    file = folder / "headworks.toml"
    file.write_text(text)
    return file


def refusal(folder: Path, text: str, **environ: str) -> str:
    with pytest.raises(StartupRefused) as caught:
        load_settings(written(folder, text), environ)
    return str(caught.value)


def test_defaults_bind_to_loopback_and_embed_the_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings(None, {})
    assert settings == Settings()
    assert settings.server.host == "127.0.0.1"
    assert settings.database.url == ""
    assert not settings.server.allow_remote


def test_a_file_is_overruled_by_the_environment(tmp_path: Path) -> None:
    file = written(
        tmp_path, 'data = "/srv/hw"\n[server]\nport = 1\nworkers = 2\n[providers]\ncredential_env = ["A", "B"]\n'
    )
    settings = load_settings(file, {"HEADWORKS_SERVER_PORT": "2", "HEADWORKS_PROVIDERS_PROBE_LOCAL": "no"})
    assert (settings.server.port, settings.server.workers, settings.data) == (2, 2, Path("/srv/hw"))
    assert settings.providers.credential_env == ("A", "B")
    assert settings.providers.probe_local is False


def test_a_path_in_a_file_starts_from_its_folder(tmp_path: Path) -> None:
    file = written(tmp_path, 'data = "data"\n[prices]\noverrides = "~/p.toml"\ntables = "/srv/tables"\n')
    settings = load_settings(file, {"HEADWORKS_MODELS_DIR": "weights"})
    assert settings.data == tmp_path / "data"
    assert settings.models == Path("weights")
    assert settings.prices.overrides == Path.home() / "p.toml"
    assert settings.prices.tables == Path("/srv/tables")


def test_deadlines_are_a_table_in_a_table_and_have_variables_of_their_own(tmp_path: Path) -> None:
    file = written(tmp_path, "[gateway.deadlines]\nconnect_s = 2\nidle_s = 1.5\n")
    found = load_settings(file, {"HEADWORKS_GATEWAY_DEADLINES_FIRST_BYTE_S": "0.25"}).gateway.deadlines
    assert (found.connect_s, found.first_byte_s, found.idle_s, found.total_s) == (2.0, 0.25, 1.5, 600.0)


@pytest.mark.parametrize("number", ["", "0", "-1", "nan", "inf", "1e3", "1_0", "²", "9" * 5000])
def test_a_deadline_in_the_environment_is_a_plain_number_above_zero(tmp_path: Path, number: str) -> None:
    with pytest.raises(StartupRefused, match=r"`total_s` must be a number of seconds above 0"):
        load_settings(written(tmp_path, ""), {"HEADWORKS_GATEWAY_DEADLINES_TOTAL_S": number})


def test_the_usual_variable_names_the_database(tmp_path: Path) -> None:
    file = written(tmp_path, '[database]\nurl = "postgresql://a"\n')
    assert load_settings(file, {"DATABASE_URL": "postgresql://b"}).database.url == "postgresql://b"
    assert load_settings(file, {}).database.url == "postgresql://a"


def test_the_file_here_is_read_without_being_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "[server]\nport = 7\n")
    monkeypatch.chdir(tmp_path)
    assert load_settings(None, {}).server.port == 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "prot = 1",
            "unknown key `prot`. Known keys here: data, database, evaluation, gateway, models, prices, providers,",
        ),
        ("[server]\nprot = 1", "[server]: unknown key `prot`"),
        ("server = 1", "`server` is a table of settings, not a value"),
        ('[server]\nport = "many"', "`port` must be int, not 'many'"),
        ("[server]\nport = true", "`port` must be int, not True"),
        ('[server]\nallow_remote = "perhaps"', "`allow_remote` must be bool"),
        ("[providers]\ncredential_env = [1]", "`credential_env` must be"),
        ("[gateway.deadlines]\nidle = 1", "[gateway]: [deadlines]: unknown key `idle`"),
        ("[gateway]\ndeadlines = 3", "`deadlines` is a table of settings, not a value"),
        ("[gateway.deadlines]\nidle_s = 0", "`idle_s` must be a number of seconds above 0, not 0."),
        ("[gateway.deadlines]\nidle_s = true", "`idle_s` must be a number of seconds"),
        ("[gateway.deadlines]\nidle_s = inf", "`idle_s` must be a number of seconds"),
        ("[server", "Expected"),
    ],
)
def test_each_mistake_names_the_file_and_the_key(tmp_path: Path, text: str, said: str) -> None:
    message = refusal(tmp_path, text)
    assert message.startswith(str(tmp_path / "headworks.toml"))
    assert said in message


def test_a_mistake_in_the_environment_is_told_as_such(tmp_path: Path) -> None:
    assert "environment: [server]: `port` must be int, not 'x'." in refusal(tmp_path, "", HEADWORKS_SERVER_PORT="x")


@pytest.mark.parametrize("number", ["²", "--5", "5-", "9" * 5000, "0x10", ""])
def test_what_only_looks_like_a_number_is_refused(tmp_path: Path, number: str) -> None:
    with pytest.raises(StartupRefused, match=r"`port` must be int"):
        load_settings(written(tmp_path, ""), {"HEADWORKS_SERVER_PORT": number})


def test_a_file_that_is_named_and_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StartupRefused, match=r"no such file\. `headworks init` writes one"):
        load_settings(tmp_path / "none.toml", {})


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\0", b"[server]\nport = 1\n\xff"])
def test_a_file_that_is_no_text_is_told_without_words_of_a_codec(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "headworks.toml"
    file.write_bytes(content)
    with pytest.raises(
        StartupRefused, match=r"no file of settings: byte \d+ is not UTF-8\. Name a TOML file"
    ) as caught:
        load_settings(file, {})
    assert "codec" not in str(caught.value)
    with pytest.raises(StartupRefused, match="it can't be read: Is a directory"):
        load_settings(tmp_path, {})


@given(
    st.dictionaries(st.sampled_from(["HEADWORKS_SERVER_PORT", "HEADWORKS_SERVER_DRAIN_S", "HEADWORKS_DATA"]), st.text())
)
def test_any_environment_is_taken_or_refused_but_never_crashes(environ: dict[str, str]) -> None:
    try:
        load_settings(None, environ)
    except StartupRefused as refused:
        assert "environment" in refused.message  # noqa: PT017 -- either outcome is right


def test_a_setting_with_few_words_takes_no_other(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, '[prices]\nunpriced = "refuse"\noverrides = "~/p.toml"\n'), {})
    assert settings.prices.unpriced == "refuse"
    assert settings.prices.overrides == Path("~/p.toml").expanduser()
    assert "must be one of allow, refuse, not 'maybe'" in refusal(tmp_path, '[prices]\nunpriced = "maybe"\n')
    assert "must be one of allow, refuse" in refusal(tmp_path, "", HEADWORKS_PRICES_UNPRICED="block")
    assert "must be one of allow, refuse" in refusal(tmp_path, "[prices]\nunpriced = [1]\n")
