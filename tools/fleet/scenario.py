# SPDX-License-Identifier: Apache-2.0
"""What a fleet does, as data: a TOML file in `scenarios/`, or one of your own (docs/fleet.md has every key)."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct, field

from firmware import config, product
from firmware.errors import ConfigError
from firmware.factory_settings import FactoryVariable
from firmware.product import Product

__all__ = ["Outage", "Rollout", "Scenario", "Sessions", "Stations", "load", "names", "product_of", "takes_part"]

_HERE = Path(__file__).parent / "scenarios"
_GOLDEN = 0.6180339887498949
_IDENTITY = re.compile(r"[A-Za-z0-9*\-_=+|@.]{1,48}")
_MOST_STATIONS = 99_999

Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Wait = Annotated[float, Meta(gt=0, le=86_400)]
Share = Annotated[float, Meta(ge=0, le=1)]
Uid = Annotated[
    str,
    Meta(pattern=r"^(?:[0-9A-F]{8}|[0-9A-F]{14}|[0-9A-F]{20})$", description="a UID of 8, 14 or 20 digits of 0-9 A-F"),
]


class Stations(Struct, frozen=True, forbid_unknown_fields=True):
    """Every station of the fleet."""

    identity: str = "FLEET-{number:05}"
    """`{number}` is 1, 2, 3 ...; `{number:05}` has five digits."""
    product: str = "c7am-400-cc"
    security_profile: Annotated[int, Meta(ge=1, le=2)] = 1
    start_per_s: Annotated[float, Meta(gt=0, le=1000)] = 10.0
    """How many are switched on in a second."""
    reading_s: Wait = 10.0
    """Between two readings of a meter; a board's HAL has one each second, of which the CSMS sees none."""


class Sessions(Struct, frozen=True, forbid_unknown_fields=True):
    """EV drivers: one comes, presents a card, charges, presents it again and leaves."""

    arrival_s: Wait = 180.0
    """The mean time between two vehicles that come to an EVSE; the times are spread as those of independent events are
    (exponentially). A vehicle that finds its EVSE in use drives on."""
    shortest_s: Seconds = 60.0
    longest_s: Seconds = 300.0
    """How long energy flows; each length between the two is equally likely."""
    evse_share: Share = 1.0
    """The share of the EVSEs that vehicles come to; the others stay free."""
    id_tokens: Annotated[list[Uid], Meta(min_length=1)] = field(default_factory=lambda: ["04A1B2C3D4E580"])


class Outage(Struct, frozen=True, forbid_unknown_fields=True):
    """The network fails: connections break and none can be made, until it is back; then all stations come again."""

    at_s: Seconds
    """Since the first station was started."""
    length_s: Wait
    share: Share = 1.0
    """Of the stations."""


class Rollout(Struct, frozen=True, forbid_unknown_fields=True):
    """The bench CSMS sends UpdateFirmware, station by station."""

    at_s: Seconds
    per_s: Annotated[float, Meta(gt=0, le=1000)] = 5.0
    share: Share = 1.0


class Scenario(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole file."""

    description: str = ""
    stations: Stations = Stations()
    sessions: Sessions = field(default_factory=Sessions)
    variable: list[FactoryVariable] = field(default_factory=list)
    """Values of the device model, as in a station's factory file."""
    outage: list[Outage] = field(default_factory=list)
    rollout: list[Rollout] = field(default_factory=list)

    def identity(self, number: int) -> str:
        return self.stations.identity.format(number=number)


def names() -> list[str]:
    """The scenarios that are installed."""
    return sorted(file.stem for file in _HERE.glob("*.toml"))


def load(name_or_path: str) -> tuple[Scenario, Product]:
    """The scenario of a name, or in a file (anything with a `/` or `.toml`), and its product. Raises `ConfigError`."""
    is_file = "/" in name_or_path or name_or_path.endswith(".toml")
    path = Path(name_or_path) if is_file else _HERE / f"{name_or_path}.toml"
    if not is_file and not path.is_file():
        raise ConfigError(f"no scenario {name_or_path!r}: expected a file or one of {', '.join(names())}")
    scenario = config.load(path, Scenario)
    _check(scenario, path)
    return scenario, _product(scenario, path)


def _check(scenario: Scenario, path: Path) -> None:
    sessions = scenario.sessions
    if sessions.shortest_s > sessions.longest_s:
        raise ConfigError(f"{path}: sessions.longest_s: expected at least shortest_s, {sessions.shortest_s:g}")
    expected = 'a text with {number}, such as "FLEET-{number:05}", of A-Z a-z 0-9 * - _ = + | @ . and at most 48'
    try:
        first, last = scenario.identity(1), scenario.identity(_MOST_STATIONS)
    except (LookupError, ValueError, AttributeError) as error:
        raise ConfigError(f"{path}: stations.identity: expected {expected}") from error
    if first == last or not (_IDENTITY.fullmatch(first) and _IDENTITY.fullmatch(last)):
        raise ConfigError(f"{path}: stations.identity: expected {expected}")
    times = sorted(scenario.outage, key=lambda outage: outage.at_s)
    for before, after in pairwise(times):
        if after.at_s < before.at_s + before.length_s:
            raise ConfigError(f"{path}: outage: the one at {after.at_s:g} s begins before the one before it has ended")


def _product(scenario: Scenario, path: Path) -> Product:
    """Also checks the variables against it, as a station does at its first start."""
    from services.ocpp.device_model.build import apply_factory, build

    try:
        found = product.load(scenario.stations.product)
    except ConfigError as error:
        raise ConfigError(f"{path}: stations.product: {error}") from error
    variables = {each.address.folded(): each for each in build(found)}
    apply_factory(variables, scenario.variable, str(path))
    return found


def product_of(scenario: Scenario) -> Product:
    """The product of a scenario that was checked."""
    return product.load(scenario.stations.product)


def takes_part(number: int, share: float) -> bool:
    """Whether station `number` is among this share of them, evenly spread over all numbers."""
    return (number * _GOLDEN) % 1.0 < share
