# SPDX-License-Identifier: Apache-2.0
"""What the API shows of a station: in a line, or whole; and of a message that is too long for the page."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct, field

from tools.csms.metering import Point
from tools.csms.settings import Registration
from tools.csms.store import MessageRow
from tools.csms.tls import TlsSession

__all__ = ["ConnectorRecord", "FaultRecord", "StationLine", "StationRecord", "shortened"]


class ConnectorRecord(Struct):
    """What a station has reported about one connector."""

    evse: int
    connector: int
    status: str
    since: str
    meter: Point | None = None


class FaultRecord(Struct, frozen=True):
    """A fault that a station has reported and not cleared; `evse` None: of the whole station."""

    evse: int | None
    component: str
    code: str | None
    """`techCode`, such as a ChargeX code."""
    detail: str | None
    """`techInfo`."""
    since: str


class StationLine(Struct, frozen=True):
    """A station in the list of all."""

    id: str
    connected: bool
    registration: Registration | None
    statuses: list[str]
    """Of its connectors, each once."""
    faults: int
    charging: int


class StationRecord(Struct):
    """What is known of a station; also the JSON of the API and of the database."""

    id: str
    connected: bool = False
    connected_since: str | None = None
    disconnected_since: str | None = None
    last_seen: str | None = None
    remote: str | None = None
    security_profile: int | None = None
    tls: TlsSession | None = None
    registration: Registration | None = None
    boots: int = 0
    boot: dict[str, Any] = field(default_factory=dict)
    boot_reason: str | None = None
    firmware_status: str | None = None
    log_status: str | None = None
    connections: int = 0
    replaced: int = 0
    received: int = 0
    malformed: int = 0
    connectors: list[ConnectorRecord] = field(default_factory=list)
    faults: list[FaultRecord] = field(default_factory=list)

    @property
    def serial_number(self) -> str | None:
        """From the last BootNotification."""
        return self.boot.get("serialNumber")


class ShortRow(MessageRow, frozen=True):
    """A line of the log with an incomplete text."""

    cut: bool = True


def shortened(row: MessageRow, max_text: int) -> MessageRow:
    """The row with at most `max_text` characters of text."""
    if len(row.text) <= max_text:
        return row
    return ShortRow(**msgspec.structs.asdict(row) | {"text": row.text[:max_text]})
