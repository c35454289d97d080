"""Use a feature as a chat model of LangChain: retrieval, prompt, guardrails and rights stay on the server.

export HEADWORKS_URL=http://127.0.0.1:8484 HEADWORKS_API_KEY=hw_…
python examples/ask_with_langchain.py "How do I appeal a denial?"
"""

import os
import sys

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI

SERVER = os.environ.get("HEADWORKS_URL", "http://127.0.0.1:8484")

feature = ChatOpenAI(
    base_url=f"{SERVER}/v1",
    api_key=os.environ["HEADWORKS_API_KEY"],
    model=os.environ.get("HEADWORKS_FEATURE", "plan-assistant"),
)
chain = ChatPromptTemplate.from_messages([("human", "{question}")]) | feature | StrOutputParser()

for text in chain.stream({"question": " ".join(sys.argv[1:]) or "How do I appeal a denial?"}):
    print(text, end="", flush=True)
print()
