"""Keys, tokens and passwords: known prefixes, private keys, and random values that a label calls secret."""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise

import msgspec

from headworks.guardrails.context import Candidate, Pattern, compiled
from headworks.guardrails.contract import SECRET

# Rule, and what an issuer's token looks like. The first that matches names the rule: the special before the general.
_ISSUED: tuple[tuple[str, bytes], ...] = (
    ("headworks_key", rb"hw(?:claim|session)?_[0-9A-Za-z]{4,}_[0-9A-Za-z]{16,}"),
    ("anthropic_key", rb"sk-ant-[A-Za-z0-9]{2,12}-[A-Za-z0-9_\-]{20,}"),
    ("openrouter_key", rb"sk-or-v1-[0-9a-f]{48,}"),
    ("openai_key", rb"sk-(?:proj-|svcacct-|admin-|None-)?[A-Za-z0-9_\-]{20,}"),
    ("aws_access_key", rb"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}"),
    ("github_token", rb"gh[pousr]_[A-Za-z0-9]{36,}"),
    ("github_token", rb"github_pat_[A-Za-z0-9_]{22,}"),
    ("gitlab_token", rb"gl(?:pat|dt|rt|ptt|ft|soat)-[A-Za-z0-9_\-]{20,}"),
    ("slack_token", rb"xox[abeoprs]-[A-Za-z0-9\-]{10,}"),
    ("slack_token", rb"xapp-\d-[A-Z0-9]+-\d+-[a-f0-9]{32,}"),
    ("google_api_key", rb"AIza[0-9A-Za-z_\-]{35}"),
    ("google_oauth_token", rb"ya29\.[0-9A-Za-z_\-]{20,}"),
    ("google_oauth_secret", rb"GOCSPX-[0-9A-Za-z_\-]{28}"),
    ("stripe_key", rb"(?:sk|rk)_(?:live|test)_[0-9A-Za-z]{16,}"),
    ("stripe_webhook_secret", rb"whsec_[0-9A-Za-z+/=]{24,}"),
    ("huggingface_token", rb"hf_[A-Za-z0-9]{30,}"),
    ("groq_key", rb"gsk_[A-Za-z0-9]{40,}"),
    ("xai_key", rb"xai-[A-Za-z0-9]{40,}"),
    ("nvidia_key", rb"nvapi-[A-Za-z0-9_\-]{40,}"),
    ("perplexity_key", rb"pplx-[A-Za-z0-9]{40,}"),
    ("replicate_token", rb"r8_[A-Za-z0-9]{37}"),
    ("npm_token", rb"npm_[A-Za-z0-9]{36}"),
    ("pypi_token", rb"pypi-AgE[A-Za-z0-9_\-]{50,}"),
    ("sendgrid_key", rb"SG\.[A-Za-z0-9_\-]{16,32}\.[A-Za-z0-9_\-]{16,64}"),
    ("digitalocean_token", rb"do[opr]_v1_[a-f0-9]{64}"),
    ("telegram_token", rb"\d{8,10}:AA[A-Za-z0-9_\-]{33}"),
    ("jwt", rb"eyJ[A-Za-z0-9_\-]{8,}\.eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*"),
)
_ASSIGNED = r"[\x22']?[ \t]*(?:=>|:=|[:=]|\bis\b)[ \t]*[\x22'`]?"
_KEY_WORDS = (
    r"(?:(?:api|access|auth|secret|private|signing|encryption|master|service|account|subscription|license)[ _\-]?key"
    r"|secret|token|credentials?)"
)
_LOGIN_WORDS = (
    r"(?:password|passwd|passphrase|passwort|kennwort|pwd|mot de passe|contraseña|wachtwoord|hasło|salasana|senha)"
)
_BEARER_WORDS = r"\b(?:bearer|basic)[ \t]+"
ISSUED = rb"\b(?:" + b"|".join(pattern for _, pattern in _ISSUED) + rb")"
PEM_HEAD = rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
URL_PASSWORD = rb"[A-Za-z][A-Za-z0-9+.\-]{1,20}://([^\s/:@\x22'`<>]{0,64}:[^\s/@\x22'`<>]{1,128})@"
KEYED = f"(?i){_KEY_WORDS}{_ASSIGNED}([A-Za-z0-9+/_.~\\-]{{16,}}={{0,2}})".encode()
PASSWORD = f"(?i){_LOGIN_WORDS}{_ASSIGNED}([^\\s\\x22'`,;<>{{}}\\[\\]()]{{8,}})".encode()
BEARER = f"(?i){_BEARER_WORDS}([A-Za-z0-9._~+/\\-]{{16,}}={{0,2}})".encode()
HEADS = (
    rb"\b(?:hw_|hwclaim_|hwsession_|sk-|rk_|sk_|A[KSBC][ICP]A|gh[pousr]_|github_pat|gl[a-z]{2,4}-|xox|xapp-|AIza|ya29|GOCSPX|whsec_|hf_|gsk_|xai-|"
    rb"nvapi-|pplx-|r8_|npm_|pypi-|SG\.|do[opr]_v1|\d{8,10}:AA|eyJ)|PRIVATE KEY|"
    + f"(?i:{_KEY_WORDS}{_ASSIGNED}|{_LOGIN_WORDS}{_ASSIGNED}|{_BEARER_WORDS})".encode()
    + rb"|://[^\s/@]*:"
)
"""Something of each of these patterns, to see quickly that a text has none."""

