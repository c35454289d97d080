"""Google's and Amazon's own Python clients through us, each to its vendor, in its vendor's own format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pydantic
import pytest
from answering_providers import BEGUN, DEGREES, GAVE_UP
from client_stage import Stage
from google import genai
from google.genai import errors, types

BOTH = [{"city": "Basel"}, {"city": "Bern"}]
ASKED = "The weather in Basel and Bern?"
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = types.Tool(function_declarations=[types.FunctionDeclaration(name="weather", parameters_json_schema=PARAMETERS)])


class Weather(pydantic.BaseModel):
    """A structured answer."""

    city: str
    degrees: float


def made(stage: Stage, **more: Any) -> genai.Client:
    return genai.Client(api_key=stage.key, http_options=types.HttpOptions(base_url=stage.server.url, **more))


@pytest.fixture
def google(stage: Stage) -> Iterator[genai.Client]:
    client = made(stage)
    yield client
    client.close()


def test_google_chats_and_streams(google: genai.Client) -> None:
    config = types.GenerateContentConfig(system_instruction="Be brief.")
    answer = google.models.generate_content(model="gemini", contents="Hi.", config=config)
    assert answer.text == "You said: Hi."
    assert answer.usage_metadata is not None
    pieces = list(google.models.generate_content_stream(model="gemini", contents="Hi there."))
    assert "".join(each.text or "" for each in pieces) == "You said: Hi there."
    assert len(pieces) > 2


def test_google_calls_tools_and_gives_their_results(google: genai.Client) -> None:
    config = types.GenerateContentConfig(tools=[TOOL])
    asked = types.Content(role="user", parts=[types.Part(text=ASKED)])
    first = google.models.generate_content(model="gemini", contents=[asked], config=config)
    calls = first.function_calls or []
    assert [each.args for each in calls] == BOTH
    results = [types.Part.from_function_response(name="weather", response={"output": "12"}) for _ in calls]
    assert first.candidates is not None
    assert first.candidates[0].content is not None
    turns: Any = [asked, first.candidates[0].content, types.Content(role="user", parts=results)]
    assert google.models.generate_content(model="gemini", contents=turns, config=config).text == DEGREES


def test_google_parses_a_structured_answer(google: genai.Client) -> None:
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Weather)
    answer = google.models.generate_content(model="gemini", contents="Say it as JSON.", config=config)
    assert answer.parsed == Weather(city="Basel", degrees=12.5)


def test_google_is_refused_and_tries_again_when_it_may(stage: Stage, google: genai.Client) -> None:
    with pytest.raises(errors.ClientError, match="Too many at once.") as refused:
        google.models.generate_content(model="gemini", contents="You are overloaded.")
    assert (refused.value.code, refused.value.status) == (429, "RESOURCE_EXHAUSTED")
    with pytest.raises(errors.ClientError, match="Near names: gemini"):
        google.models.generate_content(model="gemimi", contents="Hi.")
    patient = made(stage, retry_options=types.HttpRetryOptions(attempts=3, initial_delay=0.1, jitter=0.1))
    words = "busy genai-gemini now"
    assert patient.models.generate_content(model="gemini", contents=words).text == f"You said: {words}"
    patient.close()
    assert len(stage.seen("gemini", words)) == 2


def test_google_hears_how_a_stream_breaks(google: genai.Client) -> None:
    for words, said in (("It breaks off.", "closed the connection"), ("It gives up.", GAVE_UP)):
        pieces = google.models.generate_content_stream(model="gemini", contents=words)
        texts: list[str] = []
        with pytest.raises(errors.APIError, match=said):
            texts.extend(each.text or "" for each in pieces)
        assert "".join(texts) == BEGUN


def test_what_google_leaves_is_left_at_the_provider(stage: Stage) -> None:
    client = made(stage)
    words = "slowly, genai to gemini"
    pieces = client.models.generate_content_stream(model="gemini", contents=words)
    assert next(pieces).text
    pieces.close()  # type: ignore[attr-defined] # a generator
    client.close()
    assert stage.is_abandoned("gemini", words)


@pytest.fixture(scope="module")
def boto3(stage: Stage, clients_python: Path) -> Mapping[tuple[str, str], Any]:
    return stage.run([clients_python, Path(__file__).parents[2] / "clients" / "python" / "boto3_client.py"])


def test_amazon_talks(boto3: Mapping[tuple[str, str], Any]) -> None:
    assert boto3["chat", "bedrock"] == {"text": "You said: Hi.", "end": "end_turn", "tokens": 15}
    streamed = {"text": "You said: Hi there.", "end": "end_turn", "first": "messageStart", "last": "metadata"}
    assert boto3["stream", "bedrock"] == streamed
    assert boto3["tools", "bedrock"] == {"calls": BOTH, "text": DEGREES}
    assert boto3["schema", "bedrock"] == {"city": "Basel", "degrees": 12.5}


def test_amazon_hears_how_a_stream_breaks(boto3: Mapping[tuple[str, str], Any]) -> None:
    for check, said in (("broken", "closed the connection"), ("failed", GAVE_UP)):
        saw = boto3[check, "bedrock"]
        assert (saw["text"], saw["raised"]) == (BEGUN, "modelStreamErrorException")
        assert said in saw["said"]


def test_amazon_is_refused_tries_again_and_leaves(stage: Stage, boto3: Mapping[tuple[str, str], Any]) -> None:
    seen = boto3["overloaded", "bedrock"]
    assert (seen["raised"], seen["status"]) == ("ThrottlingException", 429)
    assert "Too many at once." in seen["said"]
    assert boto3["unknown", "bedrock"]["raised"] == "ResourceNotFoundException"
    words = "busy boto3-bedrock now"
    assert boto3["retry", "bedrock"] == {"text": f"You said: {words}"}
    assert len(stage.seen("bedrock", words)) == 2
    assert stage.is_abandoned("bedrock", "slowly, boto3 to bedrock")
