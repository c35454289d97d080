"""Google's and Amazon's own clients, byte for byte: their paths name the model, which may be a route of ours.

Only targets that speak the same format are asked. Usage is read from the answer while its bytes go by.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import quote, unquote

import msgspec

from headworks.errors import HeadworksError, NotFound, UpstreamError
from headworks.formats.chat.format import CHAT
from headworks.formats.contract import Reader, Spoken, Verdict
from headworks.formats.converse.format import CONVERSE
from headworks.formats.converse.streams import Reader as FrameReader
from headworks.formats.event_stream import encode as frame
from headworks.formats.gemini.format import GEMINI
from headworks.formats.neutral import Counted, Failed, Grown
from headworks.gateway.dialects import Dialect
from headworks.providers.contract import Surface
from headworks.types.models import Usage

_STATUSES: Mapping[int, tuple[str, str]] = {
    400: ("INVALID_ARGUMENT", "ValidationException"),
    401: ("UNAUTHENTICATED", "UnrecognizedClientException"),
    403: ("PERMISSION_DENIED", "AccessDeniedException"),
    404: ("NOT_FOUND", "ResourceNotFoundException"),
    413: ("INVALID_ARGUMENT", "ValidationException"),
    429: ("RESOURCE_EXHAUSTED", "ThrottlingException"),
    503: ("UNAVAILABLE", "ServiceUnavailableException"),
    504: ("DEADLINE_EXCEEDED", "ModelTimeoutException"),
}
"""What Google and Amazon call an error with that HTTP status."""
_BREAKING: Mapping[int, str] = {
    429: "throttlingException",
    500: "internalServerException",
    503: "serviceUnavailableException",
}
"""What Amazon calls an error in a stream; others of the caller's are a `validationException`."""
_GOOGLE = re.compile(r"(generateContent|streamGenerateContent|countTokens|embedContent)")
_AMAZON = re.compile(r"(converse|converse-stream)")
_SAFE_MODEL = re.compile(r"(?!.*(?:^|/)\.{1,2}(?:/|$))[^\x00-\x20\x7f?#%\\]{1,512}")


class Vendor(msgspec.Struct, frozen=True, kw_only=True):
    """A vendor's way to call models. `mark` stands between model and method in its path."""

    dialect: Dialect
    spoken: Spoken
    prefixes: tuple[str, ...]
    mark: str
    methods: re.Pattern[str]
    streaming: str
    tail: Callable[[str, str], str]
    """The path below a provider's address, from the target's model and the method."""
    kind_header: bytes | None = None
    """Where the kind of an error stands, beside its body."""

    def called(self, raw_path: bytes) -> tuple[str, str]:
        """Model and method that a path names. Raises NotFound."""
        path = raw_path.decode("ascii", "replace")
        below = next((path.removeprefix(each) for each in self.prefixes if path.startswith(each)), "")
        name, _, method = below.rpartition(self.mark)
        model = unquote(name)
        if not self.methods.fullmatch(method) or not _SAFE_MODEL.fullmatch(model):
            raise NotFound(
                f"There is nothing at POST {path[:120]}.",
                next_step=f"What passes through: {self.methods.pattern.strip('()').replace('|', ', ')}.",
            )
        return model, method

    def surface_of(self, method: str) -> Surface:
        """What its record is of."""
        if method == "countTokens":
            return "count_tokens"
        return "embeddings" if method == "embedContent" else self.dialect.surface

    def kind_of(self, error: HeadworksError) -> tuple[bytes, bytes] | None:
        """The header that names the kind of an error, where the vendor has one."""
        if self.kind_header is None:
            return None
        name = self.kind_header.decode("ascii")
        said = next((value for key, value in error.headers.items() if key.lower() == name), None)
        return self.kind_header, (said or _kind(error.status, 1)).encode("latin-1", "replace")


