"""A request in Chat Completions: read into neutral words, written from them."""

from __future__ import annotations

import msgspec

from headworks.errors import InvalidRequest
from headworks.formats.chat import plain
from headworks.formats.chat.members import NO_RAW, Misread, Shape, is_null, may_hold_null, starts
from headworks.formats.chat.messages import read_messages
from headworks.formats.chat.saying import MARK, USUAL, Saying
from headworks.formats.chat.thinking import read_reasoning, write_reasoning
from headworks.formats.chat.tools import (
    read_choice,
    read_format,
    read_functions,
    read_tools,
    write_choice,
    write_format,
    write_functions,
    write_tools,
)
from headworks.formats.chat.turns import write_turns
from headworks.formats.contract import Written
from headworks.formats.neutral import Ext, Request

MODEL, STREAM, STREAM_OPTIONS, MESSAGES = "model", "stream", "stream_options", "messages"
CAPS = ("max_tokens", "max_completion_tokens")
"""The two names of the cap on output: the older, which compatible servers know, and OpenAI's newer."""
WITH_USAGE = b'{"include_usage":true}'
"""The `stream_options` that ask for usage."""


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    """The members that have a neutral word; all others are in the bag."""

    model: str
    messages: msgspec.Raw
    tools: list[msgspec.Raw] | None = None
    functions: list[msgspec.Raw] | None = None
    tool_choice: msgspec.Raw = NO_RAW
    function_call: msgspec.Raw = NO_RAW
    parallel_tool_calls: bool | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: str | tuple[str, ...] | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    response_format: msgspec.Raw = NO_RAW
    reasoning_effort: str | None = None
    reasoning: msgspec.Raw = NO_RAW
    thinking: msgspec.Raw = NO_RAW
    verbosity: str | None = None
    user: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    stream: bool | None = None
    stream_options: msgspec.Raw = NO_RAW


class _StreamOptions(msgspec.Struct, gc=False):
    include_usage: bool | None = None


_REQUEST = Shape(_Request)
_stream_options = msgspec.json.Decoder(_StreamOptions).decode
_SAME = (
    "parallel_tool_calls",
    "temperature",
    "top_p",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
    "verbosity",
)
"""Members that are called so in the neutral model too."""
_CARRIED = frozenset(
    (
        "metadata",
        "moderation",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
    )
)
"""Members that OpenAI's other format has under the same name and with the same meaning."""
_USUAL = {"modalities": b'["text"]', "store": b"false", "logit_bias": b"{}"}
"""Members with the value that they have when they are not there."""
_TIERS = frozenset(("auto", "default", "flex", "scale", "priority", "fast"))


def read_request(body: bytes) -> Request:
    """Raises InvalidRequest that names the field."""
    try:
        if not body.isascii():
            body.decode()
        return _read(body)
    except Misread as error:
        raise error.as_request() from None
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"The body is not UTF-8: byte {error.start} can't be read.") from None
    except RecursionError:
        raise InvalidRequest("The body is nested too deeply.", next_step="Nest less deeply.") from None
    except msgspec.DecodeError as error:
        said = str(error).removeprefix("JSON is malformed: ").rstrip(".")
        raise InvalidRequest(f"The body is not valid JSON: {said}.", code="invalid_json") from None


def _read(body: bytes) -> Request:
    found, ext = _REQUEST.read(body)
    request = Request(
        "chat",
        found.model,
        read_messages(found.messages),
        parallel_tool_calls=found.parallel_tool_calls,
        temperature=found.temperature,
        top_p=found.top_p,
        top_k=found.top_k,
        seed=found.seed,
        presence_penalty=found.presence_penalty,
        frequency_penalty=found.frequency_penalty,
        choices=found.n,
        logprobs=found.logprobs,
        top_logprobs=found.top_logprobs,
        verbosity=found.verbosity,
        service_tier=found.service_tier,
        ext=ext,
    )
    if found.max_tokens is not None or found.max_completion_tokens is not None:
        _read_cap(found, request)
    if found.stream is not None or found.stream_options is not NO_RAW:
        _read_stream(found, request)
    if (
        found.tools is not None
        or found.tool_choice is not NO_RAW
        or found.functions is not None
        or found.function_call is not NO_RAW
    ):
        _read_tools(found, request)
    _read_rest(found, request)
    return request


