"""A neutral request as a generateContent body."""

from __future__ import annotations

import re

import msgspec

from headworks.formats.contract import Written
from headworks.formats.gemini import settings
from headworks.formats.gemini.conversation import Conversation
from headworks.formats.gemini.fields import Wording
from headworks.formats.gemini.shapes import Body, Content
from headworks.formats.neutral import Ext, Request

_ASKS_NO_SIGNATURE = re.compile(r"gemini-[12]\.|gemma|learnlm")

_encode = msgspec.json.Encoder().encode


def write_request(request: Request) -> Written:
    """See contract.Spoken."""
    wording = Wording(request)
    conversation = Conversation(wording)
    for number, turn in enumerate(request.turns):
        conversation.add(number, turn)
    if not conversation.contents:
        raise wording.refuse(wording.field("turns"), "it needs something from a user to answer")
    if not _ASKS_NO_SIGNATURE.search(request.model):
        conversation.sign_foreign_calls()
    body = Body(
        contents=conversation.contents,
        system_instruction=Content(conversation.system) if conversation.system else None,
        tools=settings.tools(request, wording),
        tool_config=settings.tool_config(request, wording),
        generation_config=settings.generation(request, wording),
        service_tier=settings.service_tier(request, wording),
    )
    if request.origin == "gemini":
        return Written(_with(body, request.ext), tuple(wording.left_out))
    wording.settle(request.ext)
    return Written(_encode(body), tuple(wording.left_out))


def _with(body: Body, ext: Ext) -> bytes:
    """Members that only Gemini has go back to where they were."""
    members = msgspec.json.decode(_encode(body), type=dict[str, msgspec.Raw])
    return _encode({**members, **ext})
