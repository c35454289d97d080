"""A member of a tenant who means harm, at each door of retrieval: no 5xx, and what is not yours is as if not there."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import httpx
import pytest
from retrieval_world import World

from headworks.retrieval.ingestion.batches import router as batches
from headworks.retrieval.lifecycle.routes import router as lifecycle
from headworks.types.workspace import SectionSpec

from .test_routes import Caller, Http

SECRET = "# Merger\n\nThe canaryheron flies in May.\n\n## Price\n\nNine canarymillions.\n"
PART = "board/plan.md#Merger › Price"
NAMES: Final = (
    "", " ", "\0", "a\0b", "\ud800", "\U0001f600" * 50, "x" * 70_000, "../../etc/passwd", "' OR true --",
    "%s %(tenant)s", "{{1}}", "\u202e", "null", "*", "handbook", "secrets", "board/plan.md", "policies/claims.md",
)  # fmt: skip
"""Strings where a name, a path or a text is asked for."""
WRONG: Final[tuple[Any, ...]] = (
    None,
    True,
    -1,
    0,
    2**31,
    2**63,
    2**70,
    1e308,
    1.5,
    [],
    {},
    [[]],
    {"a": {}},
    [None],
    ["\0"],
    ["\ud800"],
)
"""Values of other kinds, or too large."""
NUMBERS: Final = ("-1", "0", "1", "99999999999", str(2**63), "1e9", "NaN", "x", "%00", "")
DEEP: Final = "[" * 5_000 + "]" * 5_000


@dataclass(frozen=True)
class Door:
    """A route: `address` with what is to be filled in in braces, and a body whose fields are attacked one by one."""

    method: str
    address: str
    body: dict[str, Any] | None = None
    more: tuple[str, ...] = field(default=())
    """Fields that may be left out."""


DOORS: Final = (
    Door(
        "POST", "/api/search", {"collection": "handbook", "query": "heron", "k": 3},
        ("filter", "ranking", "explain", "history", "keyword_weight", "decay", "per_document", "mmr", "synonyms",
         "rewrite", "rerank"),
    ),
    Door("GET", "/api/collections"),
    Door("POST", "/api/collections/{name}/documents/find", {"paths": ["board/plan.md"]}),
    Door("GET", "/api/documents/{document}"),
    Door("GET", "/api/documents/{document}?start={number}&end={number}"),
    Door("GET", "/api/documents/{document}/pages/{number}"),
    Door("GET", "/api/documents/{document}/versions"),
    Door("GET", "/api/documents/{document}/versions/{number}"),
    Door("POST", "/api/collections/{name}/syncs", {"source": "folder:a"}),
    Door("POST", "/api/collections/{name}/syncs/{document}/finish", {"seen": []}),
    Door("GET", "/api/collections/{name}/syncs/{document}"),
    Door("POST", "/api/collections/{name}/sources/sync"),
    Door("GET", "/api/collections/{name}/sources"),
    Door("GET", "/api/collections/{name}/progress"),
    Door("GET", "/api/collections/{name}/failed"),
    Door("GET", "/api/collections/{name}/health"),
    Door("POST", "/api/collections/{name}/failed/retry", {}, ("codes", "paths")),
    Door("POST", "/api/collections/{name}/documents/delete", {"paths": ["nothing.md"]}, ("source",)),
    Door(
        "POST", "/api/collections/{name}/documents/batch", {"files": [{"path": "x.md", "text": "x"}]},
        ("source", "sync"),
    ),
    Door("POST", "/api/readers/explain", {"document": "board/plan.md", "principal": "bob"}, ("collection",)),
    Door("POST", "/api/collections/{name}/purge", {"at_once": False}),
    Door("POST", "/api/erasures", {"document": "nothing.md", "reason": "x"}, ("collection", "person", "labels")),
    Door("GET", "/api/receipts?limit={number}"),
    Door("GET", "/api/receipts/{document}"),
    Door("POST", "/api/holds", {"kind": "document", "name": "nothing.md", "reason": "x"}, ("collection",)),
    Door("DELETE", "/api/holds/{document}"),
    Door("GET", "/api/jobs?every={number}"),
    Door("GET", "/api/jobs/{document}"),
    Door("POST", "/api/jobs/pause", {"lane": "nothing"}),
    Door("POST", "/api/jobs/{document}/cancel"),
    Door("PUT", "/api/collections/{name}/documents?path={name}"),
    Door("PUT", "/api/collections/{name}/documents?path=x.md&readers={name}&deny={name}&metadata={name}&source={name}"),
    Door("PUT", "/api/collections/{name}/documents?path=x.md&sync={document}"),
)  # fmt: skip


@dataclass
class Place:
    """Our tenant with what bob may not read, another tenant with the like, and bob's keys: one may write, one not."""

    http: Http
    bob: Caller
    writer: Caller
    hidden: str
    part: str
    foreign: str
    sync: str

    @property
    def ids(self) -> tuple[str, ...]:
        return self.hidden, self.part, self.foreign


