# SPDX-License-Identifier: Apache-2.0
"""What the parts of a fleet say to each other: the job of the verb, and what a Locust worker and its child exchange.

Worker and child have a socket pair: JSON, one message a line.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec
from msgspec import Struct

from tools.fleet.ledger import Sample

__all__ = [
    "Close",
    "Final",
    "FromHost",
    "Job",
    "Network",
    "Order",
    "Plan",
    "Samples",
    "Start",
    "Status",
    "Stop",
    "Visit",
    "decode_order",
    "decode_report",
    "encode",
]


class Plan(Struct, frozen=True, tag="plan"):
    """What all stations have in common; the first order."""

    scenario: str
    """The scenario as JSON."""
    url: str
    password: str
    root: str | None = None
    """The CSMS's root certificate, PEM; for security profile 2, and for the bench CSMS's file server."""
    manufacturer_root: str | None = None
    """The bench CSMS's, which signs firmware."""
    evses: int = 1
    """Of a station."""
    spread_s: float = 0.0
    """Over which time the stations begin to end, as they were not started at one instant either."""
    drain_s: float = 90.0
    """How long a station may take to end its sessions and to send what it has: longer than EVConnectionTimeOut, with
    which a transaction ends whose driver has left before it began."""

    @property
    def end_s(self) -> float:
        """How long the end may take."""
        return self.spread_s + self.drain_s


class Job(Struct, frozen=True):
    """What the verb wants of the process that coordinates."""

    plan: Plan
    stations: int
    workers: int
    length_s: float
    folder: str
    """For the results."""
    bench: str | None = None
    """The address of the bench CSMS's API, which sends UpdateFirmware."""


# --- worker to child --------------------------------------------------------------------------------------------------


class Start(Struct, frozen=True, tag="start"):
    """Switch a station on."""

    number: int


class Visit(Struct, frozen=True, tag="visit"):
    """An EV driver comes to a station."""

    number: int


class Stop(Struct, frozen=True, tag="stop"):
    """Let the drivers finish and the messages be answered, then switch off; answered by `Final`."""

    number: int


class Network(Struct, frozen=True, tag="network"):
    """The network fails for this share of the stations; 0: it is back."""

    down: float


class Close(Struct, frozen=True, tag="close"):
    """End the process."""


Order: TypeAlias = Plan | Start | Visit | Stop | Network | Close

# --- child to worker --------------------------------------------------------------------------------------------------


class Samples(Struct, frozen=True, tag="samples"):
    """The calls that have ended since the last message."""

    calls: list[Sample]


class Status(Struct, frozen=True, tag="status"):
    """The state of this child now; counts since its start."""

    stations: int = 0
    online: int = 0
    charging: int = 0
    visits: dict[str, int] = {}
    """By outcome."""
    waiting: int = 0
    """Messages that are queued on the stations' disks."""
    memory_mb: float = 0.0
    cpu_percent: float = 0.0
    """Of a core, since the last message."""


class Final(Struct, frozen=True, tag="final"):
    """A station that is switched off."""

    number: int
    identity: str
    transactions: dict[str, int]
    """How many events of each are answered."""
    sent: int
    answered: int
    repeated: int
    gaps: int
    not_ended: int
    """Transactions whose Ended event is not answered."""
    left_over: int
    """Messages that were still queued."""
    firmware: str = ""
    """The version that it had."""
    failure: str | None = None

    @property
    def lost(self) -> int:
        return self.sent - self.answered + self.gaps

    @property
    def sound(self) -> bool:
        return not (self.lost or self.not_ended or self.left_over or self.failure)


FromHost: TypeAlias = Samples | Status | Final

decode_order = msgspec.json.Decoder(Order).decode
decode_report = msgspec.json.Decoder(FromHost).decode


def encode(message: Order | FromHost) -> bytes:
    return msgspec.json.encode(message) + b"\n"
