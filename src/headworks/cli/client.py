"""How commands talk to a server: JSON over HTTP/1.1 with the standard library, and the server's own words on errors."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import quote, urlencode, urlsplit

from headworks.cli.json_values import Json, JsonObject
from headworks.errors import (
    BodyTooLarge,
    Conflict,
    Forbidden,
    HeadworksError,
    InvalidRequest,
    NotFound,
    Unauthenticated,
    Unavailable,
    UpstreamError,
)

SILENCE_LIMIT_S = 120.0
"""How long a server may say nothing before it is given up."""
_KINDS: tuple[type[HeadworksError], ...] = (
    InvalidRequest, Unauthenticated, Forbidden, NotFound, Conflict, BodyTooLarge, UpstreamError, Unavailable,
)  # fmt: skip
_STALE = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)
Body = bytes | BinaryIO | None


@dataclass(frozen=True, slots=True)
class Events:
    """A stream of server-sent events: the answer's headers (lower case), and the data of each event as it comes."""

    headers: Mapping[str, str]
    data: Iterator[Json]


class Client:
    """One server, asked with one key. May be used by several threads; each has a connection of its own."""

    def __init__(self, url: str, key: str | None, *, seen_as: str | None = None) -> None:
        """`seen_as`: whom every request is made as, which only some routes and administrators may."""
        self.url = _checked(url)
        self._key = key
        self._seen_as = seen_as
        self._parts = urlsplit(self.url)
        self._local = threading.local()
        self._opened: list[http.client.HTTPConnection] = []

    def with_key(self, key: str | None) -> Client:
        """The same server, asked with another key; closed together with this one."""
        other = Client(self.url, key)
        other._opened = self._opened
        return other

    def seeing_as(self, name: str | None) -> Client:
        """The same server and key, asked as somebody else would see it; None: as oneself. Closed together with this."""
        other = Client(self.url, self._key, seen_as=name)
        other._opened = self._opened
        return other

    def close(self) -> None:
        """Close the connections of all threads."""
        for connection in self._opened:
            connection.close()

    def get(self, path: str, **query: object) -> Json:
        """The answer of a GET, from JSON. Raises what the server refuses with, or Unavailable when there is none."""
        return self._json("GET", _target(path, query), None, {})

    def post(self, path: str, body: object = None) -> Json:
        """The answer of a POST with a JSON body; errors as `get`."""
        return self._json("POST", path, json.dumps(body or {}).encode(), {"content-type": "application/json"})

    def put(self, path: str, body: object = None) -> Json:
        """The answer of a PUT with a JSON body, or without any; errors as `get`."""
        if body is None:
            return self._json("PUT", path, b"", {})
        return self._json("PUT", path, json.dumps(body).encode(), {"content-type": "application/json"})

    def download(self, path: str) -> bytes:
        """The bytes that a GET answers; errors as `get`."""
        response = self._send("GET", path, None, {})
        if response.status >= 300:
            raise _refusal(response, self.url)
        return self._read(response)

    def delete(self, path: str) -> Json:
        """The answer of a DELETE; errors as `get`."""
        return self._json("DELETE", path, None, {})

    def upload(self, path: str, query: Mapping[str, object], content: BinaryIO, size: int) -> Json:
        """PUT a file as it is read; errors as `get`."""
        headers = {"content-type": "application/octet-stream", "content-length": str(size)}
        return self._json("PUT", _target(path, query), content, headers)

    def events(self, path: str, body: object) -> Events:
        """POST, and the events of the answer as they come; errors as `get`, also when they come in the stream."""
        response = self._send("POST", path, json.dumps(body).encode(), {"content-type": "application/json"})
        if response.status >= 300:
            raise _refusal(response, self.url)
        return Events({name.lower(): value for name, value in response.getheaders()}, _events(response))

    def _json(self, method: str, target: str, body: Body, headers: Mapping[str, str]) -> Json:
        response = self._send(method, target, body, headers)
        if response.status >= 300:
            raise _refusal(response, self.url)
        content = self._read(response)
        if not content:
            return None
        try:
            return json.loads(content)
        except ValueError:
            raise _stranger(self.url, f"{method} {target} gave no JSON") from None

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        try:
            return response.read()
        except (OSError, http.client.HTTPException) as error:
            raise _cut(self.url, error) from None

    def _send(self, method: str, target: str, body: Body, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        if self._key is not None:
            headers = {**headers, "authorization": f"Bearer {self._key}"}
        if self._seen_as is not None:
            headers = {**headers, "x-headworks-as": quote(self._seen_as)}
        connection, is_used = self._connection()
        try:
            return self._exchange(connection, method, target, body, headers)
        except _STALE as error:
            connection.close()
            if not is_used:
                raise _unreachable(self.url, error) from None
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise _unreachable(self.url, error) from None
        # A kept connection that had died: nothing of this request was answered, so it is sent once more.
        if body is not None and not isinstance(body, bytes):
            body.seek(0)
        return self._send(method, target, body, headers)

    @staticmethod
    def _exchange(
        connection: http.client.HTTPConnection, method: str, target: str, body: Body, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        try:
            connection.request(method, target, body, dict(headers))
        except (BrokenPipeError, ConnectionResetError):
            # The server may have refused a body before its end; then its answer is there to be read.
            if body is None or isinstance(body, bytes):
                raise
        return connection.getresponse()

    def _connection(self) -> tuple[http.client.HTTPConnection, bool]:
        """The calling thread's connection, and whether it was used before and may have died since."""
        found: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if found is None:
            host, port = self._parts.hostname or "", self._parts.port
            if self._parts.scheme == "https":
                context = ssl.create_default_context()
                found = http.client.HTTPSConnection(host, port, timeout=SILENCE_LIMIT_S, context=context)
            else:
                found = http.client.HTTPConnection(host, port, timeout=SILENCE_LIMIT_S)
            self._local.connection = found
            self._opened.append(found)
        return found, found.sock is not None


def place(*parts: str) -> str:
    """A path of the API from parts that may hold any characters but `/`: `place("groups", name)` is `/api/groups/…`.

    Raises InvalidRequest for a part with a `/`: servers take an escaped one for a plain one, so it would be two parts.
    """
    for part in parts:
        if "/" in part:
            raise InvalidRequest(f"`{part[:100]}` is no name or id: none of them holds a `/`.")
    return "/api/" + "/".join(quote(part, safe="") for part in parts)


def _target(path: str, query: Mapping[str, object]) -> str:
    given = {name: value for name, value in query.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def _checked(url: str) -> str:
    full = url.rstrip("/") if "://" in url else f"http://{url.rstrip('/')}"
    parts = urlsplit(full)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path or parts.query:
        raise InvalidRequest(f"{url!r} is not the address of a server.", next_step="Like http://127.0.0.1:8484.")
    return full


def _events(response: http.client.HTTPResponse) -> Iterator[Json]:
    """The JSON of each `data:` up to `[DONE]`; a stream that ends before is an error, not an end."""
    try:
        for line in response:
            if not line.startswith(b"data:"):
                continue
            data = line[5:].strip()
            if data == b"[DONE]":
                with contextlib.suppress(OSError, http.client.HTTPException):
                    response.read()  # so that the connection can be used again
                return
            event = json.loads(data)
            if isinstance(event, dict) and isinstance(event.get("error"), dict):
                raise _from_error(int(event["error"].get("status") or 502), event["error"])
            yield event
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UpstreamError(f"The answer broke off: {error}.") from None
    finally:
        response.close()
    raise UpstreamError("The answer broke off before its end.")


def _refusal(response: http.client.HTTPResponse, url: str) -> HeadworksError:
    """What the server said, as the error that it is."""
    try:
        body = json.loads(response.read())
        return _from_error(response.status, body["error"] if "error" in body else {"message": body["reason"]})
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return _stranger(url, f"status {response.status} {response.reason}")


def _from_error(status: int, error: JsonObject) -> HeadworksError:
    kind = next((kind for kind in _KINDS if kind.status == status), HeadworksError)
    made = kind(str(error["message"]), code=error.get("code"), param=error.get("param"))
    made.status = status
    return made


def _stranger(url: str, what: str) -> HeadworksError:
    return HeadworksError(
        f"{url} answered, but not as Headworks does: {what}.", next_step="Check the address (--url, HEADWORKS_URL)."
    )


def _cut(url: str, error: Exception) -> Unavailable:
    return Unavailable(f"The connection to {url} broke: {error or type(error).__name__}.", code="connection_lost")


def _unreachable(url: str, error: Exception) -> Unavailable:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return Unavailable(
        f"No server answers at {url} ({reason}).",
        next_step="Start one with `headworks up`, or give the address of another with --url or HEADWORKS_URL.",
        code="server_unreachable",
    )
