# SPDX-License-Identifier: Apache-2.0
"""Counts what Prometheus reads, and writes it in its text format (version 0.0.4); without I/O.

Labels have few values: EVSE, fault, interface, state. No card number, no transaction.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING

from firmware.contract import Fault

if TYPE_CHECKING:
    from typing import TypeAlias

    from firmware.contract.status import ServiceStatus
    from services.ocpp.hal_view import Evse, HalView

__all__ = ["Figures", "PortState"]

Sample: TypeAlias = "tuple[dict[str, str], float]"


class PortState(str, Enum):
    """What a moment of an EVSE counts as in its uptime (23 CFR 680.116)."""

    UP = "up"
    """It can be used, or is in use."""
    DOWN = "down"
    EXCLUDED = "excluded"
    """Not available for a reason that does not count: the operator has closed it, or there are no mains."""


def port_state(hal: HalView, evse: Evse) -> PortState:
    if not evse.operative or Fault.POWER_LOSS in hal.faults_of(evse):
        return PortState.EXCLUDED
    return PortState.DOWN if hal.is_faulted(evse) else PortState.UP


class Figures:
    """Counters since the start of the process; `now` is monotonic, in seconds."""

    def __init__(self) -> None:
        self._state: dict[int, PortState] = {}
        self._since = 0.0
        self._seconds: defaultdict[tuple[int, PortState], float] = defaultdict(float)
        self._sessions: Counter[int] = Counter()
        self._faults: Counter[tuple[Fault, str]] = Counter()
        self._active: frozenset[tuple[Fault, str]] = frozenset()

    def observe(self, hal: HalView, now: float) -> None:
        """After each event: the time since the last one was spent in the states before it."""
        for evse, state in self._state.items():
            self._seconds[evse, state] += max(0.0, now - self._since)
        self._since = now
        self._state = {evse.evse: port_state(hal, evse) for evse in hal.evses.values()}
        active = {(fault, "station") for fault in hal.station_faults}
        active |= {(fault, str(evse.evse)) for evse in hal.evses.values() for fault in evse.faults}
        self._faults.update(active - self._active)
        self._active = frozenset(active)

    def session_began(self, evse: int) -> None:
        self._sessions[evse] += 1

    def text(self, status: ServiceStatus, hal: HalView, now: float) -> str:
        self.observe(hal, now)
        contact = status.last_contact_mono_s
        evses = [evse.evse for evse in status.evses]
        running = {evse.evse: float(evse.transaction_id is not None) for evse in status.evses}
        registered = status.connected and status.registration == "Accepted"
        return "".join(
            [
                _metric("info", "gauge", "Always 1.", [({"version": status.firmware_version}, 1)]),
                _metric(
                    "evse_seconds_total",
                    "counter",
                    "Time that each EVSE was up, down, or out of service for a reason that does not count.",
                    [(_evse(n, state=state.value), self._seconds[n, state]) for n in evses for state in PortState],
                ),
                _metric("sessions_total", "counter", "Sessions begun.", [(_evse(n), self._sessions[n]) for n in evses]),
                _metric("session_running", "gauge", "1 during a session.", [(_evse(n), running[n]) for n in evses]),
                _metric("faults_total", "counter", "Faults raised.", _by_fault(self._faults)),
                _metric("fault_active", "gauge", "1 while it lasts.", _by_fault(self._active_or_over())),
                _metric("queued_messages", "gauge", "Messages for the CSMS.", [({}, status.queued_messages)]),
                _metric("csms_connected", "gauge", "1 while there is a connection.", [({}, status.connected)]),
                _metric("csms_accepted", "gauge", "1 while connected and accepted.", [({}, registered)]),
                _metric(
                    "csms_last_contact_age_seconds",
                    "gauge",
                    "Since the last message of the CSMS; absent before the first.",
                    [] if contact is None else [({}, max(0.0, now - contact))],
                ),
                _metric("hal_present", "gauge", "1 while the HAL answers.", [({}, hal.present)]),
                _metric(
                    "link_up",
                    "gauge",
                    "1 while the network link is up.",
                    [({"interface": name}, up) for name, up in sorted(hal.links.items())],
                ),
            ]
        )

    def _active_or_over(self) -> Counter[tuple[Fault, str]]:
        """Each fault that there was since the start."""
        return Counter({key: int(key in self._active) for key in self._faults})


def _evse(number: int, **labels: str) -> dict[str, str]:
    return {"evse": str(number), **labels}


def _by_fault(counts: Counter[tuple[Fault, str]]) -> list[Sample]:
    return [({"evse": evse, "fault": fault.value}, count) for (fault, evse), count in sorted(counts.items())]


def _metric(name: str, kind: str, explanation: str, samples: Iterable[Sample]) -> str:
    lines = [f"# HELP baywatt_{name} {explanation}", f"# TYPE baywatt_{name} {kind}"]
    lines += [f"baywatt_{name}{_labels(labels)} {float(value):.15g}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _labels(labels: dict[str, str]) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
