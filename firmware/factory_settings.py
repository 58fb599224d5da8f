# SPDX-License-Identifier: Apache-2.0
"""The factory file (`station.toml`), whole: what a new station leaves the factory with.

One class for each table. All but two are for the OCPP service, which reads them at the first start and then keeps
them in its device model; `[commissioning]` is for the commissioning page, `[rig]` for a simulated station's world. A
station checks the tables that it does not use, too: an unknown key or a value out of bounds is an error.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

__all__ = [
    "CertificateFiles",
    "CommissioningSettings",
    "FactorySettings",
    "FactoryVariable",
    "Interface",
    "NetworkProfile",
    "RigSettings",
]

Identity = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9*\-_=+|@.]{1,48}$", description="1 to 48 of A-Z a-z 0-9 * - _ = + | @ .")
]
"""Charging station identity: part 4, section 3.1.1 allows these characters, and at most 48 of them."""

Interface = Literal["Wired0", "Wired1", "Wired2", "Wired3", "Wireless0", "Wireless1", "Wireless2", "Wireless3"]
"""OCPPInterfaceEnumType. Which of them a station has is in its product file."""


class NetworkProfile(Struct, frozen=True, forbid_unknown_fields=True):
    """One configuration slot of network connection data (B09)."""

    slot: Annotated[int, Meta(ge=1, le=99)]
    url: Annotated[
        str,
        Meta(
            pattern=r"^wss?://(?!/)[!\"$->@-~]+\Z",
            max_length=512,
            description="a ws:// or wss:// URL without user, query or fragment, of at most 512 characters",
        ),
    ]
    """Visible ASCII without query and fragment: other characters percent-encoded, other host names in Punycode."""
    security_profile: Annotated[int, Meta(ge=0, le=3)] = 1
    interface: Interface = "Wired0"
    message_timeout_s: Annotated[int, Meta(ge=1, le=3600)] = 30


class CertificateFiles(Struct, frozen=True, forbid_unknown_fields=True):
    """PEM files, read once at first start."""

    csms_root: list[str] = field(default_factory=list)
    manufacturer_root: list[str] = field(default_factory=list)
    station_chain: str | None = None
    station_key: str | None = None


class FactoryVariable(Struct, frozen=True, forbid_unknown_fields=True):
    """A value of the device model."""

    component: str
    variable: str
    value: str
    instance: str = ""
    component_instance: str = ""
    evse: int | None = None
    connector: int | None = None
    mutability: Literal["ReadOnly", "WriteOnly", "ReadWrite"] | None = None


class CommissioningSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The page for installers."""

    port: Annotated[int, Meta(ge=0, le=65535)] | None = None
    """0: any free one; without it 8080, and in a rig any free one."""
    password: Annotated[str, Meta(min_length=8, max_length=64)] | None = None
    """What is printed on the cabinet's label, for the first log-in; without it the station makes one."""


class RigSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How the simulated world behaves. Only the rig uses it."""

    speed: Annotated[float, Meta(gt=0, le=3600)] = 1.0
    wire: bool = False
    displays: bool = False
    """The displays are web pages, too; where, is in the rig's `state`."""


class FactorySettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    identity: Identity
    product: str = "c7am-400-cc"
    basic_auth_password: str | None = None
    network_profile: list[NetworkProfile] = field(default_factory=list)
    certificates: CertificateFiles = field(default_factory=CertificateFiles)
    variable: list[FactoryVariable] = field(default_factory=list)
    commissioning: CommissioningSettings = field(default_factory=CommissioningSettings)
    rig: RigSettings = field(default_factory=RigSettings)
