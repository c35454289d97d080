"""Keys, tokens and passwords. The tokens here are invented, and put together so that no scanner takes them for real."""

from __future__ import annotations

import base64
import json
import string
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.guardrails.contract import SECRET
from headworks.guardrails.credentials import looks_random
from headworks.guardrails.pii import find, redact
from headworks.identity.tokens import TokenKind, mint, public_part

R36 = "F6bnZ3eBZclIvRY6iEjH5UH1RSC84FL8SfWo"
R48 = "4nyoL6uniiFw152cTe8r0khCEr7n1AyOHFRuT11NCue1cr3M"
HEX64 = "18b904ce6087413e3b266f850f1578b5c72dc4ee60caea63367c29a80b21ead8"
BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n" * 4


def rules(text: str) -> list[tuple[str, str]]:
    return [(finding.rule, text[finding.start : finding.end]) for finding in find(text, frozenset({SECRET}))]


def jwt(header: object) -> str:
    parts = [json.dumps(header).encode(), b'{"sub": "member-4711"}', b"signature-bytes-here-0123456789ab"]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


@pytest.mark.parametrize(
    ("rule", "token"),
    [
        ("openai_key", "sk-" + R48),
        ("openai_key", "sk-" + "proj-" + R48 + "_-" + R36),
        ("anthropic_key", "sk-" + "ant-api03-" + R48),
        ("openrouter_key", "sk-" + "or-v1-" + HEX64),
        ("aws_access_key", "AK" + "IA4SKQTYNTJR7M2HAY"),
        ("github_token", "gh" + "p_" + R36),
        ("github_token", "github_" + "pat_11ABCDEFG0" + R36),
        ("gitlab_token", "gl" + "pat-" + R36[:20]),
        ("slack_token", "xo" + "xb-172819201928-" + R36[:24]),
        ("google_api_key", "AI" + "zaSy" + R36[:33]),
        ("google_oauth_secret", "GOC" + "SPX-" + R36[:28]),
        ("stripe_key", "sk_" + "live_" + R36[:24]),
        ("huggingface_token", "hf" + "_" + "AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGh"),
        ("groq_key", "gs" + "k_" + R48),
        ("xai_key", "xa" + "i-" + R48),
        ("nvidia_key", "nv" + "api-" + R48),
        ("perplexity_key", "pp" + "lx-" + R48),
        ("npm_token", "np" + "m_" + R36),
        ("pypi_token", "pypi-" + "AgE" + R48 + R36),
        ("sendgrid_key", "S" + "G." + R36[:22] + "." + R48[:43]),
        ("digitalocean_token", "do" + "p_v1_" + HEX64),
        ("telegram_token", "1234567890" + ":AA" + R36[:33]),
        ("headworks_key", "hw_8f3k2m9q_" + R48),
        ("jwt", jwt({"alg": "HS256"})),
    ],
)
def test_tokens_are_known_by_their_issuers_prefix(rule: str, token: str) -> None:
    for text in (token, f"the key {token} leaked", f'"{token}",', f"{token}.", f"KEY={token}\n"):
        assert rules(text) == [(rule, token)]


@pytest.mark.parametrize("kind", ["hw", "hwclaim", "hwsession"])
def test_what_lets_people_in_here_is_a_secret_but_its_public_part_is_not(kind: TokenKind) -> None:
    token = mint(kind, uuid4())

    assert rules(f"use {token.text()}, please") == [("headworks_key", token.text())]
    assert rules(f"key {public_part(token.id)} was revoked") == []


@pytest.mark.parametrize(
    "text",
    [
        *("sk-loading-spinner-animation-wrapper", "sk-your-openai-key-goes-here-12", "task-0a1b2c3d4e5f6a7b8c9d0e1f"),
        *("AKIA4SKQTYNTJR7M2HAYX", "ghp_short", "xoxb-your-token-goes-here", "eyJhbGciOiJ.eyJub3RqdzF0.x"),
        *("AKIA" + "A" * 16, "hf_" + "x" * 40, "pypi-package", "SG.1.2", f"x{'gh'}p_{R36}"),
        jwt({"no": "algorithm"}),
        jwt(["alg"]),
    ],
)
def test_what_only_begins_like_a_token_is_none(text: str) -> None:
    assert rules(text) == []


