"""Reads the price files of Portkey-AI/models: one file a provider, cents per token, one object a model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from headworks.errors import InvalidRequest
from headworks.providers.pricing.importing import Collected, Imported, inherited, number, price, read_object, tier
from headworks.providers.pricing.tables import Price, PriceRow, micro

_RATES = {
    "request_token": "input",
    "response_token": "output",
    "cache_read_input_token": "cached_input",
    "cache_write_input_token": "cache_write",
    "request_audio_token": "audio_input",
    "response_audio_token": "audio_output",
}
_UNITS = {
    "cache_write_1h": "cache_write_1h",
    "thinking_token": "reasoning",
    "request_audio_token": "audio_input",
    "response_audio_token": "audio_output",
}
"""Of `additional_units`."""
_PER_TOKEN = 10**10
"""From cents per token to micro-dollars per million tokens."""
_PROVIDERS = {
    "azure-ai": "azure",
    "azure-openai": "azure",
    "bedrock": "aws",
    "bedrock-mantle": "aws",
    "fireworks-ai": "fireworks",
    "mistral-ai": "mistral",
    "moonshot": "moonshotai",
    "novita-ai": "novita",
    "open-ai": "openai",
    "perplexity-ai": "perplexity",
    "together-ai": "together",
    "vertex-ai": "vertex",
    "voyage": "voyageai",
    "z-ai": "zai",
    "zhipu": "zhipuai",
}
"""The tables' ids of providers whose file is called otherwise."""
_SPLIT = re.compile(r"(.+)-(lte|gt)-([0-9]{1,5})k")
"""A model whose price depends on the prompt's length stands there twice: up to, and above so many thousand tokens."""
_MODES = ("batch", "fast", "flex", "priority")


def import_portkey(path: Path, on: date) -> Imported:
    """One file, or a folder of them: the repository's own, or its `pricing`. Raises InvalidRequest."""
    rows = Collected()
    for file in _files(path):
        provider = _PROVIDERS.get(file.stem, file.stem)
        models = read_object(_read(file), str(file))
        longer = {name: given for name, given in models.items() if (at := _SPLIT.fullmatch(name)) and at[2] == "gt"}
        for name, given in models.items():
            if name in longer or name == "default" or not isinstance(given, dict):
                continue
            row = _row(given)
            if row is None:
                rows.leave_out("is not priced by token")
                continue
            at = _SPLIT.fullmatch(name)
            if at is not None:
                _lengthen(row, _row(longer.get(f"{at[1]}-gt-{at[3]}k")), int(at[3]) * 1000)
            rows.add(provider, at[1] if at else name, row)
    return rows.finish(f"Portkey's {path}", on)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    folder = path / "pricing" if (path / "pricing").is_dir() else path
    found = sorted(folder.glob("*.json"))
    if not found:
        raise InvalidRequest(f"{folder}: there is no JSON file in it.")
    return found


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"{file}: {error.strerror}.") from None


def _row(given: object) -> PriceRow | None:
    """The price by use, and those of a batch and of the modes of execution in no particular region."""
    base = price(_stated(_at(given, "pricing_config", "pay_as_you_go")))
    if base is None:
        return None
    modes = _at(given, "custom_pricing", "regions", "default", "execution_modes")
    stated = {mode: _stated(_at(modes, mode, "pricing_config", "pay_as_you_go")) for mode in _MODES}
    stated["batch"] = {**stated["batch"], **_stated(_at(given, "pricing_config", "batch_config"))}
    base.services = {mode: msgspec.convert(inherited(base, rates), Price) for mode, rates in stated.items() if rates}
    return PriceRow(names=[], **msgspec.structs.asdict(base))


def _lengthen(row: PriceRow, longer: PriceRow | None, above: int) -> None:
    """Give a price, and each of its services, the tier of longer prompts."""
    if longer is None:
        return
    row.tiers = [tier(above, longer.rates())]
    for mode, service in row.services.items():
        if mode in longer.services:
            service.tiers = [tier(above, longer.services[mode].rates())]


def _stated(given: Mapping[str, Any]) -> dict[str, int]:
    units = _at(given, "additional_units")
    found = {rate: given.get(field) for field, rate in _RATES.items()}
    found |= {rate: units[unit] for unit, rate in _UNITS.items() if unit in units}
    rates = {}
    for rate, entry in found.items():
        cents = number(entry.get("price")) if isinstance(entry, dict) else None
        value = None if cents is None else micro(cents, _PER_TOKEN)
        if value is not None and (value or rate in {"input", "output"}):  # elsewhere 0 says that it has none
            rates[rate] = value
    return rates


def _at(given: object, *path: str) -> Mapping[str, Any]:
    """An object in an object; empty where there is none."""
    for name in path:
        given = given.get(name) if isinstance(given, dict) else None
    return given if isinstance(given, dict) else {}