def _read_rest(found: _Request, request: Request) -> None:
    """What few say."""
    ext = request.ext
    if found.stop is not None:
        request.stop = (found.stop,) if isinstance(found.stop, str) else found.stop
        if isinstance(found.stop, str) or not found.stop:
            ext["~stop"] = msgspec.Raw(b'""' if isinstance(found.stop, str) else b"[]")
    if found.response_format is not NO_RAW:
        _read_format(found, request)
    if found.reasoning_effort is not None or found.reasoning is not NO_RAW or found.thinking is not NO_RAW:
        request.reasoning = read_reasoning(found.reasoning_effort, found.reasoning, found.thinking, ext)
    if found.user is not None or found.safety_identifier is not None:
        _read_user(found, request)
    if ext:
        for name in _USUAL.keys() & ext.keys():
            if bytes(ext[name]).replace(b" ", b"") == _USUAL[name]:
                ext[USUAL + name] = ext.pop(name)


def _read_tools(found: _Request, request: Request) -> None:
    ext = request.ext
    request.tools = read_tools(found.tools or [])
    if found.tools is not None and not found.tools:
        ext["~tools"] = MARK
    if found.functions is not None:
        if found.tools:
            raise Misread("can't be given beside `tools`", ".functions", "invalid_value")
        request.tools = read_functions(found.functions)
        ext["~functions"] = MARK
    for name, raw in (("function_call", found.function_call), ("tool_choice", found.tool_choice)):
        if is_null(raw):
            continue
        if request.tool_choice is not None:
            raise Misread("can't be given beside `function_call`", ".tool_choice", "invalid_value")
        request.tool_choice = read_choice(raw, name)
        if request.tool_choice is None:
            ext[name] = raw
        elif name == "function_call" or starts(raw, b"{"):
            ext[f"~{name}"] = raw


def _read_cap(found: _Request, request: Request) -> None:
    request.max_output = found.max_completion_tokens
    if found.max_tokens is not None:
        if found.max_completion_tokens is None:
            request.max_output = found.max_tokens
            request.ext["~max_output"] = MARK
        else:
            request.ext["~max_tokens"] = msgspec.Raw(b"[%d,%d]" % (found.max_tokens, found.max_completion_tokens))
    if request.max_output is not None and request.max_output < 1:
        name = CAPS[0] if "~max_output" in request.ext else CAPS[1]
        raise Misread("must be a whole number from 1", f".{name}", "invalid_value")


def _read_format(found: _Request, request: Request) -> None:
    raw = found.response_format
    if is_null(raw):
        return
    request.output_format = read_format(raw)
    if request.output_format is None:
        request.ext["response_format"] = raw
    elif may_hold_null(raw):
        request.ext["~response_format"] = raw


def _read_user(found: _Request, request: Request) -> None:
    """`safety_identifier` is the newer name of `user`; both may be there."""
    request.end_user = found.user
    if found.safety_identifier is not None:
        if found.user is None:
            request.end_user = found.safety_identifier
            request.ext["~end_user"] = MARK
        else:
            request.ext["safety_identifier"] = msgspec.Raw(msgspec.json.encode(found.safety_identifier))


def _read_stream(found: _Request, request: Request) -> None:
    request.stream = found.stream is True
    if found.stream is False:
        request.ext["~stream"] = MARK
    raw = found.stream_options
    if is_null(raw):
        return
    try:
        request.wants_usage = _stream_options(raw).include_usage is True
    except msgspec.ValidationError as error:
        raise Misread.of(error).within(".stream_options") from None
    request.ext["~stream_options"] = raw


def write_request(request: Request, *, cap: str = CAPS[1], accepts: frozenset[str] = frozenset()) -> Written:
    """The body. `cap`: the name of the cap on output that the target knows; `accepts`: members beyond OpenAI's.

    Raises Unmapped that names what can't be said.
    """
    said = plain.write_request(request, cap)
    return write_carefully(request, cap=cap, accepts=accepts) if said is None else Written(said)


