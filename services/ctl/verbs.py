# SPDX-License-Identifier: Apache-2.0
"""The verbs that ask the OCPP service's administration socket, or the HAL for maintenance, and their exit statuses."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from firmware.contract import GetSiteLimit, ListDevices, Network, PowerOff, SelfTest, SetSiteLimit, StartTest
from firmware.contract import administration as contract
from firmware.errors import ConfigError
from services.ctl import listings
from services.ctl.network import add_network_verbs, command_of, listing
from services.ctl.processes import Process, Session, administer, maintain, self_test

__all__ = ["Doors", "add_verbs"]

_LONG_S = 120.0
"""A connection test waits for a CSMS, a bundle for the disk."""
_TEST_S = 30.0
"""Longer than each test of the HAL."""
_MEMBERS = "add the user to the groups baywatt and baywatt-admin"
_ADDRESS = re.compile(
    r"(?P<component>[^.\[\]@]+)(\[(?P<component_instance>[^\]]+)\])?(@(?P<evse>\d{1,3})(\.(?P<connector>\d{1,3}))?)?"
    r"\.(?P<variable>[^.\[\]@]+)(\[(?P<instance>[^\]]+)\])?"
)
_T = TypeVar("_T")
_Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


class Doors(Struct, frozen=True):
    """The two sockets."""

    hal: Path
    administration: Path

    def ask(self, work: Callable[[Session], Awaitable[_T]], *, answer_s: float = 10.0) -> _T:
        process = Process("baywatt-ocpp", self.administration, _MEMBERS)
        return asyncio.run(administer(process, work, answer_s=answer_s))


def add_verbs(verbs: _Verbs) -> None:
    """`run` of the options is then the function to call."""
    _add_hardware_verbs(verbs)
    _add_service_verbs(verbs)
    for name in ("factory-reset", "shutdown"):
        verbs.choices[name].add_argument("--yes", action="store_true", help="do not ask")


def _add_hardware_verbs(verbs: _Verbs) -> None:
    verbs.add_parser("devices", help="the hardware, with its faults and last trouble").set_defaults(run=_devices)
    tests = verbs.add_parser("self-test", help="try a device without a vehicle")
    tests.add_argument("test", choices=[test.value for test in SelfTest])
    tests.add_argument("--evse", type=int, help="whose device; not for the card reader")
    tests.set_defaults(run=_self_test)
    limit = verbs.add_parser("site-limit", help="what the station may deliver in all, from the HAL's next start on")
    limit.add_argument(
        "kw", nargs="?", type=_kw, metavar="KW", help="a new limit in kW, or none; otherwise it is shown"
    )
    limit.set_defaults(run=_site_limit)
    network = verbs.add_parser("network", help="addresses of Ethernet, access point of a modem; WHAT tries new ones")
    add_network_verbs(network)
    network.set_defaults(run=_network)
    shutdown = verbs.add_parser("shutdown", help="end every session, open the contactors, switch the board off")
    shutdown.set_defaults(run=_shutdown)


def _add_service_verbs(verbs: _Verbs) -> None:
    get = verbs.add_parser("get", help="variables: all, of a component, or one")
    get.add_argument("name", nargs="?", default="", metavar="COMPONENT[.VARIABLE]")
    get.set_defaults(run=_get)
    put = verbs.add_parser("set", help="set a variable, with the checks that hold for the CSMS")
    put.add_argument("name", metavar="COMPONENT.VARIABLE", help="as `get` shows it, such as EVSE@1.Name[instance]")
    put.add_argument("value", metavar="VALUE", help="- reads it from standard input, as a password should be")
    put.set_defaults(run=_set)
    certificates = verbs.add_parser("certificates", help="the certificates that are installed")
    certificates.add_argument("what", choices=("list",))
    certificates.set_defaults(run=_certificates)
    test = verbs.add_parser("test-connection", help="try to reach the CSMS, step by step")
    test.add_argument("--slot", type=int, help="the configuration slot; otherwise the first by priority")
    test.add_argument("--disturb", action="store_true", help="also where it may end the present connection")
    test.set_defaults(run=_test_connection)
    logs = verbs.add_parser("logs", help="pack logs and state of the station into a file")
    logs.add_argument("file", type=Path, nargs="?", metavar="FILE", help="otherwise a name of its own, here")
    logs.set_defaults(run=_logs)
    restart = verbs.add_parser(
        "restart", help="restart the OCPP service, or the board once its transactions have ended"
    )
    restart.add_argument("what", choices=("service", "station"))
    restart.add_argument("--on-idle", action="store_true", help="wait for the transactions to end by themselves")
    restart.set_defaults(run=_restart)
    reset = verbs.add_parser("factory-reset", help="forget settings, certificates, keys and queued messages")
    reset.add_argument("--force", action="store_true", help="also while a transaction runs, which is lost")
    reset.set_defaults(run=_factory_reset)


def _print(result: object, text: str, *, as_json: bool) -> None:
    print(json.dumps(msgspec.to_builtins(result), indent=2, ensure_ascii=False) if as_json else text)
    sys.stdout.flush()


def _agreed(options: argparse.Namespace, question: str) -> bool:
    """Whether the person has said yes; without a terminal only `--yes` is one."""
    if options.yes:
        return True
    if not sys.stdin.isatty():
        print("baywattctl: not done: nobody can be asked here; --yes does it", file=sys.stderr)
        return False
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


# --- HAL ---------------------------------------------------------------------------------------------------------


def _devices(options: argparse.Namespace, doors: Doors) -> int:
    done = asyncio.run(maintain(Process("baywatt-hal", doors.hal, _MEMBERS), ListDevices()))
    found = done.devices or []
    _print(found, listings.devices(found), as_json=options.json)
    return 0 if all(each.answers for each in found) else 1


def _self_test(options: argparse.Namespace, doors: Doors) -> int:
    test = SelfTest(options.test)
    if test in _FOR_A_PERSON:
        print(_FOR_A_PERSON[test], file=sys.stderr)
    command = StartTest(test, options.evse if test is not SelfTest.CARD_READER else None)
    outcome = asyncio.run(self_test(Process("baywatt-hal", doors.hal, _MEMBERS), command, _TEST_S))
    text = f"{test.value} {'passed' if outcome.passed else 'FAILED'}: {outcome.detail}"
    _print(outcome, text, as_json=options.json)
    return 0 if outcome.passed else 1


_FOR_A_PERSON = {SelfTest.CARD_READER: "present a card", SelfTest.SCREEN: "touch the display"}


def _kw(text: str) -> float:
    """NaN: no limit of an installer."""
    limit = math.nan if text == "none" else float(text)
    if math.isinf(limit) or (math.isnan(limit) and text != "none"):
        raise ValueError(text)
    return limit


def _site_limit(options: argparse.Namespace, doors: Doors) -> int:
    command: GetSiteLimit | SetSiteLimit = GetSiteLimit()
    if options.kw is not None:
        command = SetSiteLimit(None if math.isnan(options.kw) else options.kw * 1000.0)
    limit = asyncio.run(maintain(Process("baywatt-hal", doors.hal, _MEMBERS), command)).site_limit
    rows = [] if limit is None else [("in force", limit.in_force_w), ("settings", limit.settings_w)]
    rows += [] if limit is None else [("installer", limit.next_w)]
    text = "\n".join(f"{name:<10}{'none' if watts is None else f'{watts / 1000:g} kW'}" for name, watts in rows)
    _print(limit, text, as_json=options.json)
    return 0


def _network(options: argparse.Namespace, doors: Doors) -> int:
    command = command_of(options)
    done = asyncio.run(maintain(Process("baywatt-hal", doors.hal, _MEMBERS), command, answer_s=_LONG_S))
    network = Network([]) if done.network is None else done.network
    _print(network, listing(network), as_json=options.json)
    return 0


def _shutdown(options: argparse.Namespace, doors: Doors) -> int:
    if not _agreed(options, "Switch this station off? It comes back with its supply only."):
        return 1
    asyncio.run(maintain(Process("baywatt-hal", doors.hal, _MEMBERS), PowerOff()))
    _print({"shutdown": "begun"}, "the station switches itself off", as_json=options.json)
    return 0


# --- variables ---------------------------------------------------------------------------------------------------


async def _all_variables(session: Session) -> list[contract.VariableInfo]:
    found: list[contract.VariableInfo] = []
    start: int | None = 0
    while start is not None:
        page = await session.ask(contract.GetVariables(start), contract.Variables)
        found += page.variables
        start = page.next
    return found


def _get(options: argparse.Namespace, doors: Doors) -> int:
    wanted = options.name.lower()
    found = [
        each
        for each in doors.ask(_all_variables)
        if not wanted or wanted in (listings.address(each).lower(), each.component.lower())
    ]
    if not found:
        print(f"baywattctl: no variable {options.name}: `baywattctl get` lists them", file=sys.stderr)
        return 1
    one = len(found) == 1 and bool(wanted)
    _print(found, listings.variable(found[0]) if one else listings.variables(found), as_json=options.json)
    return 0


def _set(options: argparse.Namespace, doors: Doors) -> int:
    named = _ADDRESS.fullmatch(options.name)
    if named is None:
        raise ConfigError(f"{options.name}: expected COMPONENT.VARIABLE, as `baywattctl get` shows it")
    parts: dict[str, Any] = {key: value or "" for key, value in named.groupdict().items()}
    parts["evse"], parts["connector"] = int(parts["evse"] or 0), int(parts["connector"] or 0)
    value = sys.stdin.readline().rstrip("\n") if options.value == "-" else options.value
    command = contract.SetVariables([contract.NewValue(value=value, **parts)])
    (result,) = doors.ask(lambda session: session.ask(command, contract.SetResults)).results
    accepted = result.status in ("Accepted", "RebootRequired")
    later = "; it counts from the next start" if result.status == "RebootRequired" else ""
    if options.json or accepted:
        _print(result, f"{options.name} is set{later}", as_json=options.json)
    if not accepted:
        print(f"baywattctl: {options.name} not set: {result.detail or result.status}", file=sys.stderr)
    return 0 if accepted else 1


# --- the rest ----------------------------------------------------------------------------------------------------


def _certificates(options: argparse.Namespace, doors: Doors) -> int:
    listed = doors.ask(lambda session: session.ask(contract.ListCertificates(), contract.Certificates))
    _print(listed.certificates, listings.certificates(listed.certificates), as_json=options.json)
    return 0


def _test_connection(options: argparse.Namespace, doors: Doors) -> int:
    async def work(session: Session) -> contract.ConnectionTest:
        slot = options.slot
        if slot is None:
            profiles = await session.ask(contract.ListProfiles(), contract.Profiles)
            slot = profiles.connected or next(iter(profiles.priority), 1)
        command = contract.TestConnection(slot=slot, disturb=options.disturb)
        return await session.ask(command, contract.ConnectionTest)

    test = doors.ask(work, answer_s=_LONG_S)
    _print(test, listings.connection_test(test), as_json=options.json)
    return 1 if any(step.outcome is contract.Outcome.FAILED for step in test.steps) else 0


def _logs(options: argparse.Namespace, doors: Doors) -> int:
    path, size = doors.ask(lambda session: _download(session, options.file), answer_s=_LONG_S)
    _print({"file": str(path), "bytes": size}, f"{path}, {size} bytes", as_json=options.json)
    return 0


async def _download(session: Session, path: Path | None) -> tuple[Path, int]:
    """To a new file that only we can read; raises `ConfigError` if it can't be written."""
    bundle = await session.ask(contract.MakeBundle(), contract.Bundle)
    target = path or Path(Path(bundle.name).name)
    try:
        file = os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")
    except OSError as error:
        raise ConfigError(f"{target}: {error.strerror}") from error
    try:
        with file:
            size, last = 0, False
            while not last:
                chunk = await session.ask(contract.ReadBundle(size), contract.Chunk)
                file.write(chunk.data)
                size, last = size + len(chunk.data), chunk.last
    except BaseException as error:
        target.unlink(missing_ok=True)  # never half an archive
        if isinstance(error, OSError):
            raise ConfigError(f"{target}: {error.strerror}") from error
        raise
    return target, size


def _restart(options: argparse.Namespace, doors: Doors) -> int:
    doors.ask(lambda session: session.order(contract.Restart(options.what, on_idle=options.on_idle)))
    _print({"restart": options.what}, f"the {options.what} restarts", as_json=options.json)
    return 0


def _factory_reset(options: argparse.Namespace, doors: Doors) -> int:
    question = "Forget all settings, certificates, keys and queued messages of this station?"
    if not _agreed(options, question):
        return 1
    doors.ask(lambda session: session.order(contract.FactoryReset(force=options.force)))
    _print({"factory_reset": "ordered"}, "the service restarts from its factory settings", as_json=options.json)
    return 0