class Listener:
    """Reads a streamed answer while it goes by, for what it counts and whether it comes to its end."""

    def __init__(self, spoken: Spoken) -> None:
        self._reader: Reader | None = spoken.reader()
        self.usage: Usage | None = None
        self.heard = 0
        self.has_ended = False
        self.has_failed = False

    def hear(self, piece: bytes) -> None:
        """More of it. What can't be read goes on unread."""
        if self._reader is None:
            return
        try:
            for event in self._reader.feed(piece):
                if isinstance(event, Counted):
                    self.usage = event.usage
                elif isinstance(event, Grown):
                    self.heard += 1
                self.has_failed = self.has_failed or isinstance(event, Failed)
        except UpstreamError:
            self._reader = None

    def end(self) -> None:
        """No more comes. Raises UpstreamTruncated where the answer has not ended."""
        if self._reader is not None and not self.has_failed:
            for event in self._reader.end():
                if isinstance(event, Counted):
                    self.usage = event.usage
            self.has_ended = True

    @property
    def takes_an_error(self) -> bool:
        """Whether what was heard are whole frames, none of them an error. Events of lines need no such leave."""
        is_whole = isinstance(self._reader, FrameReader) and self._reader.is_between_frames
        return is_whole and not self.has_failed


def usage_in(spoken: Spoken, body: bytes) -> Usage | None:
    """What a whole answer counts, None: nothing that can be read."""
    try:
        return spoken.read_answer(body).usage
    except UpstreamError:
        return None


def _kind(status: int, vendor: int) -> str:
    if status in _STATUSES:
        return _STATUSES[status][vendor]
    usual = ("INTERNAL", "InternalServerException") if status >= 500 else _STATUSES[400]
    return usual[vendor]


def _message(error: HeadworksError | Failed) -> tuple[int, str]:
    if isinstance(error, Failed):
        return error.status or UpstreamError.status, error.message
    told = msgspec.json.decode(CHAT.error_body(error))
    return error.status, str(told["error"]["message"])


def _google_error(error: HeadworksError | Failed) -> bytes:
    status, message = _message(error)
    return msgspec.json.encode({"error": {"code": status, "message": message, "status": _kind(status, 0)}})


def _amazon_error(error: HeadworksError | Failed) -> bytes:
    status, message = _message(error)
    return msgspec.json.encode({"message": message, "__type": _kind(status, 1)})


def _amazon_frame(error: HeadworksError) -> bytes:
    status, message = _message(error)
    usual = "modelStreamErrorException" if status >= 500 else "validationException"
    headers = {":exception-type": _BREAKING.get(status, usual), ":content-type": "application/json"}
    return frame({**headers, ":message-type": "exception"}, msgspec.json.encode({"message": message}))


def _no_verdict(body: bytes) -> Verdict:
    del body
    return Verdict("answer")


def _google_tail(model: str, method: str) -> str:
    resource = model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"
    return f"/{quote(resource, safe='/')}:{method}"


def _amazon_tail(model: str, method: str) -> str:
    return f"/model/{quote(model, safe='-_.~')}/{method}"


def _google_event(error: HeadworksError) -> bytes:
    return b"data: " + _google_error(error) + b"\r\n\r\n"


GOOGLE = Vendor(
    dialect=Dialect(
        surface="gemini",
        path="/v1beta/models/",
        judge=_no_verdict,
        error_body=_google_error,
        error_event=_google_event,
    ),
    spoken=GEMINI,
    prefixes=("/v1beta/models/", "/v1/models/"),
    mark=":",
    methods=_GOOGLE,
    streaming="streamGenerateContent",
    tail=_google_tail,
)
AMAZON = Vendor(
    dialect=Dialect(
        surface="converse", path="/model/", judge=_no_verdict, error_body=_amazon_error, error_event=_amazon_frame
    ),
    spoken=CONVERSE,
    prefixes=("/model/",),
    mark="/",
    methods=_AMAZON,
    streaming="converse-stream",
    tail=_amazon_tail,
    kind_header=b"x-amzn-errortype",
)
VENDORS = (GOOGLE, AMAZON)