_PEM_MOST_BYTES = 32_768
_FEWEST_CHARACTERS = 9
_TOKEN_BYTES = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")
_PLACEHOLDER = compiled(
    rb"(?i)your|example|placeholder|changeme|change-me|replace|dummy|redacted|xxxx|\*\*\*|<|\$\{|\{\{|%\(|env\.|getenv|"
    rb"^(?:user(?:name)?:)?(?:pass(?:word)?|secret|pwd|passwd|token|key)$"
)
_IDENTIFIER_PATH = compiled(rb"^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+$")
_issued = compiled(ISSUED)
_rules = tuple((rule, compiled(pattern)) for rule, pattern in _ISSUED)
_pem_head = compiled(PEM_HEAD)
_keyed = compiled(KEYED)
_password = compiled(PASSWORD)
_url_password = compiled(URL_PASSWORD)
_bearer = compiled(BEARER)
_base64_lines = compiled(rb"(?:(?:\s|\\[rn])*[A-Za-z0-9+/=]{16,})*")


def credentials(data: bytes) -> Iterator[Candidate]:
    """Everything that would let somebody in."""
    yield from _issued_tokens(data)
    yield from _private_keys(data)
    yield from _labelled(data, _keyed, "labelled_secret", looks_random)
    yield from _labelled(data, _password, "password", _looks_like_password)
    yield from _labelled(data, _url_password, "url_password", _is_filled_in)
    yield from _labelled(data, _bearer, "bearer_token", looks_random)


def _issued_tokens(data: bytes) -> Iterator[Candidate]:
    for match in _issued.finditer(data):
        token, end = match.group(), match.end()
        if end < len(data) and data[end] in _TOKEN_BYTES:
            continue
        rule = next(rule for rule, pattern in _rules if pattern.fullmatch(token))
        if _is_issued(rule, token):
            yield Candidate(match.start(), end, rule, SECRET, 0.99)


def _is_issued(rule: str, token: bytes) -> bool:
    if rule == "jwt":
        return _is_jwt(token)
    if rule in {"openai_key", "slack_token", "gitlab_token"}:
        return looks_random(token[3:])
    return len(set(token)) >= _FEWEST_CHARACTERS


def _is_jwt(token: bytes) -> bool:
    head = token.partition(b".")[0]
    try:
        header = msgspec.json.decode(base64.urlsafe_b64decode(head + b"=" * (-len(head) % 4)))
    except ValueError:
        return False
    return isinstance(header, dict) and "alg" in header


def _private_keys(data: bytes) -> Iterator[Candidate]:
    """From BEGIN to the end of END's line; without an END as far as it goes on looking like base64."""
    if b"PRIVATE KEY" not in data:
        return
    for head in _pem_head.finditer(data):
        body = _base64_lines.match(data, head.end())
        end = body.end() if body else head.end()
        closing = data.find(b"-----END ", head.end(), head.end() + _PEM_MOST_BYTES)
        if closing >= 0 and (dashes := data.find(b"-----", closing + 9, closing + 80)) >= 0:
            end = dashes + 5
        yield Candidate(head.start(), end, "private_key", SECRET, 1.0)


def _labelled(data: bytes, pattern: Pattern, rule: str, is_secret: Callable[[bytes], bool]) -> Iterator[Candidate]:
    for match in pattern.finditer(data):
        start, end = match.span(1)
        if is_secret(data[start:end]):
            yield Candidate(start, end, rule, SECRET, 0.98)


def _is_filled_in(value: bytes) -> bool:
    """A value of its own, not the name of one or a gap to fill."""
    return len(value.partition(b":")[2] or value) > 0 and not _PLACEHOLDER.search(value)


def looks_random(value: bytes) -> bool:
    """As generators make it: a long part goes back and forth between letters and digits, few characters repeat."""
    if len(value) < 16 or not _is_filled_in(value) or _entropy(value) < 3.0:
        return False
    parts = value.replace(b"_", b"-").replace(b".", b"-").replace(b"/", b"-").split(b"-")
    return any(_is_mixed(part) for part in parts)


def _is_mixed(part: bytes) -> bool:
    kinds = [chr(byte).isdigit() for byte in part]
    changes = sum(a != b for a, b in pairwise(kinds))
    return len(part) >= 8 and changes >= 3


def _entropy(value: bytes) -> float:
    """Bits of each character, by how often each occurs."""
    counts = Counter(value).values()
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts)


def _looks_like_password(value: bytes) -> bool:
    """Three of: lower case, upper case, digits, signs; or letters and digits. No path of names, no gap to fill."""
    if not _is_filled_in(value) or _IDENTIFIER_PATH.search(value):
        return False
    has_lower, has_upper = value.upper() != value, value.lower() != value
    has_digit = any(48 <= byte <= 57 for byte in value)
    has_sign = any(byte < 128 and not chr(byte).isalnum() for byte in value.rstrip(b".!?"))
    return (has_digit and (has_lower or has_upper)) or (has_lower and has_upper and has_sign)
