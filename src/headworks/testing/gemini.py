"""Google's Gemini API on a loopback port: it answers what it is told, and remembers what it was asked.

    with SimulatedGemini() as gemini:
        gemini.will(failure(429, retry_delay_s=7), stream(text("Hel"), text("lo.")))
        client = genai.Client(api_key="any", http_options=HttpOptions(base_url=gemini.origin))

What is not told to it, it answers by its script, else with the question; see `headworks.providers.simulated`. It
refuses what Google refuses: no key, names that it does not know, results of tools without their calls, and, for
Gemini 3, calls that come back without a signature.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import msgspec

from headworks.providers.simulated import Rule, rule_for
from headworks.testing.gemini_replies import Json, answer, chunks, events, failure, text, usage
from headworks.testing.provider import Seen, SimulatedProvider
from headworks.testing.replies import Reply

DIMENSIONS = 8
_PATH = re.compile(r"/v1(?:beta)?/(?:models|tunedModels)/([^/?]+):(\w+)(?:\?(.*))?")
_NAMES = {
    "cachedContent",
    "contents",
    "generationConfig",
    "labels",
    "model",
    "safetySettings",
    "serviceTier",
    "store",
    "systemInstruction",
    "toolConfig",
    "tools",
}
_FINISHES = {"stop": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}


class SimulatedGemini(SimulatedProvider):
    """See the module."""

    @property
    def origin(self) -> str:
        """The address for Google's own clients, which add the version."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        """The base URL for an account."""
        return f"{self.origin}/v1beta"

    async def _scripted(self, seen: Seen) -> Reply:
        if not seen.headers.get("x-goog-api-key"):
            return failure(403, "Method doesn't allow unregistered callers.")
        if seen.path.partition("?")[0] in {"/v1/models", "/v1beta/models"}:
            return Reply.json({"models": [_model()]})
        found = _PATH.fullmatch(seen.path)
        if found is None:
            return failure(404, "There is nothing at this address.")
        try:
            return self._perform_verb(unquote(found[1]), found[2], found[3] or "", seen.json)
        except (ValueError, KeyError, TypeError, AttributeError):
            return failure(400, "Invalid JSON payload received.")

    def _perform_verb(self, model: str, verb: str, query: str, request: Any) -> Reply:  # noqa: ANN401 -- any JSON value
        match verb:
            case "embedContent":
                return Reply.json({"embedding": _embedding(request), "usageMetadata": {"promptTokenCount": 1}})
            case "batchEmbedContents":
                rows = request["requests"]
                counted = {"promptTokenCount": len(rows)}
                return Reply.json({"embeddings": [_embedding(row) for row in rows], "usageMetadata": counted})
            case "countTokens":
                inner = request.get("generateContentRequest") or request
                return Reply.json({"totalTokens": _words(inner), "promptTokensDetails": []})
            case "generateContent" | "streamGenerateContent":
                complaint = next(_complaints(model, request), None)
                if complaint is not None:
                    return failure(400, complaint)
                return self._said(request, is_stream=verb.startswith("stream"), is_sse="alt=sse" in query)
            case _:
                return failure(404, f"{verb} is not a method of this model.")

    def _said(self, request: Json, *, is_stream: bool, is_sse: bool) -> Reply:
        rules = msgspec.convert(self._script, list[Rule])
        question = _question(request)
        rule = rule_for(rules, question)
        if rule.status >= 400:
            return failure(rule.status, rule.answer or "A simulated failure.", retry_delay_s=rule.retry_after_s)
        pieces = rule.pieces_for(question)
        finish = _FINISHES.get(rule.finish_reason, rule.finish_reason)
        counts = usage(_words(request), len(pieces))
        if not is_stream:
            if rule.cut_after is not None:
                return Reply.hang_up()
            whole = answer(text("".join(pieces)), finish_reason=finish, counts=counts)
            return Reply.json(whole).after(rule.delay_s + rule.token_delay_s * len(pieces))
        told = chunks(*map(text, pieces), finish_reason=finish, counts=counts)
        if not is_sse:
            return Reply.json(told)
        shown = told if rule.cut_after is None else told[: rule.cut_after]
        end = events(shown, gap_s=rule.token_delay_s, end="clean" if rule.cut_after is None else "cut")
        return end.after(rule.delay_s)


def _complaints(model: str, request: Json) -> Iterator[str]:
    """What Google would refuse the request for."""
    contents = request.get("contents")
    if not contents:
        yield "* GenerateContentRequest.contents: contents is not specified"
        return
    for name in request.keys() - _NAMES:
        yield f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.'
    for number, content in enumerate(contents):
        if content.get("role", "user") not in {"user", "model"}:
            yield "Please use a valid role: user, model."
        if not content.get("parts"):
            yield f"* GenerateContentRequest.contents[{number}].parts: contents.parts must not be empty."
    for before, after in itertools.pairwise([{}, *contents, {}]):
        calls, results = _count(before, "functionCall"), _count(after, "functionResponse")
        if results != calls and (results or after):
            yield "Please ensure that the number of function response parts is equal to that of function call parts."
    if model.startswith("gemini-3") and any(map(_lacks_signature, contents)):
        yield "Function call is missing a thought_signature in functionCall parts."


def _count(content: Json, kind: str) -> int:
    return sum(kind in part for part in content.get("parts", ()))


def _lacks_signature(content: Json) -> bool:
    calls = [part for part in content["parts"] if "functionCall" in part]
    return bool(calls) and not calls[0].get("thoughtSignature")


def _question(request: Json) -> str:
    """The text of the last turn of the user's that has any."""
    turns = (content for content in reversed(request["contents"]) if content.get("role") != "model")
    return next((said for content in turns if (said := _text_of(content))), "")


def _text_of(content: Json) -> str:
    return "".join(part.get("text", "") for part in content.get("parts", ()))


def _words(request: Json) -> int:
    turns = [*request.get("contents", ()), request.get("systemInstruction", {})]
    return max(sum(len(_text_of(content).split()) for content in turns), 1)


def _embedding(request: Json) -> Json:
    """The same text always has the same vector, and another text another one."""
    size = request.get("outputDimensionality") or DIMENSIONS
    digest = hashlib.shake_128(_text_of(request["content"]).encode()).digest(size)
    return {"values": [byte / 255 for byte in digest]}


def _model() -> Json:
    methods = ["generateContent", "streamGenerateContent", "embedContent", "batchEmbedContents", "countTokens"]
    return {
        "name": "models/gemini-simulated",
        "version": "1",
        "displayName": "Simulated",
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": methods,
    }
