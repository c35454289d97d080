"""Where tables disagree, and what a new one changes."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from headworks.providers.pricing.comparing import Difference, changes, disagreements
from headworks.providers.pricing.layers import Layer
from headworks.providers.pricing.tables import Price, PriceRow, PriceTier, Table, table_of

TODAY = date(2026, 11, 22)
PRICES = st.dictionaries(
    st.sampled_from(["a", "b", "c"]), st.builds(Price, input=st.integers(0, 3), output=st.none() | st.integers(0, 3))
)


def table(**prices: Price) -> Table:
    rows = [PriceRow(names=[name], input=price.input, output=price.output) for name, price in prices.items()]
    return table_of("a test", {"openai": rows}, TODAY)


def layers(*rows: PriceRow) -> list[Layer]:
    return [Layer(f"t{number}", table_of("a test", {"openai": [row]}, TODAY)) for number, row in enumerate(rows, 1)]


def test_only_rates_that_two_tables_state_and_that_differ_are_disagreements() -> None:
    first = PriceRow(names=["m"], input=1_000, output=5_000, cached_input=7)
    other = PriceRow(names=["m"], input=2_000, output=5_000, cache_write=9)
    assert list(disagreements(layers(first, other))) == [Difference("openai", "m", "input", {"t1": 1_000, "t2": 2_000})]


def test_what_one_table_does_not_state_is_shown_on_request() -> None:
    first = PriceRow(names=["m"], input=1_000, cached_input=7)
    other = PriceRow(names=["m"], input=1_000, cache_write=9)
    assert [(each.field, each.values) for each in disagreements(layers(first, other), with_missing=True)] == [
        ("cached_input", {"t1": 7, "t2": None}),
        ("cache_write", {"t1": None, "t2": 9}),
    ]


def test_tiers_and_services_are_compared_by_their_condition() -> None:
    def row(price: int) -> PriceRow:
        tier = PriceTier(above_input_tokens=200_000, input=price)
        return PriceRow(names=["m"], input=1, tiers=[tier], services={"batch": Price(input=price, tiers=[tier])})

    fields = [each.field for each in disagreements(layers(row(10), row(20)))]
    assert fields == ["above 200000: input", "batch: input", "batch: above 200000: input"]


def test_a_difference_of_rounding_and_a_model_of_one_table_are_none() -> None:
    assert not list(disagreements(layers(PriceRow(names=["m"], input=33_333), PriceRow(names=["m"], input=33_334))))
    assert not list(disagreements(layers(PriceRow(names=["m"], input=1), PriceRow(names=["n"], input=9))))
    three = layers(*(PriceRow(names=["m"], input=price) for price in (1_000, 1_001, 1_002)))
    assert [each.values for each in disagreements(three)] == [{"t1": 1_000, "t2": 1_001, "t3": 1_002}]


def test_a_new_table_is_described_by_what_it_changes() -> None:
    old = table(a=Price(input=10), b=Price(input=20, output=20))
    new = table(b=Price(input=20), c=Price(input=30))
    made = changes(old, new)
    assert (made.added, made.removed) == (["openai/c"], ["openai/a"])
    assert made.changed == [Difference("openai", "b", "output", {"old": 20, "new": None})]
    assert changes(None, new).added == ["openai/b", "openai/c"]


@given(old=PRICES, new=PRICES)
def test_nothing_changes_exactly_when_the_rates_are_the_same(old: dict[str, Price], new: dict[str, Price]) -> None:
    def near(one: Price, other: Price) -> bool:
        pairs = ((one.input, other.input), (one.output, other.output))
        return all(a == b or (a is not None and b is not None and abs(a - b) <= 1) for a, b in pairs)

    is_same = old.keys() == new.keys() and all(near(old[name], new[name]) for name in old)
    assert bool(changes(table(**old), table(**new))) != is_same
