"""Ask a feature with the OpenAI client, and print what it cites.

export HEADWORKS_URL=http://127.0.0.1:8484 HEADWORKS_API_KEY=hw_…
python examples/ask_with_openai.py "How do I appeal a denial?"
"""

import os
import sys

from openai import OpenAI

SERVER = os.environ.get("HEADWORKS_URL", "http://127.0.0.1:8484")

question = " ".join(sys.argv[1:]) or "How do I appeal a denial?"
with OpenAI(base_url=f"{SERVER}/v1", api_key=os.environ["HEADWORKS_API_KEY"]) as client:
    answer = client.chat.completions.create(
        model=os.environ.get("HEADWORKS_FEATURE", "plan-assistant"),  # a feature is called like a model
        messages=[{"role": "user", "content": question}],
    )

message = answer.choices[0].message
print(message.content)
for annotation in message.annotations or []:
    cited = annotation.url_citation
    print(f"{message.content[cited.start_index : cited.end_index]} {cited.title}: {cited.url}")