@pytest.fixture
async def place(world: World) -> AsyncIterator[Place]:
    http = Http(world)
    answering = httpx.ASGITransport(http.app, raise_app_exceptions=False)
    http.client = httpx.AsyncClient(transport=answering, base_url="http://127.0.0.1:8484")
    for router in (lifecycle, batches):
        http.app.include_router(router)
    await world.person("bob", "board")
    await world.identity.remove_member(world.admin, "board", "bob")
    await world.person("clerk")
    await world.identity.bind_role(world.admin, "clerk", "engineer")
    cut = (SectionSpec("**", "Price", ("board",)),)
    await world.collection("handbook", "everyone", documents=[("board/**", ("board",))], sections=cut)
    await world.collection("secrets", "board")
    for name in ("handbook", "secrets"):
        await world.add(name, "board/plan.md", SECRET)
    other = await world.tenant("other")
    await world.collection("handbook", "everyone", maker=other)
    await world.hand_in("handbook", "board/plan.md", SECRET, by=other)
    await world.drain()
    found = dict(
        world.behind.execute(
            "SELECT (tenant_id = %s)::text || shown_path, document_id::text FROM document", [world.admin.tenant]
        ).fetchall()
    )
    begun = await world.retrieval.begin_sync(world.admin, "handbook", "folder:a")
    bob, clerk = await http.caller("bob"), await http.caller("clerk")
    yield Place(
        http, bob, clerk, found["trueboard/plan.md"], found[f"true{PART}"], found["falseboard/plan.md"], begun.id
    )
    await http.client.aclose()


def _filled(address: str, value: str, document: str) -> str:
    return address.replace("{name}", value).replace("{number}", value).replace("{document}", document)


def _bodies(door: Door) -> Iterator[str | None]:
    if door.body is None:
        yield None
        return
    yield from ("", "null", "[]", '"', "{", DEEP, '{"a":' * 900 + "1" + "}" * 900)
    values = [*NAMES, *WRONG, [*NAMES], {name: name for name in NAMES[:6]}]
    for name, value in itertools.product((*door.body, *door.more, "unheard of"), values):
        yield json.dumps({**door.body, name: value})


async def _knock(caller: Caller, door: Door, address: str, body: str | None) -> httpx.Response:
    more: dict[str, Any] = {}
    if body is not None:
        more = {"content": body.encode(), "headers": {"content-type": "application/json"}}
    elif door.method == "PUT":
        more = {"content": b"# X\n\nx"}
    answer: httpx.Response = await caller(door.method, address, **more)
    return answer


@pytest.mark.timeout(900)
async def test_whatever_comes_in_no_door_breaks_and_no_canary_goes_out(place: Place) -> None:
    """The clerk's key tries everything, bob's some of it."""
    broken = []
    for door in DOORS:
        for number, (address, body) in enumerate(_knocks(place, door)):
            for caller in (place.writer, place.bob)[: 1 + (number % 7 == 0)]:
                answer = await _knock(caller, door, address, body)
                if answer.status_code >= 500 or "canary" in answer.text:
                    broken.append((door.method, address[:100], (body or "")[:200], answer.text[:200]))
    assert not broken, "\n".join(map(str, broken))


