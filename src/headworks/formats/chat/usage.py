"""What OpenAI's formats count, in our words and back. Their counts are inclusive; xAI's of reasoning is not."""

from __future__ import annotations

import msgspec

from headworks.formats.chat.members import given_back, is_null, kept, rest_of, starts, under
from headworks.formats.neutral import Ext
from headworks.types.models import Usage


class _Prompt(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    audio_tokens: int | None = None


class _Output(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class UsageObject(msgspec.Struct, gc=False):
    """`usage`, as the providers write it; `prompt_cache_hit_tokens` is DeepSeek's name."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _Prompt | None = None
    completion_tokens_details: _Output | None = None
    prompt_cache_hit_tokens: int | None = None

    def as_usage(self) -> Usage:
        """In our words."""
        prompt, output = self.prompt_tokens_details, self.completion_tokens_details
        if prompt is None and output is None:
            return Usage(self.prompt_tokens, self.completion_tokens, self.prompt_cache_hit_tokens)
        prompt, output = prompt or _NO_PROMPT, output or _NO_OUTPUT
        written, for_an_hour = prompt.cache_write_tokens, prompt.cache_write_1h_tokens
        return Usage(
            self.prompt_tokens,
            self._inclusive(output.reasoning_tokens),
            prompt.cached_tokens if prompt.cached_tokens is not None else self.prompt_cache_hit_tokens,
            cache_write_tokens=written - for_an_hour if written is not None and for_an_hour is not None else written,
            cache_write_1h_tokens=for_an_hour,
            reasoning_tokens=output.reasoning_tokens,
            audio_input_tokens=prompt.audio_tokens,
            audio_output_tokens=output.audio_tokens,
        )

    def _inclusive(self, reasoning: int | None) -> int | None:
        """Output with reasoning: where the total says that it was not in it, it is added."""
        said, total = self.completion_tokens, self.total_tokens
        if not reasoning or said is None or total is None:
            return said
        return said + reasoning if total == (self.prompt_tokens or 0) + said + reasoning else said


class _Exact(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """As OpenAI writes it."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: dict[str, int] | msgspec.UnsetType = msgspec.UNSET
    completion_tokens_details: dict[str, int] | msgspec.UnsetType = msgspec.UNSET


_NO_PROMPT, _NO_OUTPUT = _Prompt(), _Output()
_PROMPT = frozenset(_Prompt.__struct_fields__)
_OUTPUT = frozenset(_Output.__struct_fields__)
_OF_PROMPT, _OF_OUTPUT = "prompt_tokens_details", "completion_tokens_details"
_NAMES = frozenset(("prompt_tokens", "completion_tokens", _OF_PROMPT, _OF_OUTPUT))
_exact = msgspec.json.Decoder(_Exact).decode
_decode = msgspec.json.Decoder(UsageObject).decode
_value = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def usage_in(raw: msgspec.Raw) -> Usage | None:
    """What a `usage` member counts; None where there is none, or none that can be read: it is then estimated."""
    if not starts(raw, b"{"):
        return None
    try:
        return _decode(raw).as_usage()
    except msgspec.DecodeError:
        return None


def in_tier(usage: Usage, tier: msgspec.Raw) -> Usage:
    """With the `service_tier` that stands beside it, if there is one."""
    if not starts(tier, b'"'):
        return usage
    return msgspec.structs.replace(usage, service_tier=msgspec.json.decode(tier, type=str))


def read_usage(raw: msgspec.Raw) -> tuple[Usage, Ext]:
    """The same, with what it says beside our words; what can't be read counts nothing and is kept as it is."""
    try:
        found = _exact(raw)
    except msgspec.DecodeError:
        return _read_unusual(raw)
    prompt, output = found.prompt_tokens_details, found.completion_tokens_details
    ext: Ext = {}
    if prompt is msgspec.UNSET and output is msgspec.UNSET:
        usage = Usage(found.prompt_tokens, found.completion_tokens)
        if found.total_tokens != found.prompt_tokens + found.completion_tokens:
            ext["total_tokens"] = msgspec.Raw(b"%d" % found.total_tokens)
        return usage, ext
    for name, details, known in ((_OF_PROMPT, prompt, _PROMPT), (_OF_OUTPUT, output, _OUTPUT)):
        if details is not msgspec.UNSET:
            for each in details.keys() - known:
                ext[f"{name}.{kept(each)}"] = msgspec.Raw(b"%d" % details[each])
            if not details:
                ext[f"~{name}"] = msgspec.Raw(b"{}")
    usage = UsageObject(
        found.prompt_tokens,
        found.completion_tokens,
        found.total_tokens,
        _Prompt(*map(prompt.get, _Prompt.__struct_fields__)) if prompt else None,
        _Output(*map(output.get, _Output.__struct_fields__)) if output else None,
    ).as_usage()
    if found.total_tokens != _total(usage):
        ext["total_tokens"] = msgspec.Raw(b"%d" % found.total_tokens)
    return usage, ext


def _read_unusual(raw: msgspec.Raw) -> tuple[Usage, Ext]:
    if not starts(raw, b"{"):
        return Usage(), {} if is_null(raw) else {"~usage": raw}
    usage = usage_in(raw)
    if usage is None:
        return Usage(), {"~usage": raw}
    ext = rest_of(raw, _NAMES)
    total = ext.pop("total_tokens", None)
    if total is not None and bytes(total) != b"%d" % _total(usage):
        ext["total_tokens"] = total
    members = _value(raw)
    for name, known in ((_OF_PROMPT, _PROMPT), (_OF_OUTPUT, _OUTPUT)):
        if name in members and starts(members[name], b"{"):
            ext |= under(name, rest_of(members[name], known))
            if bytes(members[name]).strip(b"{} \t\r\n") == b"":
                ext[f"~{name}"] = members[name]
    return usage, ext


def write_usage(usage: Usage, ext: Ext) -> dict[str, object] | msgspec.Raw | None:
    """The `usage` member; None where nothing was counted. `ext` is empty for another format's."""
    if "~usage" in ext:
        return ext["~usage"]
    if usage.input_tokens is None and usage.output_tokens is None:
        return None
    prompt: dict[str, object] = {}
    for_an_hour, written = usage.cache_write_1h_tokens, usage.cache_write_tokens
    _put(prompt, "cached_tokens", usage.cached_input_tokens)
    _put(prompt, "cache_write_tokens", written if for_an_hour is None else (written or 0) + for_an_hour)
    _put(prompt, "cache_write_1h_tokens", for_an_hour)
    _put(prompt, "audio_tokens", usage.audio_input_tokens)
    output: dict[str, object] = {}
    _put(output, "reasoning_tokens", usage.reasoning_tokens)
    _put(output, "audio_tokens", usage.audio_output_tokens)
    found: dict[str, object] = {
        "prompt_tokens": usage.input_tokens or 0,
        "completion_tokens": usage.output_tokens or 0,
        "total_tokens": _total(usage),
    }
    for name, details in ((_OF_PROMPT, prompt), (_OF_OUTPUT, output)):
        details |= {
            given_back(each.removeprefix(f"{name}.")): raw for each, raw in ext.items() if each.startswith(f"{name}.")
        }
        if details or f"~{name}" in ext:
            found[name] = details
    found |= {given_back(name): raw for name, raw in ext.items() if "." not in name and not name.startswith("~")}
    return found


def _total(usage: Usage) -> int:
    return (usage.input_tokens or 0) + (usage.output_tokens or 0)


def _put(target: dict[str, object], name: str, value: int | None) -> None:
    if value is not None:
        target[name] = value
