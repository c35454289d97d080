"""What every wire format says, in one set of words: a request, and the events of its answer. Read this before a codec.

A codec reads its format into these words and writes them again, without loss: `write(read(x))` is `x` as a JSON value.
What a format says that has no word here goes into an `ext` bag, member by member as raw JSON, marked by where it stood.
A codec of another format either carries a bag's member (it knows what it means), leaves out a *hint* (something whose
absence changes no answer) and names it, or refuses the request with the field's name: nothing is dropped in silence.

JSON that we don't need to look into stays raw: the arguments of a tool call, the schema of a tool. Raw text is `bytes`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from headworks.types.models import Usage

FormatName = Literal["chat", "responses", "messages", "completions", "gemini", "converse"]

Ext = dict[str, msgspec.Raw]
"""Members that have no word here, by their name in the format that was read.

A name that begins with `~` only says how something was written (a list where text would do, an empty list where
nothing would): it means nothing in another format, which passes over it. So does a member whose value is `null`.
"""


class Cache(msgspec.Struct, frozen=True, gc=False):
    """A prompt-cache marker after a block or a tool; `lifetime` as the formats write it: `5m` or `1h`."""

    lifetime: Literal["5m", "1h"] | None = None


# Blocks: what a turn, or an answer, is made of.


class Source(msgspec.Struct, frozen=True, gc=False):
    """Where media come from: exactly one of base64 `data`, a `url`, or the provider's own `file_id`."""

    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None


class Citation(msgspec.Struct, frozen=True):
    """A quote that supports text of the block which it is attached to.

    `start` and `end` are characters of the block's text where the claim stands (None: the whole block), `url` is where
    the source can be opened; `document`, `document_start` and `document_end` (characters) place `quote` in the source.
    `ext`: other members of the format's own citation, with its `kind`.
    """

    quote: str = ""
    title: str = ""
    url: str = ""
    start: int | None = None
    end: int | None = None
    document: str | None = None
    document_index: int | None = None
    document_start: int | None = None
    document_end: int | None = None
    kind: str = ""
    ext: Ext = {}


class TextBlock(msgspec.Struct):
    """Text. `is_refusal`: the model says that it will not answer (OpenAI's `refusal`)."""

    text: str
    is_refusal: bool = False
    citations: tuple[Citation, ...] = ()
    cache: Cache | None = None
    ext: Ext = {}


class ImageBlock(msgspec.Struct):
    """A picture; `detail` is OpenAI's."""

    source: Source
    detail: str | None = None
    cache: Cache | None = None
    ext: Ext = {}


class AudioBlock(msgspec.Struct):
    """Sound; `encoding` is `wav`, `mp3` or the like."""

    source: Source
    encoding: str | None = None
    cache: Cache | None = None
    ext: Ext = {}


class FileBlock(msgspec.Struct):
    """A document, such as a PDF. `text`: it is plain text and given as such. `wants_citations`: Anthropic's switch."""

    source: Source
    name: str | None = None
    text: str | None = None
    context: str | None = None
    wants_citations: bool | None = None
    cache: Cache | None = None
    ext: Ext = {}


class ToolCallBlock(msgspec.Struct):
    """The model wants a tool run. `arguments` is JSON text as the model wrote it, for `custom` tools any text."""

    id: str
    name: str
    arguments: bytes
    is_custom: bool = False
    signature: str | None = None
    """Gemini's `thoughtSignature` on a call; must be returned with it."""
    cache: Cache | None = None
    ext: Ext = {}


class ToolResultBlock(msgspec.Struct):
    """What a tool gave: text, images, files. `name` is the tool's, where the format says it."""

    id: str
    content: tuple[Block, ...]
    name: str | None = None
    is_error: bool | None = None
    is_custom: bool = False
    cache: Cache | None = None
    ext: Ext = {}


class ThinkingBlock(msgspec.Struct):
    """Reasoning that may have to be given back as it was, with its signature, to the format that made it (`origin`).

    `redacted`: encrypted reasoning, which only the provider can read (`text` is then empty).
    `summary`: the parts of a summary (Responses).
    """

    text: str = ""
    signature: str | None = None
    redacted: str | None = None
    id: str | None = None
    summary: tuple[str, ...] = ()
    origin: FormatName | None = None
    ext: Ext = {}


class OpaqueBlock(msgspec.Struct):
    """A block that only one format has, as it stood: server tools and their results, containers. `kind` is its type."""

    origin: FormatName
    kind: str
    raw: msgspec.Raw


Block = TextBlock | ImageBlock | AudioBlock | FileBlock | ToolCallBlock | ToolResultBlock | ThinkingBlock | OpaqueBlock


# Requests.

Role = Literal["system", "developer", "user", "assistant"]


class Turn(msgspec.Struct):
    """One message. Results of tools are blocks of a `user` turn, whatever role the format gives them."""

    role: Role
    blocks: list[Block]
    name: str | None = None
    ext: Ext = {}


