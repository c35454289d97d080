"""What providers' answers say that no word of ours carries: counted by where it stands, and told in the log.

A request loses nothing: a member without a word is refused by its name, or named in `contract.Written.left_out`. An
answer can't be refused because its provider has begun to say more than it did; so it is told without, and counted here.
Where bytes are relayed, their callers have it all the same. `SILENT` are members that mean nothing in another format.
"""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from types import UnionType
from typing import Any, Final, Generic, TypeVar, Union, get_args, get_origin

import msgspec

from headworks.formats.neutral import Answer, Ext, FormatName

S = TypeVar("S", bound=msgspec.Struct)

SILENT: Final[Mapping[FormatName, frozenset[str]]] = {
    "chat": frozenset(
        {
            "choices.content_filter_offsets",
            "choices.content_filter_results",
            "choices.delta.token_ids",
            "choices.logprobs",
            "choices.matched_stop",
            "choices.native_finish_reason",
            "choices.stop_reason",
            "choices.token_ids",
            "content.expires_at",
            "content.transcript",
            "kv_transfer_params",
            "metadata",
            "prompt_filter_results",
            "prompt_logprobs",
            "prompt_token_ids",
            "provider",
            "service_tier",
            "system_fingerprint",
            "timings",
            "usage.completion_time",
            "usage.completion_tokens_details.accepted_prediction_tokens",
            "usage.completion_tokens_details.rejected_prediction_tokens",
            "usage.completion_tokens_details.text_tokens",
            "usage.cost",
            "usage.cost_details",
            "usage.is_byok",
            "usage.prompt_cache_miss_tokens",
            "usage.prompt_time",
            "usage.prompt_tokens_details.image_tokens",
            "usage.prompt_tokens_details.text_tokens",
            "usage.queue_time",
            "usage.total_time",
            "usage.total_tokens",
            "x_groq",
        }
    ),
    "messages": frozenset(
        {
            "container",
            "content.toolset_name",
            "diagnostics",
            "stop_details",
            "usage.inference_geo",
            "usage.server_tool_use",
            "usage.service_tier",
            "usage.speed",
        }
    ),
    "responses": frozenset(
        {
            "access_programs",
            "background",
            "billing",
            "completed_at",
            "content.logprobs",
            "content.created_by",
            "content.message.phase",
            "content.phase",
            "conversation",
            "frequency_penalty",
            "image",
            "input_transformations",
            "instructions",
            "max_output_tokens",
            "max_tool_calls",
            "metadata",
            "parallel_tool_calls",
            "presence_penalty",
            "previous_response_id",
            "prompt",
            "prompt_cache_diagnostics",
            "prompt_cache_key",
            "prompt_cache_options",
            "prompt_cache_retention",
            "reasoning",
            "safety_identifier",
            "service_tier",
            "store",
            "temperature",
            "text",
            "tool_choice",
            "tool_usage",
            "tools",
            "top_logprobs",
            "top_p",
            "truncation",
            "user",
        }
    ),
    "converse": frozenset({"usage.serverToolUsage"}),
}
"""By format, each by its place; the places of `Reading` need no entry: what means nothing is a field of the Struct."""

_log = logging.getLogger(__name__)
_seen: Counter[tuple[FormatName, str]] = Counter()
_TOLD: Final = frozenset(10**power for power in range(12))
_MOST_PLACES = 1000
_LONGEST_PLACE = 120
_MORE = "…"
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_rows = msgspec.json.Decoder(list[msgspec.Raw]).decode


def counts() -> dict[tuple[FormatName, str], int]:
    """How often this process has met each, by format and place."""
    return dict(_seen)


def note(name: FormatName, place: str) -> None:
    """Count one, and tell it at the first time, at the tenth, and so on."""
    key = name, place[:_LONGEST_PLACE]
    if key not in _seen and len(_seen) >= _MOST_PLACES:
        key = name, _MORE
    _seen[key] += 1
    if _seen[key] in _TOLD:
        _log.warning(
            "answers in the format %s say %r, which callers of other formats are not told: %d so far", *key, _seen[key]
        )


def note_bag(name: FormatName, ext: Ext, place: str = "") -> None:
    """What a bag of an answer holds for its own format alone; `place` is where its members stand."""
    silent = SILENT[name]
    for member, raw in ext.items():
        where = f"{place}.{member}" if place else member
        if member[:1] != "~" and where not in silent and bytes(memoryview(raw)[:5]) != b"null":
            note(name, where)


