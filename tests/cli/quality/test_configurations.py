from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.cli.quality.configurations import Configuration, configurations, labels, read_settings
from headworks.errors import InvalidRequest

HYBRID = Configuration("docs", "hybrid", 100)


def test_a_setting_is_json_or_text_and_a_leg_may_stand_alone() -> None:
    given = ["keywords", "depth=20", "collection=docs-2", 'filters={"year": 2024}', "note=a=b"]
    assert read_settings(given) == {
        "ranking": "keywords", "depth": 20, "collection": "docs-2", "filters": {"year": 2024}, "note": "a=b",
    }  # fmt: skip


def test_settings_are_put_into_the_request_as_the_server_knows_them() -> None:
    changed = HYBRID.changed({"ranking": "vectors", "depth": 7, "weight": 0.3})
    assert changed.body("why") == {"collection": "docs", "ranking": "vectors", "k": 7, "weight": 0.3, "query": "why"}
    assert changed.settings == {"collection": "docs", "ranking": "vectors", "depth": 7, "weight": 0.3}


def test_the_second_configuration_is_the_first_but_for_what_differs() -> None:
    first, second = configurations("docs", ["depth=50", "x=1"], ["keywords"], 10)
    assert second.settings == {**first.settings, "ranking": "keywords"}
    assert configurations("docs", [], None, 10) == [HYBRID]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"collection": 3}, "`collection` must be a name"),
        ({"depth": True}, "`depth` is True"),
        ({"depth": 101}, "`depth` is 101"),
        ({"ranking": ["hybrid"]}, "`ranking` is"),
    ],
)
def test_a_setting_of_the_wrong_kind_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        HYBRID.changed(settings)


def test_names_say_what_differs_and_nothing_else() -> None:
    assert labels([HYBRID]) == ["hybrid"]
    assert labels([HYBRID, HYBRID.changed({"ranking": "keywords"})]) == ["hybrid", "keywords"]
    assert labels([HYBRID, HYBRID.changed({"weight": 0.3})]) == ["hybrid", "hybrid weight=0.3"]
    assert labels([HYBRID, HYBRID.changed({"collection": "two"})]) == [
        "hybrid collection=docs",
        "hybrid collection=two",
    ]
    with pytest.raises(InvalidRequest, match="Both configurations are the same"):
        labels([HYBRID, HYBRID])


names = st.text("abc_", min_size=1).filter(lambda name: name != "k")
values = st.none() | st.booleans() | st.integers() | st.text("xyz =,", max_size=5).map(str.strip)


@given(names, values)
def test_any_setting_reaches_the_request(name: str, value: object) -> None:
    shown = value if isinstance(value, str) else {None: "null", True: "true", False: "false"}.get(value, value)  # type: ignore[call-overload] # any
    assert read_settings([f"{name}={shown}"]) == {name: value}
