"""The guardrail over chats, passages and spans: redact, block or record."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.errors import Blocked
from headworks.guardrails import pii
from headworks.guardrails.contract import Checked
from headworks.guardrails.pii import Numbering
from headworks.guardrails.service import Guardrails, refusal
from headworks.types.features import PiiSettings

REDACT, BLOCK, RECORD = PiiSettings("redact"), PiiSettings("block"), PiiSettings("record")
BOB = "bob@example.com"
CARD = "4539 8991 4330 1460"
GUARDRAILS = Guardrails()
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.sampled_from([BOB, CARD, 4539899143301460, "token=F6bnZ3eBZclIvRY6iEjH5UH1"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["phone", "ssn", BOB, "x"]), inner, max_size=4)
    ),
    max_leaves=20,
)


def user(content: object) -> dict[str, Any]:
    return {"role": "user", "content": content}


def test_redact_puts_placeholders_in_the_text() -> None:
    checked = GUARDRAILS.check_text(REDACT, f"Ask {BOB} about {CARD}.")

    assert checked.text == "Ask [EMAIL_1] about [CARD_1]."
    assert checked.counts() == {"email": 1, "card": 1}
    assert not checked.is_blocked


def test_record_leaves_the_text_and_says_what_is_in_it() -> None:
    checked = GUARDRAILS.check_text(RECORD, f"Ask {BOB}.")

    assert checked.text == f"Ask {BOB}."
    assert checked.counts() == {"email": 1}
    assert not checked.is_blocked


def test_block_says_so_and_only_where_something_is_found() -> None:
    assert GUARDRAILS.check_text(BLOCK, f"Ask {BOB}.").is_blocked
    assert not GUARDRAILS.check_text(BLOCK, "Ask the clinic.").is_blocked


@pytest.mark.parametrize("settings", [REDACT, BLOCK, RECORD])
def test_text_with_nothing_in_it_comes_back_as_it_is(settings: PiiSettings) -> None:
    text = "The plan covers twenty days."

    assert GUARDRAILS.check_text(settings, text) == Checked(text, ())


def test_only_the_kinds_of_the_feature_are_looked_for() -> None:
    cards = PiiSettings("redact", frozenset({"card"}))

    assert GUARDRAILS.check_text(cards, f"{BOB} {CARD}").text == f"{BOB} [CARD_1]"


def test_every_text_of_a_chat_is_redacted_with_one_numbering() -> None:
    messages = [
        user(f"I am {BOB}"),
        {"role": "assistant", "content": f"Hello {BOB}", "refusal": None},
        user([{"type": "text", "text": f"card {CARD}, also {BOB}"}, {"type": "image_url", "image_url": {"url": BOB}}]),
        {"role": "tool", "tool_call_id": "call_1", "content": "sent to ann@example.com"},
    ]

    checked = GUARDRAILS.check_messages(REDACT, messages)

    assert checked.is_changed
    assert [message["content"] for message in checked.messages] == [
        "I am [EMAIL_1]",
        "Hello [EMAIL_1]",
        [{"type": "text", "text": "card [CARD_1], also [EMAIL_1]"}, {"type": "image_url", "image_url": {"url": BOB}}],
        "sent to [EMAIL_2]",
    ]
    assert checked.counts == {"email": 4, "card": 1}
    assert checked.messages[3]["tool_call_id"] == "call_1"


def test_the_given_messages_are_not_changed() -> None:
    messages = [user([{"type": "text", "text": BOB}]), {"role": "assistant", "tool_calls": [tool_call({"to": BOB})]}]
    before = copy.deepcopy(messages)

    GUARDRAILS.check_messages(REDACT, messages)

    assert messages == before


def test_a_chat_without_findings_comes_back_as_the_very_same_objects() -> None:
    messages = [user("hello"), user([{"type": "text", "text": "twenty days"}])]

    checked = GUARDRAILS.check_messages(REDACT, messages)

    assert not checked.is_changed
    assert all(after is before for after, before in zip(checked.messages, messages, strict=True))


def tool_call(arguments: object) -> dict[str, Any]:
    written = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": "call_1", "type": "function", "function": {"name": "send", "arguments": written}}


def test_arguments_of_tool_calls_are_redacted_and_stay_json() -> None:
    call = tool_call({"to": BOB, "card": 4539899143301460, "phone": "4155550132", "n": 3})
    messages = [user(BOB), {"role": "assistant", "content": None, "tool_calls": [call]}]

    checked = GUARDRAILS.check_messages(REDACT, messages)

    (redacted,) = checked.messages[1]["tool_calls"]
    assert json.loads(redacted["function"]["arguments"]) == {
        "to": "[EMAIL_1]",
        "card": "[CARD_1]",
        "phone": "[PHONE_1]",
        "n": 3,
    }
    assert (redacted["id"], redacted["function"]["name"]) == ("call_1", "send")
    assert checked.counts == {"email": 2, "card": 1, "phone": 1}


def test_arguments_that_are_no_json_are_redacted_as_text() -> None:
    messages = [{"role": "assistant", "tool_calls": [tool_call(f'{{"to": "{BOB}')]}]

    checked = GUARDRAILS.check_messages(REDACT, messages)

    assert checked.messages[0]["tool_calls"][0]["function"]["arguments"] == '{"to": "[EMAIL_1]'


def test_old_function_calls_and_refusals_are_redacted() -> None:
    message = {
        "role": "assistant",
        "function_call": {"name": "f", "arguments": json.dumps([BOB])},
        "refusal": f"No, {BOB}",
    }

    checked = GUARDRAILS.check_messages(REDACT, [message])

    assert checked.messages[0]["function_call"]["arguments"] == '["[EMAIL_1]"]'
    assert checked.messages[0]["refusal"] == "No, [EMAIL_1]"


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user"},
        {"role": "user", "content": None},
        user(5),
        user([5, None, {"type": "text"}, {"type": "text", "text": 5}, {"no": "type"}]),
        {"role": "assistant", "tool_calls": [5, {}, {"function": {}}, {"function": {"arguments": 5}}]},
        {"role": "assistant", "tool_calls": "x", "function_call": "y"},
    ],
)
def test_odd_messages_pass_through(message: dict[str, Any]) -> None:
    assert GUARDRAILS.check_messages(REDACT, [message]).messages == [message]


def test_recorded_arguments_are_counted_and_kept() -> None:
    messages = [{"role": "assistant", "tool_calls": [tool_call({"to": BOB})]}]

    checked = GUARDRAILS.check_messages(RECORD, messages)

    assert checked.messages == messages
    assert checked.counts == {"email": 1}


@pytest.mark.parametrize(
    ("message", "where"),
    [
        (user(f"Ask {BOB}"), "messages[1].content"),
        (user([{"type": "text", "text": BOB}]), "messages[1].content[0]"),
        ({"role": "assistant", "tool_calls": [tool_call({"to": BOB})]}, "messages[1].tool_calls[0].function.arguments"),
        ({"role": "assistant", "tool_calls": [tool_call(BOB)]}, "messages[1].tool_calls[0].function.arguments"),
    ],
)
def test_a_blocked_chat_names_the_place_the_kind_and_the_rule_but_never_the_value(
    message: dict[str, Any], where: str
) -> None:
    with pytest.raises(Blocked) as blocked:
        GUARDRAILS.check_messages(BLOCK, [user("hello"), message])

    told = str(blocked.value.as_openai())
    assert blocked.value.code == "guardrail_blocked"
    assert blocked.value.param == where
    assert where in told
    assert "`pii`" in told
    assert "`email`" in told
    assert "bob" not in told


def test_passages_share_the_numbering_of_the_chat() -> None:
    numbering = Numbering()
    GUARDRAILS.check_messages(REDACT, [user(BOB)], numbering)

    checked = GUARDRAILS.check_passages(REDACT, [f"From ann@example.com to {BOB}", "nothing"], numbering)

    assert [passage.text for passage in checked] == ["From [EMAIL_2] to [EMAIL_1]", "nothing"]


def test_a_blocked_passage_is_named_by_its_number() -> None:
    with pytest.raises(Blocked, match="passage 2 holds data of the kind `card`") as blocked:
        GUARDRAILS.check_passages(BLOCK, ["nothing", CARD])

    assert "4539" not in str(blocked.value)


@pytest.mark.parametrize("settings", [REDACT, BLOCK, RECORD])
def test_spans_are_redacted_whatever_the_action_is(settings: PiiSettings) -> None:
    payload = {"question": f"Ask {BOB}", "n": 3, "ok": True, "none": None, "score": 0.25, "list": [CARD, ("x", BOB)]}

    assert GUARDRAILS.redact_payload(settings, payload) == {
        "question": "Ask [EMAIL_1]",
        "n": 3,
        "ok": True,
        "none": None,
        "score": 0.25,
        "list": ["[CARD_1]", ["x", "[EMAIL_1]"]],
    }


def test_the_name_of_a_field_is_the_label_of_its_value() -> None:
    payload = {"phone": "4155550132", "ssn": [536103306], "password": "Tr0ub4dor&3x", "count": 4155550132}

    assert GUARDRAILS.redact_payload(REDACT, payload) == {
        "phone": "[PHONE_1]",
        "ssn": ["[NATIONAL_ID_1]"],
        "password": "[SECRET_1]",
        "count": 4155550132,
    }


def test_names_of_fields_are_redacted_too() -> None:
    assert GUARDRAILS.redact_payload(REDACT, {BOB: {"seen": 2}}) == {"[EMAIL_1]": {"seen": 2}}


def test_a_value_that_is_nested_too_deep_is_left_out_rather_than_unread() -> None:
    payload: object = BOB
    for _ in range(500):
        payload = [payload]

    redacted = json.dumps(GUARDRAILS.redact_payload(REDACT, payload))

    assert BOB not in redacted
    assert "TOO DEEP" in redacted


@given(JSON)
@settings(max_examples=150)
def test_no_value_survives_in_a_payload_and_redacting_again_changes_nothing(payload: object) -> None:
    once = GUARDRAILS.redact_payload(REDACT, payload)

    written = json.dumps(once, default=str)
    assert BOB not in written
    assert CARD not in written
    assert "4539899143301460" not in written
    assert GUARDRAILS.redact_payload(REDACT, once) == once


def test_a_value_is_checked_by_the_action() -> None:
    value = {"phone": "4155550132", "n": 3}

    assert GUARDRAILS.check_value(REDACT, value).value == {"phone": "[PHONE_1]", "n": 3}
    assert GUARDRAILS.check_value(RECORD, value).value is value
    assert GUARDRAILS.check_value(RECORD, value).counts() == {"phone": 1}
    assert GUARDRAILS.check_value(BLOCK, value).is_blocked
    assert GUARDRAILS.check_value(BLOCK, {"n": 3}).value == {"n": 3}


@pytest.mark.parametrize("card", [4111111111111111, 4111111111111111.0, "4111111111111111"])
def test_a_card_is_found_however_its_number_is_written(card: object) -> None:
    assert GUARDRAILS.check_value(REDACT, {"card": [card]}).value == {"card": ["[CARD_1]"]}


@pytest.mark.parametrize("number", [0.5, 41111111.5, 1e300, float("inf"), True, 10**2000])
def test_other_numbers_are_left_alone(number: object) -> None:
    assert GUARDRAILS.check_value(REDACT, {"card": number}).value == {"card": number}


def test_a_value_that_cannot_be_searched_to_its_end_does_not_go_on() -> None:
    value: object = BOB
    for _ in range(500):
        value = {"x": value}

    with pytest.raises(Blocked, match="nested more than 200 levels"):
        GUARDRAILS.check_value(RECORD, value)


def test_a_guardrail_that_fails_stops_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(text: str, kinds: frozenset[str]) -> list[object]:
        raise RuntimeError(text, kinds)

    monkeypatch.setattr(pii, "find", fail)

    for check in (
        lambda: GUARDRAILS.check_text(RECORD, BOB),
        lambda: GUARDRAILS.check_messages(REDACT, [user(BOB)]),
        lambda: GUARDRAILS.check_passages(REDACT, [BOB]),
        lambda: GUARDRAILS.check_value(RECORD, [BOB]),
        lambda: GUARDRAILS.redact_payload(REDACT, {"x": BOB}),
    ):
        with pytest.raises(Blocked) as blocked:
            check()
        assert blocked.value.code == "guardrail_failed"
        assert "bob" not in str(blocked.value)
        assert blocked.value.__cause__ is None


def test_a_refusal_can_be_made_from_a_checked_text() -> None:
    checked = GUARDRAILS.check_text(BLOCK, BOB)

    error = refusal(checked.findings[0], "the question")

    assert error.status == 422
    assert "the question holds data of the kind `email` (rule `email`)" in str(error)
