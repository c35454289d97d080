"""Questions asked the way a product team asks them: with the OpenAI SDK, streaming."""

from __future__ import annotations

from collections.abc import Callable

from headworks.cli.answers import RELEASE_HEADER, TRACE_HEADER, Answer
from headworks.errors import HeadworksError, Unavailable


def ask(url: str, key: str, feature: str, question: str, seen: Callable[[str], None]) -> Answer:
    """The answer; `seen` gets each piece of its text. Raises HeadworksError with the server's own words."""
    import openai

    client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=300)
    try:
        response = client.chat.completions.with_raw_response.create(
            model=feature, messages=[{"role": "user", "content": question}], stream=True
        )
        answer = Answer(trace=response.headers.get(TRACE_HEADER), release=response.headers.get(RELEASE_HEADER))
        for chunk in response.parse():
            if news := answer.take(chunk.model_dump()):
                seen(news)
    except openai.APIStatusError as error:
        body = error.body if isinstance(error.body, dict) else {}
        refused = HeadworksError(str(body.get("message") or error.message), code=body.get("code"))
        refused.status = error.status_code
        raise refused from None
    except openai.APIError as error:
        raise Unavailable(f"The answer broke off: {error.message}") from None
    finally:
        client.close()
    return answer
