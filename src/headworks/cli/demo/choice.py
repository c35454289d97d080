"""Which model answers: a provider's if there is one that works here, else the built-in one."""

from __future__ import annotations

import asyncio
import io
import json
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files

from ruamel.yaml import YAML

from headworks.providers.anthropic import VERSION
from headworks.providers.catalog import Found, discover
from headworks.providers.vendors import Vendor

BUILT_IN = "builtin/extractive"
_TIMEOUT_S = 5.0
_VERSION = VERSION.decode("ascii")
_LARGEST_BYTES = 4_000_000
_NO_CHAT = ("embed", "whisper", "rerank", "tts", "ocr")


@dataclass(frozen=True, slots=True)
class Choice:
    """`provider/model`, and the sentences that say why."""

    target: str
    reasons: tuple[str, ...]

    @property
    def is_built_in(self) -> bool:
        """Nothing leaves this process, and answers are the closest passages."""
        return self.target == BUILT_IN


def choose(environ: Mapping[str, str]) -> Choice:
    """Look at the environment and the local ports. A key that is set is tried by asking for the provider's models."""
    reasons = []
    for found in asyncio.run(discover(environ)):
        model, reason = _of(found, environ)
        reasons.append(reason)
        if model is not None:
            return Choice(f"{found.provider.id}/{model}", tuple(reasons))
    return Choice(BUILT_IN, tuple(reasons))


def _of(found: Found, environ: Mapping[str, str]) -> tuple[str | None, str]:
    """A model of this provider, or None; and the sentence that says so."""
    name = found.provider.name
    if found.models:
        model = next((each for each in found.models if not any(word in each.lower() for word in _NO_CHAT)), None)
        return model, f"{name} answers on {found.source}: " + (
            f"its model {model} is used." if model else "but it has no model for chat."
        )
    preferred = _preferred().get(found.provider.id, [])
    try:
        listed = set(_listed(found, environ[found.source].strip())) if preferred else set()
    except urllib.error.HTTPError as error:
        return None, f"{found.source} is set, but {name} refuses it (status {error.code})."
    except (OSError, ValueError):
        return None, f"{found.source} is set, but {name} can't be reached from here."
    model = next((each for each in preferred if each in listed), None)
    if model is None:
        return None, f"{found.source} is set, but {name} lists no model that the demo knows."
    return model, f"{found.source} is set: {name}'s model {model} is used."


def _preferred() -> dict[str, list[str]]:
    return tomllib.loads((files("headworks.cli.demo") / "models.toml").read_text(encoding="utf-8"))


def _listed(found: Found, key: str) -> Iterator[str]:
    """The ids that a provider lists."""
    if isinstance(found.provider, Vendor):
        url, proof = found.provider.models_url, {found.provider.key_header: key, "anthropic-version": _VERSION}
    else:
        url, proof = f"{found.base_url}/models", {"authorization": f"Bearer {key}"}
    request = urllib.request.Request(  # noqa: S310 -- an address of the catalogue, which is https
        url, headers={**proof, "user-agent": "headworks-demo"}
    )
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310 -- as above
        answer = json.loads(response.read(_LARGEST_BYTES))
    for row in answer.get("data", answer.get("models", [])):
        name = row.get("id", row.get("name")) if isinstance(row, dict) else None
        if isinstance(name, str):
            yield name.removeprefix("models/")


def with_target(workspace: Mapping[str, bytes], target: str) -> dict[str, bytes]:
    """The same files with routes that lead to this model wherever they led to the built-in one."""
    content = workspace.get("routes.yaml")
    if target == BUILT_IN or content is None:
        return dict(workspace)
    yaml = YAML()
    tree = yaml.load(content.decode())
    for route in tree["routes"].values():
        if list(route["targets"]) == [BUILT_IN]:
            route["targets"] = [target]
    written = io.StringIO()
    yaml.dump(tree, written)
    return {**workspace, "routes.yaml": written.getvalue().encode()}