def noted(name: FormatName, answer: Answer, ends_at: str = "") -> Answer:
    """A whole answer, once its bags were looked through; `ends_at` is where it says why it ended."""
    note_bag(name, answer.started.ext)
    note_bag(name, answer.usage_ext, "usage")
    note_bag(name, answer.stopped.ext, ends_at)
    for block in answer.blocks:
        if ext := getattr(block, "ext", None):
            note_bag(name, ext, "content")
    return answer


class Reading(Generic[S]):
    """A decoder that reads a Struct whatever stands beside its fields, at every depth, and counts that."""

    __slots__ = ("_kind", "_known", "_name", "_place", "exact")

    def __init__(self, name: FormatName, kind: Any, place: str = "", *, strict: bool = True) -> None:  # noqa: ANN401 -- a Struct, or a union of tagged ones
        self._name = name
        self._kind = kind
        self._place = place
        self.exact: Callable[[bytes | msgspec.Raw], S] = msgspec.json.Decoder(_exactly(kind), strict=strict).decode
        """Takes nothing beside the fields: for who calls it often, and `carefully` where it fails."""
        self._known = msgspec.json.Decoder(kind, strict=strict).decode

    def __call__(self, raw: bytes | msgspec.Raw) -> S:
        """Raises what msgspec's decoders raise."""
        try:
            return self.exact(raw)
        except msgspec.ValidationError:
            return self.carefully(raw)

    def carefully(self, raw: bytes | msgspec.Raw) -> S:
        """The same for what `exact` does not take."""
        found: S = self._known(raw)
        for place in _beyond(self._kind, raw, self._place):
            note(self._name, place)
        return found


def _exactly(kind: Any) -> Any:  # noqa: ANN401 -- any annotation
    """The same type with Structs that take no other members."""
    if _is_struct(kind):
        return _twin(kind)
    args = get_args(kind)
    if not args or not any(_structs_in(kind)):
        return kind
    made = tuple(_exactly(each) for each in args)
    return Union[made] if _is_union(kind) else get_origin(kind)[made]  # noqa: UP007 -- as many as there are


@functools.cache
def _twin(struct: type[msgspec.Struct]) -> type[msgspec.Struct]:
    fields = [(each.name, _exactly(each.type), _default(each)) for each in msgspec.structs.fields(struct)]
    return msgspec.defstruct(struct.__name__, fields, bases=(struct,), forbid_unknown_fields=True)


def _default(field: msgspec.structs.FieldInfo) -> Any:  # noqa: ANN401 -- as msgspec gives it
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.field(default_factory=field.default_factory, name=field.encode_name)
    if field.default is not msgspec.NODEFAULT:
        return msgspec.field(default=field.default, name=field.encode_name)
    return msgspec.field(name=field.encode_name)


def _is_struct(kind: Any) -> bool:  # noqa: ANN401 -- any annotation
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _is_union(kind: Any) -> bool:  # noqa: ANN401 -- any annotation
    return get_origin(kind) in {Union, UnionType}


def _structs_in(kind: Any) -> Iterator[type[msgspec.Struct]]:  # noqa: ANN401 -- any annotation
    """Those that a value of this type may be, or hold."""
    if _is_struct(kind):
        yield kind
    for each in get_args(kind):
        yield from _structs_in(each)


def _beyond(kind: Any, raw: bytes | msgspec.Raw, place: str) -> Iterator[str]:  # noqa: ANN401 -- any annotation
    """Where members stand that the Structs of a type have no field for."""
    structs = list(_structs_in(kind))
    first = bytes(raw).lstrip()[:1] if structs else b""
    if first == b"[":
        for each in _rows(raw):
            yield from _beyond(kind, each, place)
    elif first == b"{":
        members = _members(raw)
        fields = _fields(structs, members)
        for member, value in members.items():
            where = f"{place}.{member}" if place else member
            if member in fields:
                yield from _beyond(fields[member], value, where)
            elif bytes(memoryview(value)[:5]) != b"null":
                yield where


def _fields(structs: list[type[msgspec.Struct]], members: Mapping[str, msgspec.Raw]) -> dict[str, Any]:
    """The types of the fields of the Struct that an object is, by their names in JSON."""
    struct = structs[0]
    tag = struct.__struct_config__.tag_field
    if tag is not None:
        word = msgspec.json.decode(members[tag])
        struct = next(each for each in structs if each.__struct_config__.tag == word)
    found = {each.encode_name: each.type for each in msgspec.structs.fields(struct)}
    return found | ({tag: str} if tag is not None else {})
