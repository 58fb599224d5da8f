# SPDX-License-Identifier: Apache-2.0
"""A station that is not started for each case: waiting for its connection, and noticing that it no longer sends.

A station whose outgoing queue is stuck fails every case that follows, whatever the case is about. So after a failed
case the station is asked for a Heartbeat. If it accepts and sends none, it is reconnected, then restarted; if that does
not help, the cases that follow are failed as a consequence, without waiting for each of their messages.
"""

from __future__ import annotations

import ssl
import sys
from dataclasses import dataclass
from pathlib import Path

from tools.conformance.bench.bench import Bench
from tools.conformance.bench.control import ControlError
from tools.conformance.checks.expected import CaseFailed, CaseSkipped, Failure
from tools.csms.ca import BenchPki
from tools.csms.tls import server_context

__all__ = ["Access", "Attached", "note", "open_access", "prepare"]

_CONNECTS_WITHIN_S = 180.0
_SENDS_WITHIN_S = 10.0


@dataclass(frozen=True)
class Access:
    """Where and how the station connects; `tls` with security profiles 2 and 3."""

    host: str = "127.0.0.1"
    port: int = 0
    security_profile: int = 1
    tls: ssl.SSLContext | None = None


def open_access(host: str, port: int, security_profile: int, pki: Path, *, serial_number: str) -> Access:
    """The TLS that a security profile needs, with the keys in `pki`, which are made at its first use and stay.

    Notes which files the station needs. Raises `StorageError`.
    """
    if security_profile < 2:
        return Access(host, port, security_profile)
    keys = BenchPki(pki, host)
    note(f"the station needs {keys.csms_root} as CSMS root certificate")
    if security_profile == 3:
        chain, key = keys.issue(serial_number)
        note(f"its own certificate must chain to the same root: {chain} and {key} are one for serial number")
        note(f"{serial_number}; `baywatt csms up --security-profile 2` and `csms secure` sign one for a key of its own")
    required = security_profile == 3
    tls = server_context(keys.server, stations_root=keys.root_pem if required else None, required=required)
    return Access(host, port, security_profile, tls)


@dataclass
class Attached:
    """What is known of the station from the cases before."""

    never_connected: bool = False
    failed_in: str = ""
    """The last case, if it failed."""
    silent_since: str = ""
    """The case in which the station stopped sending."""


def note(text: str) -> None:
    """For the person who watches, on standard error: standard output has one line for each case."""
    print(f"     {text}", file=sys.stderr, flush=True)


async def prepare(bench: Bench, attached: Attached, access: Access) -> None:
    """Opens the endpoint and waits until the station is connected and sends.

    Raises `CaseFailed`, and `CaseSkipped` for a case that only a station of its own can be prepared for.
    """
    preconditions, identity = bench.preconditions, bench.fixtures.identity
    if (
        preconditions.security_profile != 1
        or preconditions.updates
        or preconditions.mutability
        or not preconditions.power
    ):
        raise CaseSkipped("needs factory settings of its own")
    if attached.never_connected:
        raise CaseFailed(Failure("0", "", "consequence: the station has not connected"))
    password = bench.fixtures.password if access.security_profile < 3 else None
    endpoint = await bench.csms.open_endpoint(
        "main", password=password, tls=access.tls, host=access.host, port=access.port
    )
    await bench.station.start(None, power=True)
    text = f"station {identity} connects to {endpoint.url}"
    try:
        await bench.until(lambda: bench.csms.endpoint, within=_CONNECTS_WITHIN_S, text=text)
    except CaseFailed:
        attached.never_connected = not bench.csms.connections and not attached.failed_in
        raise
    await bench.quiet(1.0)
    if attached.failed_in:
        await _make_it_send(bench, attached)
    if preconditions.variables:
        await bench.configure(preconditions.variables, if_implemented=True)
    bench.discard_messages()


async def _make_it_send(bench: Bench, attached: Attached) -> None:
    """Raises `CaseFailed` if the station sends nothing, whatever is tried."""
    if await _sends(bench):
        attached.silent_since = ""
        return
    if attached.silent_since:  # nothing helped before the case before this one
        raise _consequence(attached)
    attached.silent_since = attached.failed_in
    note(f"the station answers, but has not sent anything since {attached.failed_in}: reconnecting it")
    await bench.hang_up()
    await bench.connected(within=_CONNECTS_WITHIN_S)
    if await _sends(bench) or await _sends_after_a_restart(bench):
        note("the station sends again")
        attached.silent_since = ""
        return
    raise _consequence(attached)


async def _sends_after_a_restart(bench: Bench) -> bool:
    before = bench.csms.connections
    try:
        await bench.manual("power_cycle")
    except (CaseSkipped, ControlError):
        return False
    await bench.until(lambda: bench.csms.connections > before, within=_CONNECTS_WITHIN_S, text="the station connects")
    await bench.quiet(1.0)
    return await _sends(bench)


async def _sends(bench: Bench) -> bool:
    """Whether a Heartbeat comes that was asked for; a station that can't be asked is taken at its word."""
    mark = bench.mark()
    answer = await bench.csms.call("TriggerMessage", {"requestedMessage": "Heartbeat"}, _SENDS_WITHIN_S)
    if answer.get("status") != "Accepted":
        return True
    return await bench.optional("Heartbeat", since=mark, within=_SENDS_WITHIN_S) is not None


def _consequence(attached: Attached) -> CaseFailed:
    text = f"consequence: the station has not sent anything since {attached.silent_since}"
    return CaseFailed(Failure("0", "", text))
