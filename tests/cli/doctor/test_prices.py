from __future__ import annotations

from pathlib import Path

from headworks.cli.doctor import prices
from headworks.config import PriceSettings, Settings
from headworks.providers.prices import PriceTable


def test_the_tables_in_force_are_named_with_their_versions(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[[price]]\nmodel = "vllm/ours"\ninput = 1\n')
    table, found = prices.look(Settings(data=tmp_path, prices=PriceSettings(overrides=own)))
    assert table.find("vllm", "ours") is not None
    assert found.state == "ok"
    assert found.detail.startswith("overrides ")
    assert found.detail.endswith(f"shipped {PriceTable.load().version}")


def test_a_file_that_can_not_be_read_is_something_to_do(tmp_path: Path) -> None:
    table, found = prices.look(Settings(data=tmp_path, prices=PriceSettings(overrides=tmp_path / "missing.toml")))
    assert table is PriceTable.load()
    assert (found.what, found.state) == ("prices", "to do")
    assert "missing.toml" in found.detail
