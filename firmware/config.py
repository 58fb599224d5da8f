# SPDX-License-Identifier: Apache-2.0
"""Typed settings from TOML: an unknown key, a wrong type or a value out of bounds is an error that says where.

Three kinds of file: factory settings (`FactorySettings`, what a new station leaves the factory with), and one file of
paths for each process (`ServiceConfig` here, `HalConfig` in `hal/config.py`).
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct, field

from firmware.errors import ConfigError

__all__ = [
    "CertificateFiles",
    "CommissioningSettings",
    "FactorySettings",
    "FactoryVariable",
    "NetworkProfile",
    "RigSettings",
    "ServiceConfig",
    "SlotsSettings",
    "convert",
    "load",
    "read_toml",
]

_T = TypeVar("_T")

Identity = Annotated[str, Meta(pattern=r"^[A-Za-z0-9*\-_=+|@.]{1,48}$")]
"""Charging station identity: part 4, section 3.1.1 allows these characters and at most 48 of them."""


class NetworkProfile(Struct, frozen=True, forbid_unknown_fields=True):
    """One configuration slot of network connection data (B09)."""

    slot: Annotated[int, Meta(ge=1, le=99)]
    url: Annotated[str, Meta(pattern=r"^wss?://(?!/)[!\"$->@-~]+\Z", max_length=512)]
    """Visible ASCII without query and fragment; other characters are percent-encoded, other names are in Punycode."""
    security_profile: Annotated[int, Meta(ge=0, le=3)] = 1
    interface: Literal["Wired0", "Wired1", "Wired2", "Wired3", "Wireless0", "Wireless1", "Wireless2", "Wireless3"] = (
        "Wired0"
    )
    message_timeout_s: Annotated[int, Meta(ge=1, le=3600)] = 30


class CertificateFiles(Struct, frozen=True, forbid_unknown_fields=True):
    """PEM files, read once at first start."""

    csms_root: list[str] = field(default_factory=list)
    manufacturer_root: list[str] = field(default_factory=list)
    station_chain: str | None = None
    station_key: str | None = None


class FactoryVariable(Struct, frozen=True, forbid_unknown_fields=True):
    """A device-model value that this station leaves the factory with."""

    component: str
    variable: str
    value: str
    instance: str = ""
    component_instance: str = ""
    evse: int | None = None
    connector: int | None = None
    mutability: Literal["ReadOnly", "WriteOnly", "ReadWrite"] | None = None


class CommissioningSettings(Struct, frozen=True, forbid_unknown_fields=True):
    port: Annotated[int, Meta(ge=0, le=65535)] = 8080


class RigSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How the simulated world behaves; a real station ignores it."""

    speed: Annotated[float, Meta(gt=0, le=3600)] = 1.0
    wire: bool = False


class FactorySettings(Struct, frozen=True, forbid_unknown_fields=True):
    """What a new station leaves the factory with; read at the first start, then kept in the device model."""

    identity: Identity
    product: str = "c7am-400-cc"
    basic_auth_password: str | None = None
    network_profile: list[NetworkProfile] = field(default_factory=list)
    certificates: CertificateFiles = field(default_factory=CertificateFiles)
    variable: list[FactoryVariable] = field(default_factory=list)
    commissioning: CommissioningSettings = field(default_factory=CommissioningSettings)
    rig: RigSettings = field(default_factory=RigSettings)


class SlotsSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The board's slots (`firmware.update`); `path` is the directory of the kinds that have one."""

    driver: Literal["rauc", "directory", "simulated"]
    path: str = "/var/lib/baywatt-slots"


class ServiceConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the OCPP service finds things; relative paths are relative to the working directory."""

    factory: str = "/etc/baywatt/station.toml"
    database: str = "/var/lib/baywatt-ocpp/station.db"
    certificates: str = "/var/lib/baywatt-ocpp/certificates"
    hal_socket: str = "/run/baywatt/hal.sock"
    status_socket: str = "/run/baywatt-ocpp/status.sock"
    slots: SlotsSettings | None = None
    """Where updates go; without it the station can't be updated over OCPP."""
    images: str = "/var/lib/baywatt-ocpp/firmware"
    """The folder of an image between its download and its installation."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_file: str | None = None


def read_toml(path: Path) -> dict[str, Any]:
    """The file's tables; raises `ConfigError` when it can't be read or is no TOML."""
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: {error}") from error


def convert(data: object, kind: type[_T], where: object) -> _T:
    """`data` as a `kind`; raises `ConfigError` that names the place (`where`: usually the path)."""
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}") from error


def load(path: Path, kind: type[_T]) -> _T:
    """The settings in `path`; raises `ConfigError`."""
    return convert(read_toml(path), kind, path)
