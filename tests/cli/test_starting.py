from __future__ import annotations

from pathlib import Path

import pytest

from headworks.app import surroundings
from headworks.cli.starting import template_files, workspace_files, write_templates
from headworks.config import Settings, load_settings
from headworks.errors import Conflict, StartupRefused
from headworks.releases.workspace.reading import parse_workspace


def test_the_workspace_is_one_collection_and_one_feature_over_it_without_a_notice() -> None:
    workspace = parse_workspace(workspace_files(), surroundings(()))
    assert workspace.notices == ()
    (collection,), (feature,) = workspace.collections, workspace.features
    assert collection.readers == ("administrators",)
    assert feature.retrieval is not None
    assert feature.retrieval.collection == collection.name
    assert feature.risk == "low"


def test_every_file_of_the_templates_is_commented() -> None:
    for path, content in template_files().items():
        assert b"#" in content, path


def test_the_settings_are_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_templates(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert load_settings(None, {}) == Settings()


def test_each_key_that_is_commented_out_is_one(tmp_path: Path) -> None:
    """Uncommented, the file still loads: no comment speaks of a key that there is not."""
    lines = template_files()["headworks.toml"].decode().splitlines()
    live = [line.removeprefix("# ") if " = " in line and line.startswith("# ") else line for line in lines]
    (tmp_path / "headworks.toml").write_text("\n".join(live))
    settings = load_settings(tmp_path / "headworks.toml", {})
    assert settings.database.url.startswith("postgresql://")
    assert settings.server == Settings().server


def test_nothing_is_overwritten_and_nothing_is_written_beside(tmp_path: Path) -> None:
    (tmp_path / "headworks.toml").write_text("# mine\n")
    with pytest.raises(Conflict, match=r"headworks\.toml is already there; nothing was written\. Give another folder"):
        write_templates(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["headworks.toml"]
    assert (tmp_path / "headworks.toml").read_text() == "# mine\n"


def test_a_folder_that_can_not_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartupRefused, match="can't be written: Not a directory"):
        write_templates(tmp_path / "file" / "below")
