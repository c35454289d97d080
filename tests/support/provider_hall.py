"""A running gateway with a simulated provider of each format behind it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import httpx
from running_gateway import KEY_ENV, World, workspace
from spoken_formats import REPLIES, Ask, Got, Said, understood, written

from headworks.gateway.dialects import DIALECTS
from headworks.testing.anthropic import SimulatedAnthropic
from headworks.testing.bedrock import SimulatedBedrock
from headworks.testing.gemini import SimulatedGemini
from headworks.testing.provider import Seen, SimulatedProvider
from headworks.testing.replies import Reply

PATHS: dict[str, str] = {each.surface: each.path for each in DIALECTS if each.name is not None}
KINDS = {
    "anthropic": "anthropic",
    "gemini": "gemini",
    "bedrock": "bedrock",
    "chat": "mistral",
    "responses": "respondent",
}
"""Kinds of account, by the format that is spoken with them."""


@dataclass
class Hall:
    """The gateway, with a provider of each format behind `to-<format>/m`."""

    world: World
    servers: dict[str, SimulatedProvider]
    client: httpx.Client

    def post(self, surface: str, target: str, ask: Ask, reply: Reply) -> httpx.Response:
        """The gateway's answer, when the provider gives this one."""
        server = self.servers[target]
        server.forget()
        server.will(reply)
        self.world.records.rows.clear()
        return self.client.post(PATHS[surface], json=written(surface, f"to-{target}/m", ask))

    def talk(self, surface: str, target: str, ask: Ask, said: Said) -> Got:
        """The answer as the caller understands it."""
        reply = REPLIES[target](replace(said, streams=ask.streams))
        answer = self.post(surface, target, ask, reply)
        assert answer.status_code == 200, answer.text
        return understood(surface, answer.content, streams=ask.streams)

    def seen(self, target: str) -> Seen:
        """What the provider was asked. What it has to refuse, it has refused."""
        return self.servers[target].last


@contextmanager
def opened_hall(world: World) -> Iterator[Hall]:
    """The hall while it is open; the world's own workspace is put back afterwards."""
    first, second = world.providers
    usual = workspace(first.url, second.url)
    with (
        SimulatedAnthropic() as anthropic,
        SimulatedGemini() as gemini,
        SimulatedBedrock() as bedrock,
        SimulatedProvider() as chat,
        SimulatedProvider() as responses,
        httpx.Client(base_url=world.url, headers={"authorization": f"Bearer {world.admin_key}"}, timeout=20) as client,
    ):
        servers = {"anthropic": anthropic, "gemini": gemini, "bedrock": bedrock, "chat": chat, "responses": responses}
        urls = {name: server.url for name, server in servers.items()} | {"bedrock": bedrock.origin}
        accounts = "".join(
            f"  to-{name}: {{kind: {KINDS[name]}, base_url: '{urls[name]}', api_key_env: {KEY_ENV}}}\n"
            for name in KINDS
        )
        world.apply({**usual, "providers.yaml": usual["providers.yaml"] + accounts.encode()})
        world.settle()
        yield Hall(world, servers, client)
    world.apply(usual)
    world.settle()
