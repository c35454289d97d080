"""E-mail messages (EML): the usual header lines and the text, once; attachments are documents of their own."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage

from headworks.errors import DocumentUnreadable
from headworks.retrieval.parsers.building import TextBuilder, one_line
from headworks.retrieval.parsers.contract import ParsedDocument
from headworks.retrieval.parsers.html import read_into

_HEADERS = ("Subject", "From", "To", "Cc", "Date")


def parse(name: str, data: bytes) -> ParsedDocument:
    """See contract.Parser."""
    message = email.message_from_bytes(data, policy=email.policy.default)
    if not isinstance(message, EmailMessage) or not any(message[header] for header in _HEADERS):
        raise DocumentUnreadable("The file is no e-mail message: it has no header lines.", code="corrupt")
    builder = TextBuilder()
    for header in _HEADERS:
        if value := one_line(str(message[header] or "")):
            builder.block(f"{header}: {value}", separator="\n")
    body = message.get_body(("plain", "html"))
    if body is not None:
        try:
            text = body.get_content()
        except (LookupError, ValueError):  # an encoding that does not exist
            payload = body.get_payload(decode=True)
            text = payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
        if body.get_content_subtype() == "html":
            read_into(builder, text)
        else:
            builder.block(text)
    return builder.finish(name, "message/rfc822", str(message["Subject"] or ""))
