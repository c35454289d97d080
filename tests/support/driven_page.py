"""What the tests of the page look at: a tenant with documents that are hard to show, and a page that is listened to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import ConsoleMessage, Page
from running_server import PROMPT, Server
from sample_documents import pdf

LONG = "\n\n".join(f"Paragraph {n} of the archive says that shelf {n} holds {n * 7} boxes. 📦" for n in range(6000))
PRINTED = "The device is rented for ten months, and belongs to the member after that."
TRIAL = pdf(
    [
        [(20, 100, "Trial of a device"), (12, 160, "The first approval is a trial of ninety days.")],
        [(12, 130, "What comes after the trial:"), (12, 420, PRINTED), (12, 700, "A mask is replaced each month.")],
    ]
)
"""A document of two pages; the quote stands in the middle of the second."""
DOCUMENTS: dict[str, str | bytes] = {
    "leave.md": """# Leave 🌴 policy

## 1. Parental leave

1.1 Parental leave lasts *16 weeks* and is **paid in full** by the company.

1.2 It is asked for 8 weeks ahead.

## 2. Holidays

| Years of service | Days of holiday |
|---|---|
| up to 5 | 25 |
| more than 5 | 30 |
| founders | |

- (a) Holidays are agreed with the team.
- (b) Unused days are kept until March.

```
form 12-B
```
""",
    "danger.md": """# Handling of samples

The colour of the warning label is <script>document.title = "broken in"</script>purple<img src=x onerror="document.title
= 'broken in'"> and <b>not</b> green. [Read this](javascript:alert(1)).
""",
    "archive.md": f"# Archive\n\n{LONG}\n",
    "notes.txt": "Visitors sign the book.\n    The book lies at the door.\n",
    "trial.pdf": TRIAL,
}
SCRIPT = """
      - target: builtin/simulated
        parameters:
          script:
            - {match: "slowly", answer: "one two three four five six seven eight nine ten", token_delay_s: 0.5}
            - match: "doubtful"
              answer: "Holidays are agreed with the team [1]. Parental leave lasts 20 weeks 🌴. Cats are welcome."
            - {match: "break", answer: "The first half", cut_after: 2}
            - match: "markup"
              answer: |
                ## Two points

                1. **bold** and `code`
                2. <i>no</i> 🙂

                | a | b |
                |---|---|
                | 1 | 2 |
"""
WORKSPACE = {
    "routes.yaml": "routes:\n  default: {targets: [builtin/extractive]}\n  script:\n    targets:" + SCRIPT,
    "collections/docs.yaml": "description: The house rules.\nreaders: [everyone]\n",
    "features/assistant/feature.yaml": "owner: tests\nroute: default\nprompt: prompts/answer.prompty\n"
    "retrieval: {collection: docs, k: 5}\nguardrails: {pii: {action: block}}\n",
    "features/assistant/prompts/answer.prompty": PROMPT,
    "features/doubted/feature.yaml": "owner: tests\nroute: script\nprompt: prompts/answer.prompty\n"
    "retrieval: {collection: docs, k: 5}\n",
    "features/doubted/prompts/answer.prompty": PROMPT,
    "features/scripted/feature.yaml": "owner: tests\nroute: script\nprompt: prompts/answer.prompty\n",
    "features/scripted/prompts/answer.prompty": "---\ninputs:\n  question: {kind: string, from: question}\n---\n"
    "user:\n{{ question }}\n",
}


@dataclass
class Tenant:
    """One tenant of the shared server, with what its administrator may do."""

    server: Server
    key: str
    documents: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.server.url

    def must(self, method: str, path: str, body: object = None, **more: Any) -> Any:
        return self.server.must(method, path, body, key=self.key, **more)

    def claim(self) -> str:
        """A new link that signs in once."""
        return str(self.must("POST", "/api/principals/admin/claim")["claim_url"])

    def text(self, path: str) -> str:
        return str(self.must("GET", f"/api/documents/{self.documents[path]}")["text"])

    def place(self, path: str, quote: str) -> str:
        """The address of a quote."""
        start = self.text(path).index(quote)
        return f"{self.url}/documents/{self.documents[path]}#char={start},{start + len(quote)}"


@dataclass
class Watched:
    """A page whose console must stay silent but for what a test expects."""

    page: Page
    expected: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)

    def listen(self) -> None:
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.heard.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: self.heard.append(f"dialog: {dialog.message}"))

    def _hear(self, message: ConsoleMessage) -> None:
        # A record that is asked for before it has arrived is the one thing that the page itself reckons with.
        if message.type in {"error", "warning"} and "/api/traces/" not in message.location["url"]:
            self.heard.append(f"{message.text} at {message.location['url']}")

    def check(self) -> None:
        assert [each for each in self.heard if not any(part in each for part in self.expected)] == []


OpenPage = Callable[..., Watched]
MakeTenant = Callable[[], Tenant]
