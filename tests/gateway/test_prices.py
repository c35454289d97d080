"""Prices as a call meets them: the tables of the files as they are now, and models without a price by policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running_gateway import World

from headworks.config import PriceSettings
from headworks.errors import ModelUnpriced
from headworks.gateway.routing import View
from headworks.providers.prices import PriceFiles, PriceTable
from headworks.releases.bundles import route_of_target
from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, completion

ASK = [{"role": "user", "content": "Hello?"}]
Following = Callable[[PriceFiles], None]


@pytest.fixture
def following(world: World) -> Iterator[Following]:
    """Makes the running gateway follow these files."""
    snapshots = world.gateway.snapshots
    usual = snapshots._prices

    def follow(files: PriceFiles) -> None:
        snapshots._prices = files.current
        world.settle()

    yield follow
    snapshots._prices = usual
    world.settle()


def test_a_changed_price_holds_for_the_next_call_and_each_row_names_its_tables(
    world: World, provider: SimulatedProvider, tmp_path: Path, following: Following
) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[[price]]\nmodel = "openai/m1"\ninput = 100\noutput = 0\n')
    following(PriceFiles(PriceSettings(overrides=own), tmp_path))
    for dollars in (100, 200):
        own.write_text(f'[[price]]\nmodel = "openai/m1"\ninput = {dollars}.0\noutput = 0\n')
        world.settle()
        provider.will(Reply.json(completion("ok")))
        assert world.post({"model": "outside/m1", "messages": ASK}).status_code == 200
    first, second = world.records.row(1), world.records.row(2)
    assert (first.cost_micro_usd, second.cost_micro_usd) == (1000, 2000)  # 10 tokens of input
    shipped = PriceTable.load().version
    assert first.price_version != second.price_version
    assert all(str(row.price_version).endswith(f"+{shipped}") for row in (first, second))


def test_a_file_that_has_become_unreadable_changes_nothing(
    world: World, provider: SimulatedProvider, tmp_path: Path, following: Following, caplog: pytest.LogCaptureFixture
) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[[price]]\nmodel = "openai/m1"\ninput = 100\noutput = 0\n')
    following(PriceFiles(PriceSettings(overrides=own), tmp_path))
    own.write_text("[[price")
    world.settle()
    provider.will(Reply.json(completion("ok")))
    assert world.post({"model": "outside/m1", "messages": ASK}).status_code == 200
    assert world.records.row().cost_micro_usd == 1000
    assert "prices stay as they were" in caplog.text


def test_an_unpriced_model_is_refused_where_the_operator_wants_it(world: World) -> None:
    view = world.gateway.snapshots.current()
    accounts = world.gateway._accounts
    strict = View(view.identity, view.releases, view.prices, accounts, route_of_target, unpriced="refuse")
    for name in ("unpriced", "outside/gpt-of-nowhere", "pair", "bare"):
        with pytest.raises(ModelUnpriced, match="Nobody knows what `outside/"):
            strict.resolve(world.admin, name)
        assert view.resolve(world.admin, name).aims[0].rates is None
    for name in ("priced", "extractive", "builtin/extractive", "inside", "quoting"):
        assert strict.resolve(world.admin, name).name == name  # priced, or on this host
    assert {each.name for each in strict.features(world.admin)} == {each.name for each in view.features(world.admin)}


def test_a_vendor_s_model_is_priced_by_the_vendor_s_table(world: World) -> None:
    plan = world.gateway.snapshots.current().resolve(world.admin, "anthropic/claude-haiku-4-5")
    assert plan.aims[0].rates == PriceTable.load().find("anthropic", "claude-haiku-4-5")
    assert plan.aims[0].rates is not None