def _knocks(place: Place, door: Door) -> Iterator[tuple[str, str | None]]:
    names = [quote(name, errors="replace", safe="") for name in NAMES if len(name) < 1000]
    places = [*names, *NUMBERS, "%ED%A0%80", "%FF", "%2e%2e%2f", *place.ids]
    addresses = {_filled(door.address, value, value) for value in places}
    addresses |= {_filled(door.address, value, place.hidden) for value in (*NUMBERS, "handbook")}
    for address in sorted(addresses):
        yield address, None if door.body is None else json.dumps(door.body)
    for body in _bodies(door):
        if body is not None:
            yield _filled(door.address, "handbook", place.hidden), body


NAMED_BY_ID: Final[tuple[tuple[str, str, dict[str, Any] | None], ...]] = (
    ("GET", "/api/documents/{id}", None),
    ("GET", "/api/documents/{id}?start=0&end=9", None),
    ("GET", "/api/documents/{id}/pages/1", None),
    ("GET", "/api/documents/{id}/versions", None),
    ("GET", "/api/documents/{id}/versions/1", None),
    ("GET", "/api/collections/handbook/syncs/{id}", None),
    ("POST", "/api/collections/handbook/syncs/{id}/finish", {"seen": []}),
    ("PUT", "/api/collections/handbook/documents?path=x.md&sync={id}", None),
    ("GET", "/api/receipts/{id}", None),
    ("DELETE", "/api/holds/{id}", None),
    ("GET", "/api/jobs/{id}", None),
    ("POST", "/api/jobs/{id}/cancel", None),
    ("POST", "/api/search", {"collection": "handbook", "query": "{id}", "filter": "document = {id}"}),
    ("POST", "/api/collections/handbook/documents/find", {"paths": ["{id}"]}),
    ("POST", "/api/holds", {"kind": "document", "name": "{id}", "reason": "x"}),
    ("POST", "/api/erasures", {"document": "{id}", "reason": "x"}),
)
"""Where the id of a document, a sync, a receipt, a hold or a run is asked for."""


async def test_what_is_not_yours_reads_as_what_is_not_there(place: Place) -> None:
    for (method, address, body), caller in itertools.product(NAMED_BY_ID, (place.bob, place.writer)):
        told = {}
        for which in (str(uuid.uuid4()), *place.ids, place.sync):
            sent = None if body is None else json.dumps(body).replace("{id}", which)
            answer = await _knock(caller, Door(method, address), address.replace("{id}", which), sent)
            told[which] = (answer.status_code, answer.text.replace(which, "ID"))
        assert len(set(told.values())) == 1, (method, address, told)


async def test_who_may_ask_why_hears_nothing_of_other_tenants(place: Place) -> None:
    """Of one's own tenant, whoever may ask hears of all: that is what the permission is for, and it is audited."""
    told = []
    for which in (str(uuid.uuid4()), place.foreign):
        answer = await place.writer("POST", "/api/readers/explain", json={"document": which, "principal": "bob"})
        told.append((answer.status_code, answer.text.replace(which, "ID")))
        assert (await place.bob("POST", "/api/readers/explain", json={"document": which, "principal": "bob"})).is_error
    assert told[0] == told[1]


async def test_names_of_others_read_as_names_of_nothing(place: Place) -> None:
    async def told(caller: Caller, method: str, address: str, name: str, **body: Any) -> tuple[int, str]:
        sent = json.dumps(body).replace("NAME", name) if body else None
        answer = await _knock(caller, Door(method, address), address.replace("NAME", name), sent)
        return answer.status_code, answer.text.replace(name, "NAME")

    for method, address, body in (
        ("POST", "/api/search", {"collection": "NAME", "query": "heron"}),
        ("POST", "/api/collections/NAME/documents/find", {"paths": ["board/plan.md"]}),
    ):
        assert await told(place.bob, method, address, "secrets", **body) == await told(
            place.bob, method, address, "nothing", **body
        )
    find = "/api/collections/handbook/documents/find"
    for path in ("board/plan.md", PART):
        assert (await place.bob("POST", find, json={"paths": [path]})).json() == {"rows": []}
