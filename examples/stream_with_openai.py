"""Ask a feature with the OpenAI client and print the answer while it comes; the citations arrive with its last words.

export HEADWORKS_URL=http://127.0.0.1:8484 HEADWORKS_API_KEY=hw_…
python examples/stream_with_openai.py "How do I appeal a denial?"
"""

import asyncio
import os
import sys

from openai import AsyncOpenAI

SERVER = os.environ.get("HEADWORKS_URL", "http://127.0.0.1:8484")


async def main(question: str) -> None:
    async with AsyncOpenAI(base_url=f"{SERVER}/v1", api_key=os.environ["HEADWORKS_API_KEY"]) as client:
        stream = await client.chat.completions.create(
            model=os.environ.get("HEADWORKS_FEATURE", "plan-assistant"),
            messages=[{"role": "user", "content": question}],
            stream=True,
        )
        print("trace", stream.response.headers["x-headworks-trace"])
        citations = []
        async for chunk in stream:
            for choice in chunk.choices:
                print(choice.delta.content or "", end="", flush=True)
                citations += getattr(choice.delta, "annotations", None) or []
    print()
    for each in citations:
        print(f"“{each['headworks']['quote']}” — {each['url_citation']['title']}")


asyncio.run(main(" ".join(sys.argv[1:]) or "How do I appeal a denial?"))
