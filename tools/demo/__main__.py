# SPDX-License-Identifier: Apache-2.0
"""`make run`: a bench CSMS and a simulated station on this machine; plays one session, then leaves both to the user.

With security profile 3 the station begins with profile 2, like a station from the factory that has no certificate of
its operator yet; the bench then signs one for it and raises its profile.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firmware.errors import BaywattError
from tools import interrupt
from tools.arguments import Parser
from tools.csms.client import Client
from tools.csms.procedures import raise_security
from tools.demo.bench import Child, DemoFailed, start, start_rig
from tools.demo.session import CARD, Summary, accepted, play
from tools.rig.client import RigClient
from tools.running import is_free

_FACTORY = Path(__file__).with_name("station.toml")
_HOME = Path(".run")
_IDENTITY = "CP001"
_PORT = 9000
_METER_WH, _WIRE_METER_WH = 0.1, 1.0
"""Resolution of the simulated meter, and of that behind the real driver."""


def main(argv: list[str]) -> int:
    parser = Parser(prog="make run", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the session")
    parser.add_argument("--profile", default="1", help="OCPP security profile: 1, 2 or 3")
    parser.add_argument("--wire", action="store_true", help="the real drivers, against simulators of every device")
    arguments = parser.parse_args(argv)
    if arguments.profile not in ("1", "2", "3"):
        print(f"make run: PROFILE is the security profile: 1, 2 or 3, not {arguments.profile}", file=sys.stderr)
        return 2
    try:
        interrupt.run(_run(Wish(int(arguments.profile), once=arguments.once, wire=arguments.wire)))
    except BaywattError as error:
        print(f"\nsession failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped")
        return 130 if arguments.once else 0
    return 0


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asks for."""

    profile: int
    once: bool
    wire: bool


async def _run(wish: Wish) -> None:
    _HOME.mkdir(exist_ok=True)
    with (_HOME / "lock").open("w") as lock:
        home = _HOME
        if wish.once or not _is_ours(lock.fileno()):
            home = Path(tempfile.mkdtemp(prefix="run-", dir=_HOME))
        try:
            await _bench(home, wish)
        finally:
            if home is not _HOME:
                shutil.rmtree(home, ignore_errors=True)


