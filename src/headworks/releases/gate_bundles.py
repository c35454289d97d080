"""What judges a feature: its gate, golden sets, judges and taxonomy, as a bundle of their own beside every release."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass

from headworks.releases.bundles import Bundle, BundleFile, digest_of
from headworks.types.ids import Digest

GATE = "evals/gate.yaml"
_FOLDERS = ("evals/", "golden/", "judges/")
MEDIA_TYPES: Mapping[str, str] = {
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".md": "text/markdown",
    ".prompty": "text/x-prompty",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}
"""By suffix; anything else is `text/plain`."""


@dataclass(frozen=True, slots=True)
class Judging:
    """A gate bundle. `dataset` is the digest of its golden files, None without any."""

    bundle: Bundle
    dataset: Digest | None


def judging_of(feature: str, files: Mapping[str, bytes]) -> Judging | None:
    """What the workspace's files say judges a feature; None where it has no `evals/gate.yaml`."""
    folder = f"features/{feature}/"
    found = []
    for path in sorted(files):
        inside = path.removeprefix(folder)
        if path.startswith(folder) and (inside.startswith(_FOLDERS) or inside == "taxonomy.yaml"):
            found.append(BundleFile(inside, media_type(inside), files[path]))
    if not any(each.path == GATE for each in found):
        return None
    golden = [each for each in found if each.path.startswith("golden/")]
    dataset = digest_of({"files": Bundle(tuple(golden)).manifest}) if golden else None
    return Judging(Bundle(tuple(found)), dataset)


def media_type(path: str) -> str:
    """Of a file by its suffix."""
    return MEDIA_TYPES.get(posixpath.splitext(path)[1].lower(), "text/plain")