def write_carefully(request: Request, *, cap: str = CAPS[1], accepts: frozenset[str] = frozenset()) -> Written:
    """As `write_request`, whatever it says."""
    saying = Saying(request.origin, accepts)
    body: dict[str, object] = {MODEL: request.model, MESSAGES: write_turns(request.turns, saying)}
    _write_tools(body, request, saying)
    _write_cap(body, request, cap if not saying.is_own else CAPS["~max_output" not in request.ext])
    for name in _SAME:
        if (value := getattr(request, name)) is not None:
            body[name] = value
    _write_sampling(body, request, saying)
    if request.output_format is not None:
        body["response_format"] = _as_written("response_format", request) or write_format(request.output_format)
    write_reasoning(body, request.reasoning, request.ext, saying)
    _write_about(body, request, saying)
    _write_stream(body, request, saying)
    saying.bag(body, _carried(body, request.ext, saying), "")
    return Written(msgspec.json.encode(body), saying.left_out)


def _write_tools(body: dict[str, object], request: Request, saying: Saying) -> None:
    ext: Ext = request.ext if saying.is_own else {}
    if "~functions" in ext:
        body["functions"] = write_functions(request.tools)
    elif request.tools or "~tools" in ext:
        body["tools"] = write_tools(request.tools, saying)
    if request.tool_choice is None:
        return
    if "~function_call" in ext:
        choice = request.tool_choice
        body["function_call"] = {"name": choice.name} if choice.mode == "named" else choice.mode
    else:
        body["tool_choice"] = _as_written("tool_choice", request) or write_choice(request.tool_choice, request.tools)


def _as_written(name: str, request: Request) -> msgspec.Raw | None:
    """The member as its own format wrote it, as long as it still says the same."""
    raw = request.ext.get(f"~{name}") if request.origin == "chat" else None
    if raw is None:
        return None
    if name == "tool_choice":
        return raw if read_choice(raw, name) == request.tool_choice else None
    return raw if read_format(raw) == request.output_format else None


def _write_cap(body: dict[str, object], request: Request, name: str) -> None:
    if request.max_output is None:
        return
    body[name] = request.max_output
    if request.origin == "chat" and "~max_tokens" in request.ext:
        older, newer = msgspec.json.decode(request.ext["~max_tokens"], type=tuple[int, int])
        body[CAPS[0]] = older if request.max_output == newer else min(older, request.max_output)


def _write_sampling(body: dict[str, object], request: Request, saying: Saying) -> None:
    if request.choices is not None:
        body["n"] = request.choices
    if request.top_logprobs is not None and not saying.is_own:
        body["logprobs"] = True  # which the other formats take for granted
    if request.top_k is not None:
        if not saying.is_own and "top_k" not in saying.accepts:
            raise saying.refused("top_k")
        body["top_k"] = request.top_k
    mark = request.ext.get("~stop") if saying.is_own else None
    if mark is not None and len(request.stop) < 2:
        body["stop"] = request.stop[0] if request.stop else []
    elif request.stop:
        body["stop"] = request.stop


def _write_about(body: dict[str, object], request: Request, saying: Saying) -> None:
    if request.end_user is not None:
        body["safety_identifier" if saying.is_own and "~end_user" in request.ext else "user"] = request.end_user
    tier = request.service_tier
    if tier is not None:
        if saying.is_own or tier in _TIERS:
            body["service_tier"] = tier
        else:
            saying.leave_out("service_tier")


def _write_stream(body: dict[str, object], request: Request, saying: Saying) -> None:
    """Usage is asked for where the caller's format gives it unasked."""
    if request.stream or (saying.is_own and "~stream" in request.ext):
        body[STREAM] = request.stream
    written = request.ext.get("~stream_options") if saying.is_own else None
    if written is not None and request.wants_usage == (_stream_options(written).include_usage is True):
        body[STREAM_OPTIONS] = written
    elif request.stream and (request.wants_usage or saying.origin not in {"chat", "completions"}):
        body[STREAM_OPTIONS] = msgspec.Raw(WITH_USAGE)


def _carried(body: dict[str, object], ext: Ext, saying: Saying) -> Ext:
    """What is left of the bag when the members are out that this format knows by the same name."""
    if saying.origin != "responses" or not ext:
        return ext
    for name in _CARRIED & ext.keys():
        body.setdefault(name, ext[name])
    return {name: raw for name, raw in ext.items() if name not in _CARRIED}
