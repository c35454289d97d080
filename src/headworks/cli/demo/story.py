"""The demo's story, step by step, as a client of the server: nothing here does what a user could not do."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from headworks.cli.answers import Answer
from headworks.cli.client import Client, place
from headworks.cli.demo.asking import ask
from headworks.cli.demo.choice import BUILT_IN, Choice, with_target
from headworks.cli.demo.corpus import Corpus
from headworks.cli.demo.headings import Question
from headworks.cli.demo.keys import DemoKeys, make_people
from headworks.cli.demo.questions import explain, find_questions, find_restricted_question
from headworks.cli.demo.telling import Teller
from headworks.cli.folders import as_text
from headworks.cli.json_values import JsonObject
from headworks.cli.local import program
from headworks.cli.terminal import one_line, progress, visible
from headworks.cli.tracing import described, fetch
from headworks.cli.uploading import Ingest, Outcome
from headworks.errors import HeadworksError
from headworks.types.wording import counted

_READY_WITHIN_S = 10.0
_REASON_CHARACTERS = 90


@dataclass(frozen=True, slots=True)
class Stage:
    """What the story is told with, before the server runs."""

    corpus: Corpus
    choice: Choice
    teller: Teller
    data: Path
    started_at: float
    """By time.monotonic(): when the command began."""


class Story:
    """Tells it once, and keeps what happened for `--json`."""

    def __init__(self, stage: Stage, client: Client, keys: DemoKeys) -> None:
        self._stage = stage
        self._corpus = stage.corpus
        self._teller = stage.teller
        self._client = client
        self._keys = keys
        self._choice = stage.choice
        self.report: JsonObject = {"url": client.url, "answers": []}

    def tell(self) -> None:
        """All of it. Raises HeadworksError where it can't go on."""
        self._prepare()
        self._ingest()
        self._ask_questions()
        self._restricted()
        self._waterfall()
        self._where_next()

    def _prepare(self) -> None:
        make_people(self._client, self._corpus.restricted)
        self._apply()
        self._member = self._keys.make(self._corpus.restricted.member)
        self._other = self._keys.make(self._corpus.restricted.other)

    def _apply(self) -> None:
        files = as_text(with_target(self._corpus.workspace, self._choice.target))
        report = self._client.post(place("workspace", "apply"), {"files": files})
        wanted = {each["digest"] for each in report["features"]}
        deadline = time.monotonic() + _READY_WITHIN_S
        while time.monotonic() < deadline:
            live = {each["digest"] for each in self._client.get(place("features"))["features"]}
            if wanted <= live:
                return
            time.sleep(0.05)
        raise HeadworksError("The workspace was applied, but the server does not offer its features.")

    def _ingest(self) -> None:
        corpus = self._corpus
        self._teller.step(f"Reading the documents of {corpus.documents}")
        began = time.monotonic()
        with progress() as bars:
            outcome = Ingest(self._client, corpus.collection, None, waits=True, bars=bars).run([corpus.documents])
        self._say_ingested(outcome, time.monotonic() - began)
        self.report |= outcome.as_json()
        if any(each.path == corpus.restricted.document for each in outcome.failed):
            raise HeadworksError(
                f"{corpus.restricted.document}, which is to be restricted, can't be read.",
                next_step="Name another with --restrict.",
            )

    def _say_ingested(self, outcome: Outcome, took_s: float) -> None:
        new = f"{outcome.sent} new or changed, {outcome.unchanged} as they were"
        documents = f"{counted(outcome.documents, 'document')} in {counted(outcome.chunks, 'chunk')}"
        self._teller.say(f"{documents} ({new}), {took_s:.1f} s.")
        for each in outcome.failed:
            self._teller.say(f"Not read: {each.path}: {one_line(each.message, _REASON_CHARACTERS)}")
        for notice in dict.fromkeys(outcome.notices):
            self._teller.say(notice)

    def _ask_questions(self) -> None:
        self._teller.step(f"Asking the feature `{self._corpus.feature}` through the OpenAI SDK")
        self._teller.lines(
            (
                f'client = OpenAI(base_url="{self._client.url}/v1", api_key="hw_…")',
                f'client.chat.completions.create(model="{self._corpus.feature}", messages=[…], stream=True)',
            ),
            "dim",
        )
        self._questions = [Question(text) for text in self._corpus.questions]
        if not self._questions:
            self._teller.say("", "No question was given with --ask, so three headings found in the folder are asked:")
            self._questions = find_questions(self._client, self._corpus)
        for question in self._questions:
            answer = self._ask_or_fall_back(question)
            self.report.setdefault("first_answer_s", round(time.monotonic() - self._stage.started_at, 3))
            self.report["answers"].append({"question": question.text, **answer.as_json()})
        self.report["model"] = self._choice.target

    def _ask_or_fall_back(self, question: Question) -> Answer:
        """The answer; where a provider refuses, it is said, and the built-in model takes over."""
        try:
            return self._ask(question, self._keys.own)
        except HeadworksError as error:
            if self._choice.is_built_in:
                raise
            self._teller.say(f"{self._choice.target} did not answer: {error} The built-in model goes on.")
        self._choice = Choice(BUILT_IN, ())
        self._apply()
        return self._ask(question, self._keys.own)

    def _ask(self, question: Question, key: str) -> Answer:
        self._teller.question(question.text, question.origin)
        answer = ask(self._client.url, key, self._corpus.feature, question.text, self._teller.piece)
        self._teller.citations(answer)
        return answer

    def _restricted(self) -> None:
        """The same question with two keys, and why the answers differ."""
        secret = self._corpus.restricted
        question = find_restricted_question(self._client.with_key(self._member), self._client, self._corpus)
        self._teller.step("One document is restricted")
        self._teller.say(
            f"{secret.document} may be read only by the group `{secret.group}`. One question, asked with two keys: "
            f"first by {secret.member}, who is in that group, then by {secret.other}, who is not."
        )
        told: JsonObject = {"document": secret.document, "question": question.text}
        for role, name, key in (
            ("member", secret.member, self._member), ("other", secret.other, self._other)
        ):  # fmt: skip
            self._teller.say("", f"{name} asks:")
            answer = self._ask(question, key)
            told[role] = {"principal": name, **answer.as_json()}
        told["explanations"] = [
            explain(self._client, self._corpus, secret.document, name) for name in (secret.member, secret.other)
        ]
        self._teller.say("", "Why, as only an administrator may ask:")
        for each in told["explanations"]:
            self._teller.say(f"· {each['reason']}")
        self.report["restricted"] = told

    def _waterfall(self) -> None:
        trace = self.report["answers"][0]["trace"]
        found = fetch(self._client, trace)
        self._teller.step("Where the first answer's time went")
        self._teller.lines(described(found))
        self.report["trace"] = found

    def _where_next(self) -> None:
        claim = self._client.post(place("principals", self._keys.administrator, "claim"))["claim_url"]
        self.report["claim_url"] = claim
        self._teller.step("Yours to try")
        self._teller.lines(
            (
                f"open   {claim}",
                "       (it signs you in, once; ask, click a citation, see the request)",
                f"ask    export HEADWORKS_URL={self._client.url} HEADWORKS_API_KEY={self._keys.own}",
                f'       {program()} ask {self._corpus.feature} "{visible(self._questions[0].text)}"',
                f"data   {self._stage.data}",
                "stop   Ctrl-C",
            )
        )


def open_story(stage: Stage, client: Client, key: str) -> Story:
    """The story on a server that is ready; client and key are the administrator's."""
    teller = stage.teller
    teller.say(f"ready at {client.url} after {time.monotonic() - stage.started_at:.1f} s")
    for reason in stage.choice.reasons:
        teller.say(reason)
    if stage.choice.is_built_in:
        teller.say(
            "Answers come from the built-in model: the closest passages, word for word. With a provider's key in the "
            "environment, or Ollama running, a model writes them."
        )
    return Story(stage, client, DemoKeys(client, key))
