"""What passes through: a row per path, and what of a request goes to the provider."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

import msgspec

from headworks.errors import InvalidRequest, NotFound
from headworks.gateway.passthrough.forms import Form, is_form
from headworks.gateway.plans import Aim
from headworks.gateway.wire.bodies import Body
from headworks.providers.contract import Surface

BY_MODEL: Mapping[str, Surface] = {
    "/v1/images/generations": "image_generations",
    "/v1/images/edits": "image_edits",
    "/v1/images/variations": "image_variations",
    "/v1/audio/speech": "speech",
    "/v1/audio/transcriptions": "audio_transcriptions",
    "/v1/audio/translations": "audio_translations",
}
"""A POST whose body names the model."""
BY_ACCOUNT: Mapping[str, Surface] = {"/v1/files": "files", "/v1/batches": "batches"}
"""What lies with an account: the path itself lists and makes, below it is what one id names."""
_BELOW: Mapping[tuple[str, Surface], re.Pattern[str]] = {
    ("GET", "files"): re.compile(r"/[\w-][\w.-]{0,255}(/content)?", re.ASCII),
    ("DELETE", "files"): re.compile(r"/[\w-][\w.-]{0,255}", re.ASCII),
    ("GET", "batches"): re.compile(r"/[\w-][\w.-]{0,255}", re.ASCII),
    ("POST", "batches"): re.compile(r"/[\w-][\w.-]{0,255}/cancel", re.ASCII),
}
BELOW: tuple[tuple[str, str], ...] = tuple(
    (method, path) for path, surface in BY_ACCOUNT.items() for method, known in _BELOW if known == surface
)
"""Methods and paths under which ids are named."""
_QUERY = re.compile(rb"[\x21-\x7e]*")
_CHOSEN = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}", re.IGNORECASE)
PROVIDER_HEADER = b"x-headworks-provider"
_PROVIDER = b"provider="


def tail_of(method: str, path: str, raw_path: bytes, surface: Surface) -> str:
    """What stands below a surface's own path. Raises NotFound for what can't be an id: `..` would lead elsewhere."""
    tail = raw_path.decode("ascii", "replace").removeprefix(path)
    known = _BELOW.get((method, surface))
    if tail and (known is None or known.fullmatch(tail) is None):
        raise NotFound(f"There is nothing at {method} {path}{tail[:80]}.", next_step="Name an id as it was given.")
    return tail


def query_of(raw: bytes) -> tuple[str, str | None]:
    """The query for the provider, as it came but for `provider`, and that."""
    if not _QUERY.fullmatch(raw):
        raise InvalidRequest("The query holds spaces or control characters.")
    parts = raw.split(b"&") if raw else []
    chosen = [part.removeprefix(_PROVIDER) for part in parts if part.startswith(_PROVIDER)]
    rest = b"&".join(part for part in parts if not part.startswith(_PROVIDER))
    if len(set(chosen)) > 1:
        raise InvalidRequest("`provider` stands in the query twice.", param="provider")
    return f"?{rest.decode('ascii')}" if rest else "", chosen[0].decode("ascii") if chosen else None


def chosen_of(headers: list[tuple[bytes, bytes]], in_query: str | None) -> str | None:
    """The account that the caller names, None: none. Raises InvalidRequest for what is no name."""
    named = next((value.decode("latin-1").strip() for name, value in headers if name == PROVIDER_HEADER), in_query)
    if named is not None and _CHOSEN.fullmatch(named) is None:
        raise InvalidRequest("`provider` is no name of an account.", param="provider")
    return named


def google_query(raw: bytes) -> tuple[str, str]:
    """What of the query goes on, which is `alt` alone, and the caller's key."""
    given = dict(parse_qsl(raw.decode("latin-1")))
    return "?alt=sse" if given.get("alt") == "sse" else "", given.get("key", "")


class Named(msgspec.Struct, frozen=True):
    """A body that names its model, JSON or a form."""

    content_type: bytes
    body: Body | Form

    @staticmethod
    def read(raw: bytes, content_type: bytes) -> Named:
        """Raises InvalidRequest."""
        return Named(content_type, Form.read(raw, content_type) if is_form(content_type) else Body.read(raw))

    @property
    def model(self) -> str | None:
        """What it names."""
        return self.body.model if isinstance(self.body, Form) else self.body.text("model")

    @property
    def streams(self) -> bool:
        """Whether the answer is asked for in pieces, as far as JSON says it."""
        return isinstance(self.body, Body) and self.body.value("stream") == b"true"

    def body_for(self, aim: Aim) -> bytes:
        """The bytes for one target: model and the route's parameters are spliced."""
        if isinstance(self.body, Body):
            return self.body.spliced(aim.changes)
        if len(aim.changes) > 1:
            fixed = ", ".join(f"`{name}`" for name in aim.changes if name != "model")
            raise InvalidRequest(
                f"The route fixes {fixed} for `{aim.target.name}`, which can't be set in a form.",
                next_step="Call a route without parameters, or the model by its name.",
                param="model",
            )
        return self.body.spliced(aim.target.model)