def _is_ours(lock: int) -> bool:
    """Whether the usual folder is free: it is for one demonstration at a time, others get temporary folders."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


async def _bench(home: Path, wish: Wish) -> None:
    port = 0 if wish.once or not is_free("127.0.0.1", _PORT) else _PORT
    if port != _PORT and not wish.once:
        print(f"      port {_PORT} is in use, perhaps by another `make run`: this one takes a free port", flush=True)
    least = min(wish.profile, 2)
    options = [f"--port={port}", f"--security-profile={least}", "--tls-port=0"]
    folders = [f"--state={home / 'csms'}", f"--files={home / 'files'}"]
    print("[1/3] starting the bench CSMS", flush=True)
    async with start("the bench CSMS", "csms", "up", *options, *folders, log=home / "csms.log") as csms:
        print(f"      {csms.ready['url']}  (open it in a browser)", flush=True)
        drivers = "real drivers, a simulator of each device" if wish.wire else "simulated cabinet"
        print(f"[2/3] starting the station: HAL, OCPP service, {drivers}, simulated cars", flush=True)
        shutil.rmtree(home / "rig", ignore_errors=True)
        async with start_rig(home, factory_settings(csms.ready, least, wire=wish.wire)) as (rig_process, rig):
            if wish.once:
                print(f"\n{await _play_while_running(rig, csms, rig_process, wish)}", flush=True)
                return
            control = f"--control={rig_process.ready['control']}"
            async with start("the cockpit", "cockpit", control, log=home / "cockpit.log") as cockpit:
                print(f"      {cockpit.ready['url']}  (the cockpit: displays, cars, cards, faults)", flush=True)
                print(f"\n{await _play_while_running(rig, csms, rig_process, wish)}", flush=True)
                option = "" if home is _HOME else f" --control {home / 'rig' / 'control.sock'}"
                await _stay(csms.ready["url"], cockpit.ready["url"], option, await rig.state())


def factory_settings(ready: dict[str, Any], security_profile: int, *, wire: bool) -> str:
    paths = {name: str(Path(ready[name]).resolve()) for name in ("root", "manufacturer_root")}
    text = _FACTORY.read_text()
    for name, value in {"ocpp": ready["ocpp"], "security_profile": security_profile, "wire": wire, **paths}.items():
        text = text.replace(f"{{{name}}}", json.dumps(value))
    return text


async def _secured(rig: RigClient, csms: Client, profile: int) -> None:
    """Wait for the station and raise its security profile; print what the CSMS sees of the connection."""
    await accepted(rig)
    if profile == 3:
        print("      security profile 2; the bench signs a certificate and raises the station to 3:", flush=True)
        await asyncio.to_thread(raise_security, csms, _IDENTITY, 3, report=lambda step: print("       ", step))
        await accepted(rig)
    seen = await asyncio.to_thread(csms.get, f"/api/stations/{_IDENTITY}")
    print(f"      {_security(seen)}", flush=True)
    if seen["security_profile"] != profile:
        raise DemoFailed(f"the station has connected with security profile {seen['security_profile']}")


def _security(seen: dict[str, Any]) -> str:
    tls = seen["tls"]
    if tls is None:
        return f"security profile {seen['security_profile']}: Basic authentication, no TLS (PROFILE=2 and 3 have it)"
    certificate = tls["certificate"]
    by = "Basic authentication"
    if certificate is not None:
        by = f"certificate of {certificate['common_name']}, {certificate['organization']}"
    return f"security profile {seen['security_profile']}: {tls['version']}, {tls['cipher']}, {by}"


async def _play_while_running(rig: RigClient, csms: Child, rig_process: Child, wish: Wish) -> Summary:
    """Play the session; raises `DemoFailed` if one of the processes ends before."""
    session = asyncio.create_task(_play(rig, Client(csms.ready["url"]), wish))
    ends = {asyncio.create_task(child.process.wait()): child for child in (csms, rig_process)}
    try:
        done, _pending = await asyncio.wait({session, *ends}, return_when=asyncio.FIRST_COMPLETED)
        if session in done:
            return session.result()
        raise DemoFailed(f"{next(child.name for end, child in ends.items() if end in done)} ended")
    finally:
        for task in (session, *ends):
            task.cancel()
        await asyncio.gather(session, *ends, return_exceptions=True)


async def _play(rig: RigClient, csms: Client, wish: Wish) -> Summary:
    await _secured(rig, csms, wish.profile)
    print("[3/3] one session: select EVSE 2, card, plug in, charge (60 times faster), card, unplug", flush=True)
    return await play(rig, csms, _Line().show, _WIRE_METER_WH if wish.wire else _METER_WH)


class _Line:
    """A status line: on a terminal it is overwritten, elsewhere it is printed when the phase changes."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._last = ""

    def show(self, evse: dict[str, Any]) -> None:
        soc = evse["soc_percent"]
        bar = "" if soc is None else f"  [{'#' * int(soc / 5):<20}] {soc:3.0f} %"
        figures = f"{evse['power_kw']:6.1f} kW  {evse['energy_wh'] / 1000:7.2f} kWh"
        line = f"      EVSE {evse['evse']}  {evse['phase']:<12}{figures}{bar}"
        if self._live:
            print(f"\r{line:<{shutil.get_terminal_size().columns - 1}}", end="", flush=True)
        elif evse["phase"] != self._last:
            print(line, flush=True)
        self._last = evse["phase"]


async def _stay(url: str, cockpit: str, control: str, state: dict[str, Any]) -> None:
    displays = "    ".join(screen["url"] for screen in state["screens"] if screen["url"])
    password = state["label"]["commissioning_password"]
    baywatt = os.path.relpath(Path(sys.executable).with_name("baywatt"))
    url_option = "" if url == f"http://127.0.0.1:{_PORT}/" else f" --url {url}"
    print(
        f"""
The station keeps running. In another terminal, in this folder:
    {baywatt} rig plug 1{control}            plug a car in at EVSE 1 (unplug 1: take it away)
    {baywatt} rig card {CARD} --evse 1{control}
    {baywatt} rig state{control}             station, CSMS, EVSEs; `rig --help` lists the other verbs
    {baywatt} csms call CP001 GetVariables ...{url_option}     any request of OCPP 2.0.1
    {baywatt} csms firmware CP001{url_option}      build, sign, send and install this checkout as the next version
and in the browser
    {cockpit}    the cockpit: the whole cabinet, its cars, cards and faults
    {url}    the CSMS
    {state["commissioning"]}    the installer's page; user installer, password {password}
    {displays}    the displays
Ctrl-C ends it.""",
        flush=True,
    )
    await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