@pytest.mark.parametrize("kind", ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "])
def test_a_private_key_is_found_from_its_begin_to_its_end(kind: str) -> None:
    key = f"-----BEGIN {kind}PRIVATE KEY-----\n{BODY}-----END {kind}PRIVATE KEY-----"

    assert rules(f"here:\n{key}\nthanks") == [("private_key", key)]


def test_a_private_key_without_an_end_is_found_as_far_as_it_goes() -> None:
    key = f"-----BEGIN PRIVATE KEY-----\n{BODY.rstrip()}"

    assert rules(f"{key}\nand then the message was cut") == [("private_key", key)]


def test_a_private_key_in_a_json_string_is_found() -> None:
    key = json.dumps(f"-----BEGIN PRIVATE KEY-----\n{BODY}-----END PRIVATE KEY-----")[1:-1]

    assert rules(f'{{"private_key": "{key}"}}') == [("private_key", key)]


def test_a_public_key_is_no_secret() -> None:
    assert rules(f"-----BEGIN PUBLIC KEY-----\n{BODY}-----END PUBLIC KEY-----") == []
    assert rules("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----") == []


@pytest.mark.parametrize(
    "before",
    [
        *(
            "api_key=",
            "API-KEY: ",
            'apiKey": "',
            "secret = '",
            "client_secret: ",
            "X-Auth-Token: ",
            "aws_secret_access_key = ",
        ),
        *("access key => ", "signing_key := ", "the token is ", "CREDENTIALS=", "private key: `"),
    ],
)
def test_a_random_value_that_a_label_calls_secret_is_found(before: str) -> None:
    text = f"{before}{HEX64[:32]}"

    assert rules(text) == [("labelled_secret", HEX64[:32])]


@pytest.mark.parametrize(
    "text",
    [
        *(
            "api_key = YOUR_API_KEY_GOES_HERE_12",
            "token: ${SERVICE_TOKEN_2024_A1B2C3}",
            "secret: see-the-vault-in-production",
        ),
        *(
            "token = settings.security.token_value",
            "api_key: example-key-a1b2c3d4e5f6",
            "the token is valid until tomorrow",
        ),
        *("key: 18b904ce6087413e3b266f850f1578b5", f"commit {HEX64[:40]}", f"sha256:{HEX64}", "tokens: 128000"),
        *(
            "api_key=xxxxxxxxxxxxxxxxxxxxxxxx",
            "secret=aaaa1111aaaa1111aaaa",
            "token=550e8400-e29b-41d4-a716-446655440000",
        ),
    ],
)
def test_names_gaps_and_digests_are_no_secrets(text: str) -> None:
    assert rules(text) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("password: Tr0ub4dor&3x", "Tr0ub4dor&3x"),
        ('"password": "correct4horse"', "correct4horse"),
        ("Passwort=Geheim!2024", "Geheim!2024"),
        ("contraseña: Secreta2024", "Secreta2024"),
        ("the passphrase is Sehr-Geheim!", "Sehr-Geheim!"),
    ],
)
def test_passwords_after_their_label_are_found(text: str, value: str) -> None:
    assert rules(text) == [("password", value)]


@pytest.mark.parametrize(
    "text",
    [
        *(
            "password: must be long",
            "password=short1",
            "password: config.database.password1",
            "password = os.getenv('X')",
        ),
        *("password: <your-password>", "password: changeme123", "pwd: /srv", "password: ********12"),
    ],
)
def test_rules_about_passwords_are_no_passwords(text: str) -> None:
    assert rules(text) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("postgres://app:h7Gk2mQ9@db:5432/x", "app:h7Gk2mQ9"),
        ("redis://:p4ssw0rdX9@cache", ":p4ssw0rdX9"),
        ("https://bob:S3cret99@files.example.com/a", "bob:S3cret99"),
    ],
)
def test_passwords_in_addresses_are_found(text: str, value: str) -> None:
    assert rules(text) == [("url_password", value)]
    assert redact(text, find(text)).startswith(text.split("//", maxsplit=1)[0] + "//[SECRET_1]@")


@pytest.mark.parametrize(
    "text",
    [
        "postgres://user:password@localhost/db",
        "https://example.com:8443/a@b",
        "postgres://app:${PW}@db",
        "a://b:<pw>@c",
    ],
)
def test_addresses_without_a_real_password_are_left_alone(text: str) -> None:
    assert rules(text) == []


def test_a_bearer_token_is_found_after_its_word() -> None:
    assert rules(f"Authorization: Bearer {R36}") == [("bearer_token", R36)]
    assert rules("the bearer of this-very-long-letter-2024 may enter") == []


@given(st.text(string.ascii_letters + string.digits, min_size=40, max_size=80).filter(lambda text: len(set(text)) > 9))
def test_a_secret_never_survives_its_redaction(random: str) -> None:
    token = "gh" + "p_" + random
    text = f"one {token} two {token}"

    redacted = redact(text, find(text))

    assert redacted == "one [SECRET_1] two [SECRET_1]"


@pytest.mark.parametrize(
    ("value", "is_random"),
    [
        (R36, True),
        (HEX64, True),
        ("a81f3c9e07d24b6fa81f3c9e", True),
        ("prod-a1b2c3d4e5f6-live", True),
        ("a-long-name-with-many-words", False),
        ("ALL_CAPS_NAME_OF_A_SETTING", False),
        ("1234567890123456", False),
        ("abcdefghijklmnopqrstuvwx", False),
        ("release-2024-11-22-final", False),
        ("short1a2b3c", False),
    ],
)
def test_random_values_are_told_from_names(value: str, is_random: bool) -> None:  # noqa: FBT001 -- a table's column
    assert looks_random(value.encode()) is is_random
