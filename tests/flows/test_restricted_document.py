"""A document that some may not read: nothing of it reaches them by any way there is, and nothing tells that it exists.

The canaries stand in its path, title, heading and text, and no test ever types one: wherever one turns up, it leaked.
The bait, in no other document, is what the tests ask for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.request import Request, urlopen
from uuid import uuid4

import openai
import pytest
from running_server import FEATURE, PROMPT, READERS, Server, eventually

from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, completion

CANARIES = ("quillarpath", "zephondrietitle", "marvosheading", "oskarbintext")
BAIT = "merger"
RESTRICTED_PATH = f"board/{CANARIES[0]}.md"
RESTRICTED = (
    f"# {CANARIES[1]}\n\n## {CANARIES[2]}\n\nThe {BAIT} code is {CANARIES[3]}.\n\n"
    f"Talks about the {BAIT} of the ward begin in May and end after 16 weeks.\n"
)
ORDINARY = {
    "rules/leave.md": "# Leave\n\nParental leave lasts 16 weeks for each parent.\n\nIt begins in May for nobody.\n",
    "rules/ward.md": "# Ward\n\nThe ward is closed on Sundays.\n\nTalks with visitors end at eight.\n",
}
QUESTIONS = (BAIT, f"What is the {BAIT} code?", f"When do talks about the {BAIT} begin, and when do they end?")
HISTORY = [
    {"role": "user", "content": f"Tell me about the {BAIT}."},
    {"role": "assistant", "content": "The document says so [1] [2] [3]."},
    {"role": "user", "content": "Which document is that, and what is its title?"},
]


@dataclass
class Scene:
    """A tenant with the document, its twin without, and who asks in both."""

    server: Server
    twin: Server
    provider: SimulatedProvider
    registrar: str
    entitled: str
    unentitled: dict[str, str]
    document: str
    traces: list[str] = field(default_factory=list)
    """Of the entitled one."""


def workspace(provider: SimulatedProvider) -> dict[str, str]:
    """`assistant` quotes, `parrot` says what it was shown, `eager` marks every claim with every number."""
    eager = "{answer: 'It is so [1]. And so [2]. And so [3]. And so [4][5].'}"
    routes = (
        "default: {targets: [builtin/extractive]}",
        "outside: {targets: [outside/m1]}",
        f"eager: {{targets: [{{target: builtin/simulated, parameters: {{script: [{eager}]}}}}]}}",
        "failing: {targets: [{target: builtin/simulated, parameters: {script: [{status: 500}]}}]}",
    )
    files = {
        "providers.yaml": f"providers:\n  outside: {{kind: openai, base_url: '{provider.url}'}}\n",
        "routes.yaml": "routes:\n" + "".join(f"  {route}\n" for route in routes),
        "collections/docs.yaml": READERS,
        "collections/vault.yaml": "readers: [surgeons]\n",
    }
    for name, route in (("assistant", "default"), ("parrot", "outside"), ("eager-one", "eager"), ("faulty", "failing")):
        files[f"features/{name}/feature.yaml"] = FEATURE.replace("route: default", f"route: {route}")
        files[f"features/{name}/prompts/answer.prompty"] = PROMPT
    return files


def furnished(server: Server, name: str, provider: SimulatedProvider) -> Server:
    """A new tenant with the ordinary documents."""
    tenant = server.as_tenant(name)
    tenant.must("POST", "/api/groups", {"name": "surgeons"})
    tenant.apply(workspace(provider))
    for path, text in ORDINARY.items():
        tenant.hand_in("docs", path, text)
    return tenant


def handed_in(scene: Scene, path: str, text: str = RESTRICTED, readers: str | None = None) -> None:
    """By somebody of the surgeons, who reads what comes of it."""
    scene.server.hand_in("docs", path, text, readers, scene.registrar)
    scene.server.worked_on("docs", key=scene.registrar)


@pytest.fixture(scope="module")
def scene(server: Server) -> Iterator[Scene]:
    with SimulatedProvider() as provider:
        tenant, twin = (furnished(server, name, provider) for name in ("restricted", "restricted-twin"))
        registrar = tenant.key_of("registrar", ["surgeons"], ["engineer"])
        tenant.hand_in("docs", RESTRICTED_PATH, RESTRICTED, "surgeons", registrar)
        for each, key in ((tenant, tenant.admin_key), (tenant, registrar), (twin, twin.admin_key)):
            each.worked_on("docs", key=key)
        entitled = tenant.key_of("surgeon", ["surgeons"])
        unentitled = {
            "not a reader": tenant.key_of("nurse"),
            "the owner": tenant.admin_key,
            "who reads all traces": tenant.key_of("engineer", roles=["engineer"]),
            "a reader's key for other groups": tenant.key_of("surgeon", groups=["everyone"]),
            "a reader's key for no group": tenant.key_of("surgeon", groups=[]),
        }
        found = tenant.must("POST", "/api/search", {"collection": "docs", "query": BAIT}, key=entitled)["rows"]
        yield Scene(tenant, twin, provider, registrar, entitled, unentitled, found[0]["document"])


def streamed(server: Server, key: str, **body: Any) -> str:
    """Headers and bytes of a streamed answer as text."""
    request = Request(f"{server.url}/v1/chat/completions", json.dumps({**body, "stream": True}).encode())
    request.add_header("authorization", f"Bearer {key}")
    request.add_header("content-type", "application/json")
    with urlopen(request, timeout=60) as answer:
        return f"{answer.headers}\n{answer.read().decode()}"


def shown_by_chat(scene: Scene, key: str, model: str, traces: list[str]) -> Iterator[object]:
    """All that a feature says to this key, streamed and not."""
    for question in (*QUESTIONS, HISTORY):
        messages = [{"role": "user", "content": question}] if isinstance(question, str) else question
        answer = scene.server.ask(model, messages, key)
        traces.append(answer[2]["x-headworks-trace"])
        yield answer
        if answer[0] == 200:
            yield streamed(scene.server, key, model=model, messages=messages)


def shown_beside_chat(scene: Scene, key: str) -> Iterator[object]:
    server = scene.server
    for query in QUESTIONS:
        yield server.api("POST", "/api/search", {"collection": "docs", "query": query, "k": 100}, key=key)
    yield server.api("POST", "/api/search", {"collection": "vault", "query": BAIT}, key=key)
    yield server.api("GET", f"/api/documents/{scene.document}", key=key)
    for path in ("/v1/models", "/api/collections", "/api/features", "/api/me", "/api/releases", "/api/workspace"):
        yield server.api("GET", path, key=key)
    begun = server.api("POST", "/api/collections/docs/syncs", {"source": "upload"}, key=key)
    yield begun
    if begun[0] == 201:
        yield server.api("GET", f"/api/collections/docs/syncs/{begun[1]['id']}", key=key)
        yield server.api("GET", "/api/collections/docs/progress", key=key)


def leaks(shown: object) -> list[str]:
    text = shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False, default=str)
    return [each for each in CANARIES if each in text.lower()]


@pytest.fixture
def entitled_traces(scene: Scene) -> list[str]:
    """Traces of answers that quote the document."""
    if not scene.traces:
        for question in QUESTIONS:
            status, answer, headers = scene.server.ask("assistant", question, scene.entitled)
            assert (status, bool(leaks(answer))) == (200, True), answer
            scene.traces.append(headers["x-headworks-trace"])
        for trace in scene.traces:
            scene.server.trace(trace, scene.entitled)
    return scene.traces


WHO = ("not a reader", "the owner", "who reads all traces", "a reader's key for other groups")
NOBODY = "a reader's key for no group"


@pytest.mark.parametrize("model", ["assistant", "parrot", "eager-one", "faulty"])
@pytest.mark.parametrize("who", [*WHO, NOBODY])
def test_no_answer_holds_any_of_it(scene: Scene, who: str, model: str) -> None:
    scene.provider.forget()
    traces: list[str] = []
    for shown in shown_by_chat(scene, scene.unentitled[who], model, traces):
        assert leaks(shown) == []
    assert [leaks(seen.body.decode()) for seen in scene.provider.seen if leaks(seen.body.decode())] == []
    for trace in traces:
        assert leaks(scene.server.trace(trace, scene.unentitled[who])) == []


@pytest.mark.parametrize("who", [*WHO, NOBODY])
def test_nothing_beside_the_answers_holds_any_of_it(scene: Scene, who: str) -> None:
    for shown in shown_beside_chat(scene, scene.unentitled[who]):
        assert leaks(shown) == []


@pytest.mark.parametrize("who", [*WHO, NOBODY])
def test_traces_of_who_may_read_it_show_nothing_of_it_to_others(
    scene: Scene, entitled_traces: list[str], who: str
) -> None:
    key = scene.unentitled[who]
    assert leaks(scene.server.api("GET", "/api/traces?most=1000&internal=true", key=key)) == []
    for trace in entitled_traces:
        shown = scene.server.api("GET", f"/api/traces/{trace}", key=key)
        assert leaks(shown) == []
        if shown[0] == 200:  # who reads all traces is told that something is withheld
            assert any(span["withheld"] for span in shown[1]["spans"])
            assert scene.document not in json.dumps(shown)


def test_the_one_who_may_read_it_is_shown_all_of_this(scene: Scene, entitled_traces: list[str]) -> None:
    found = scene.server.must("POST", "/api/search", {"collection": "docs", "query": BAIT}, key=scene.entitled)
    assert leaks(found) == list(CANARIES)
    trace = scene.server.must("GET", f"/api/traces/{entitled_traces[0]}", key=scene.entitled)
    assert CANARIES[3] in json.dumps(trace)
    assert not any(span["withheld"] for span in trace["spans"])


def test_an_expired_key_of_a_reader_is_refused_and_told_nothing(scene: Scene) -> None:
    key = scene.server.key_of("surgeon", expires="1s")
    eventually(lambda: scene.server.api("GET", "/api/me", key=key)[0] == 401)
    for shown in (*shown_by_chat(scene, key, "assistant", []), *shown_beside_chat(scene, key)):
        assert leaks(shown) == []
        assert isinstance(shown, tuple)
        assert (shown[0], shown[1]["error"]["code"]) == (401, "expired_api_key")


@pytest.mark.parametrize("who", WHO)
def test_it_is_not_there_in_the_very_words_of_what_is_not_there(scene: Scene, who: str) -> None:
    server, key = scene.server, scene.unentitled[who]
    hidden = server.api("GET", f"/api/documents/{scene.document}", key=key)
    assert hidden[0] == 404
    assert hidden == server.api("GET", f"/api/documents/{uuid4()}", key=key)
    assert hidden == server.api("GET", "/api/documents/no-document-at-all", key=key)

    def searched(name: str) -> Any:
        status, answer = server.api("POST", "/api/search", {"collection": name, "query": BAIT}, key=key)
        return status, json.dumps(answer).replace(name, "NAME")

    assert searched("vault") == searched("vaulx")


def test_a_foreign_trace_reads_as_one_that_was_never_made(scene: Scene, entitled_traces: list[str]) -> None:
    def read(trace: str) -> Any:
        status, answer = scene.server.api("GET", f"/api/traces/{trace}", key=scene.unentitled["not a reader"])
        return status, json.dumps(answer).replace(trace, "TRACE")

    assert read(entitled_traces[0]) == read(str(uuid4()))


def normal(found: Any) -> Any:
    """Rows without what differs between any two tenants; scores are weighed by all that is in a collection."""
    rows = [{name: value for name, value in row.items() if name not in {"document", "score"}} for row in found["rows"]]
    return {**found, "rows": rows}


def said(answer: Any) -> Any:
    message = answer["choices"][0]["message"]
    return message["content"], [each["headworks"]["quote"] for each in message["annotations"]], answer["usage"]


@pytest.mark.parametrize("question", QUESTIONS)
def test_everything_is_as_where_the_document_was_never_handed_in(scene: Scene, question: str) -> None:
    key, other = scene.unentitled["not a reader"], scene.twin.key_of("nurse")
    for server_key in ((scene.server, key), (scene.twin, other)):
        assert server_key[0].must("GET", "/api/collections", key=server_key[1])["rows"] == [
            {"name": "docs", "description": "", "documents": len(ORDINARY)}
        ]
    query = {"collection": "docs", "query": question, "k": 100}
    here = scene.server.must("POST", "/api/search", query, key=key)
    there = scene.twin.must("POST", "/api/search", query, key=other)
    assert normal(here) == normal(there)
    for model in ("assistant", "eager-one"):
        assert said(scene.server.ask(model, question, key)[1]) == said(scene.twin.ask(model, question, other)[1])


def test_who_may_read_it_cites_it_byte_for_byte(scene: Scene) -> None:
    with openai.OpenAI(base_url=f"{scene.server.url}/v1", api_key=scene.entitled, max_retries=0) as client:
        asked: Any = [{"role": "user", "content": QUESTIONS[1]}]
        message: Any = client.chat.completions.create(model="assistant", messages=asked).choices[0].message
    cited = [each.model_extra["headworks"] for each in message.annotations]
    mine = [each for each in cited if each["document"] == scene.document]
    assert CANARIES[3] in mine[0]["quote"]
    for each in cited:
        stored = scene.server.must("GET", f"/api/documents/{each['document']}", key=scene.entitled)["text"]
        assert stored[each["start"] : each["end"]] == each["quote"]
        assert hashlib.sha256(each["quote"].encode()).hexdigest() == each["sha256"]
    place = message.annotations[cited.index(mine[0])].url_citation
    assert message.content[place.start_index : place.end_index].startswith("[")
    assert place.url == (f"{scene.server.url}/documents/{scene.document}#char={mine[0]['start']},{mine[0]['end']}")


def test_who_hands_in_the_same_path_is_told_nothing_of_what_was_there(scene: Scene) -> None:
    writer = scene.server.key_of("writer", roles=["engineer"])
    path = f"board/again-{CANARIES[0]}.md"
    handed_in(scene, path, readers="surgeons")
    query = f"path={path}"
    accepted = scene.server.must(
        "PUT", f"/api/collections/docs/documents?{query}", raw=b"# Mine\n\nOf my own.\n", key=writer
    )
    fresh = scene.server.must(
        "PUT", "/api/collections/docs/documents?path=new.md", raw=b"# Mine\n\nOf my own.\n", key=writer
    )
    assert {**accepted, "id": "", "path": ""} == {**fresh, "id": "", "path": ""}
    progress = scene.server.worked_on("docs", key=writer)
    assert progress == {
        "total": 2,
        "done": 2,
        "documents": 2,
        "chunks": 2,
        "failed": [],
        "notice": "",
        "is_paused": False,
    }
    # Leaving readers out opens nothing: its list holds for whatever comes at this path.
    nurse = scene.unentitled["not a reader"]
    found = scene.server.must("POST", "/api/search", {"collection": "docs", "query": "Mine"}, key=nurse)["rows"]
    assert [row["path"] for row in found if "mine" in row["text"].lower()] == ["new.md"]


def test_the_servers_log_holds_none_of_it(scene: Scene, entitled_traces: list[str]) -> None:
    assert entitled_traces
    assert leaks(scene.server.log.read_text()) == []


# ── A right that ends ──


def is_shown(scene: Scene, key: str, document: str | None = None) -> dict[str, bool]:
    """By which ways this key gets something of the document, in this very moment."""
    server = scene.server
    ways = {
        "search": server.api("POST", "/api/search", {"collection": "docs", "query": BAIT, "k": 100}, key=key),
        "document": server.api("GET", f"/api/documents/{document or scene.document}", key=key),
        "chat": server.ask("assistant", QUESTIONS[1], key),
        "prompt": server.ask("parrot", QUESTIONS[1], key),
    }
    return {way: bool(leaks(shown)) for way, shown in ways.items()}


EVERYWHERE = dict.fromkeys(("search", "document", "chat", "prompt"), True)
NOWHERE = dict.fromkeys(EVERYWHERE, False)


def test_a_membership_that_ends_shuts_everything_at_the_next_statement(scene: Scene) -> None:
    key = scene.server.key_of("leaver", ["surgeons"])
    assert is_shown(scene, key) == EVERYWHERE
    trace = scene.server.ask("assistant", QUESTIONS[1], key)[2]["x-headworks-trace"]
    assert leaks(scene.server.trace(trace, key))
    scene.server.must("DELETE", "/api/groups/surgeons/members/leaver")
    assert is_shown(scene, key) == NOWHERE
    own = scene.server.must("GET", f"/api/traces/{trace}", key=key)
    assert leaks(own) == []
    assert any(span["withheld"] for span in own["spans"])
    scene.server.must("PUT", "/api/groups/surgeons/members/leaver")
    assert is_shown(scene, key) == EVERYWHERE


def test_a_reader_that_is_taken_from_the_document_loses_it(scene: Scene) -> None:
    scene.server.must("POST", "/api/groups", {"name": "board"})
    key = scene.server.key_of("director", ["board"])
    path = "board/second.md"
    handed_in(scene, path, readers="board")
    (row, *_) = scene.server.must("POST", "/api/search", {"collection": "docs", "query": BAIT}, key=key)["rows"]
    assert is_shown(scene, key, row["document"]) == EVERYWHERE
    handed_in(scene, path, readers="surgeons")
    assert is_shown(scene, key, row["document"]) == NOWHERE
    handed_in(scene, path, readers="")
    assert is_shown(scene, key, row["document"]) == NOWHERE


def test_a_pattern_that_shuts_a_folder_holds_when_apply_returns(scene: Scene) -> None:
    key = scene.server.key_of("secretary")
    handed_in(scene, "minutes/may.md")
    rows = scene.server.must("POST", "/api/search", {"collection": "docs", "query": BAIT}, key=key)["rows"]
    document = next(row["document"] for row in rows if row["path"] == "minutes/may.md")
    assert is_shown(scene, key, document) == EVERYWHERE
    files = workspace(scene.provider)
    shut = f"{READERS}documents:\n  - {{match: 'minutes/**', readers: [surgeons]}}\n"
    scene.server.apply({**files, "collections/docs.yaml": shut})
    assert is_shown(scene, key, document) == NOWHERE
    scene.server.apply({**files, "collections/docs.yaml": "readers: []\n"})
    assert is_shown(scene, scene.entitled) == NOWHERE
    scene.server.apply({**files, "collections/docs.yaml": shut})
    assert is_shown(scene, scene.entitled) == EVERYWHERE


def test_a_revoked_key_reads_nothing_from_the_next_statement_whatever_a_worker_remembers(scene: Scene) -> None:
    key = scene.server.key_of("surgeon", name="to be revoked")
    assert is_shown(scene, key) == EVERYWHERE
    shown = scene.server.must("GET", "/api/keys?principal=surgeon")["rows"]
    scene.server.must("DELETE", f"/api/keys/{next(row['id'] for row in shown if row['name'] == 'to be revoked')}")
    assert is_shown(scene, key) == NOWHERE
    scene.provider.will(Reply.json(completion("never said")))
    eventually(lambda: scene.server.ask("parrot", "?", key)[0] == 401)
    scene.provider.forget()
