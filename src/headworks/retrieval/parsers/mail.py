"""E-mail messages (EML): the usual header lines, the text once, and what is attached."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from email.message import EmailMessage, Message

from headworks.errors import DocumentUnreadable
from headworks.retrieval.parsers.building import TextBuilder, one_line
from headworks.retrieval.parsers.html import read_into
from headworks.retrieval.parsers.messages import Attached, Letter, names_of

MEDIA_TYPE = "message/rfc822"
_HEADERS = ("Subject", "From", "To", "Cc", "Date")
_SIGNATURES = frozenset({"application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature"})


def read(name: str, data: bytes) -> Letter:
    """A message by the bytes of its file. Raises DocumentUnreadable `corrupt` for what has no header lines."""
    del name
    message = email.message_from_bytes(data, policy=email.policy.default)
    if not isinstance(message, EmailMessage) or not any(message[header] for header in _HEADERS):
        raise DocumentUnreadable("The file is no e-mail message: it has no header lines.", code="corrupt")
    builder = TextBuilder()
    for header in _HEADERS:
        if value := one_line(str(message[header] or "")):
            builder.block(f"{header}: {value}", separator="\n")
    body = message.get_body(("plain", "html"))
    attached = tuple(_attached(message, body))
    builder.block(names_of(attached), separator="\n")
    if body is not None:
        _write(builder, body)
    return Letter(builder, str(message["Subject"] or ""), MEDIA_TYPE, attached)


def _write(builder: TextBuilder, body: Message) -> None:
    try:
        text = body.get_content()  # type: ignore[attr-defined] # the policy makes parts EmailMessages
    except (LookupError, ValueError):  # an encoding that does not exist
        payload = body.get_payload(decode=True)
        text = payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
    if body.get_content_subtype() == "html":
        read_into(builder, text)
    else:
        builder.block(text)


def _attached(message: EmailMessage, body: Message | None) -> Iterator[Attached]:
    """Parts that have a name or say that they are attached, and messages within this one, unopened."""
    waiting: list[Message] = [message]
    while waiting:
        part = waiting.pop()
        kind = part.get_content_type()
        inner = part.get_payload()
        if kind == MEDIA_TYPE and part is not message:
            yield _message(part)
        elif isinstance(inner, list):
            waiting += reversed([each for each in inner if isinstance(each, Message)])
        elif part is not body and kind not in _SIGNATURES and (name := one_line(part.get_filename() or "")):
            content = part.get_payload(decode=True)
            is_shown = part.get_content_disposition() != "attachment" and kind.startswith("image/")
            yield Attached(name, content if isinstance(content, bytes) else b"", is_picture_of_body=is_shown)


def _message(part: Message) -> Attached:
    payload = part.get_payload()
    inner = payload[0] if isinstance(payload, list) and payload else None
    if not isinstance(inner, Message):
        return Attached("message.eml", b"")
    subject = one_line(str(inner["Subject"] or "")) or "message"
    try:
        content = inner.as_bytes()
    except Exception:  # noqa: BLE001 -- the library fails in many ways on what it has read itself, e.g. on deep nesting
        content = b""
    return Attached(f"{subject}.eml", content)