class Tool(msgspec.Struct):
    """A function that the caller runs; `parameters` is its JSON schema. `is_custom`: free text instead of arguments.

    `origin` with `raw`: a tool that the provider runs (web search, code), as it stood.
    """

    name: str
    description: str | None = None
    parameters: msgspec.Raw | None = None
    strict: bool | None = None
    is_custom: bool = False
    cache: Cache | None = None
    origin: FormatName | None = None
    raw: msgspec.Raw | None = None
    ext: Ext = {}


class ToolChoice(msgspec.Struct, frozen=True):
    """`named`: exactly the tool `name`; `allowed`: one of `names`, with `mode` auto or required as `is_required`."""

    mode: Literal["auto", "none", "required", "named", "allowed"]
    name: str | None = None
    names: tuple[str, ...] = ()
    is_required: bool = False


class OutputFormat(msgspec.Struct, frozen=True):
    """`json`: any JSON object; `json_schema`: by `schema` (raw JSON)."""

    kind: Literal["text", "json", "json_schema"]
    name: str | None = None
    schema: msgspec.Raw | None = None
    strict: bool | None = None
    description: str | None = None


class Reasoning(msgspec.Struct, frozen=True):
    """How much to think: `effort` in OpenAI's words, or `budget_tokens`; `enabled` False switches it off.

    `is_adaptive`: the model decides. `summary`: which summary is wanted. `shows_text`: thoughts are to be sent.
    """

    effort: str | None = None
    budget_tokens: int | None = None
    enabled: bool | None = None
    is_adaptive: bool = False
    summary: str | None = None
    shows_text: bool | None = None


class Request(msgspec.Struct):
    """What is asked of a model. System texts stand as turns, in their place. None: the caller did not say.

    `origin` is the format that it was read from: its writer puts `ext` back, the others carry, leave out or refuse it.
    """

    origin: FormatName
    model: str
    turns: list[Turn] = []
    tools: list[Tool] = []
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_output: int | None = None
    """Tokens of output, reasoning included."""
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    choices: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    output_format: OutputFormat | None = None
    reasoning: Reasoning | None = None
    verbosity: str | None = None
    end_user: str | None = None
    service_tier: str | None = None
    stream: bool = False
    wants_usage: bool = False
    """Only Chat and Completions ask for usage in a stream; all other formats give it always."""
    ext: Ext = {}


# Answers: always events; a whole answer is their collection.

StopReason = Literal[
    "stop",
    "stop_sequence",
    "length",
    "context_window",
    "tool_calls",
    "content_filter",
    "refusal",
    "pause",
    "malformed_tool_call",
    "error",
]
"""`content_filter`: cut off by a filter; `refusal`: the model declined; `pause`: the provider wants to go on later."""


class Started(msgspec.Struct):
    """The answer has an id; `model` as the provider names it, `created` in seconds since 1970.

    `origin` is the format that the whole answer was read from: its writer puts all `ext` bags back, the others none.
    """

    id: str = ""
    model: str = ""
    created: int | None = None
    ext: Ext = {}
    origin: FormatName | None = None


class Opened(msgspec.Struct):
    """A block begins. `block` has what is known of it: a call's id and name, an opaque block whole."""

    index: int
    block: Block


class Grown(msgspec.Struct):
    """More of a block: of its text, of a call's arguments, of a thought, by the kind of the block at `index`.

    `part`: the text belongs to this part of a thought's summary, not to the thought itself (Responses).
    """

    index: int
    text: str
    part: int | None = None


class Signed(msgspec.Struct):
    """A thought's signature, or encrypted content, whole."""

    index: int
    signature: str


class Cited(msgspec.Struct):
    """A citation of the text block at `index`."""

    index: int
    citation: Citation


class Closed(msgspec.Struct):
    """A block is complete."""

    index: int


class Counted(msgspec.Struct):
    """What the provider has counted so far; a later one replaces it, member by member where it says something."""

    usage: Usage
    ext: Ext = {}


class Stopped(msgspec.Struct):
    """The model has ended; `word` is the format's own, `sequence` the stop sequence that was met.

    `note` is what we say of the whole answer: a JSON object, in every format the member `headworks` beside its own.
    """

    reason: StopReason
    word: str = ""
    sequence: str | None = None
    ext: Ext = {}
    note: msgspec.Raw | None = None


class Failed(msgspec.Struct):
    """The provider reports an error inside its answer. `kind`, `message` and `code` as it says them."""

    kind: str
    message: str
    code: str | None = None
    status: int | None = None
    retry_after_s: float | None = None
    raw: msgspec.Raw | None = None
    origin: FormatName | None = None


class Aside(msgspec.Struct):
    """An event of one format that says nothing about the answer's content: `ping`, a filter's frame, progress."""

    origin: FormatName
    kind: str
    raw: msgspec.Raw


Event = Started | Opened | Grown | Signed | Cited | Closed | Counted | Stopped | Failed | Aside


class Answer(msgspec.Struct):
    """A whole answer; see `answers.collect` and `answers.replay`."""

    started: Started
    blocks: list[Block]
    stopped: Stopped
    usage: Usage
    usage_ext: Ext = {}
