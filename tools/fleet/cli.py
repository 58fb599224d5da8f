# SPDX-License-Identifier: Apache-2.0
"""`baywatt fleet`: many stations against a CSMS, to see what it carries.

    baywatt fleet --stations 500 --csms ws://127.0.0.1:9000/ocpp --scenario steady --minutes 10
    baywatt fleet --join 192.0.2.7                # on another machine: stations for the fleet of that one

Exit statuses: 0 every message was answered and every station ended well; 1 not so; 2 the command line, the scenario or
this machine; 3 the CSMS can't be reached; 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from firmware.errors import BaywattError, ConfigError
from firmware.factory_settings import NetworkProfile
from tools import interrupt
from tools.arguments import Parser, count, factor, whole
from tools.fleet import machine, scenario
from tools.running import is_free

if TYPE_CHECKING:
    from tools.fleet.verify import Bench

__all__ = ["main", "parser"]

_ROOT = Path(__file__).resolve().parents[2]
_PORT = 5557
_PAGE_PORT = 8089
_LONGEST_SPREAD_S = 120.0
_PASSWORD = "0123456789abcdef"


class Unreachable(BaywattError):
    """A station can't connect to the CSMS."""


def parser() -> Parser:
    found = Parser(prog="baywatt fleet", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    csms = "where stations connect; the identity is appended (default: ws://127.0.0.1:9000/ocpp)"
    found.add_argument("--csms", metavar="URL", default="ws://127.0.0.1:9000/ocpp", help=csms)
    found.add_argument("--stations", type=count, default=20, metavar="N", help="(default: 20)")
    found.add_argument("--minutes", type=factor, default=2.0, metavar="M", help="how long (default: 2)")
    what = f"{', '.join(scenario.names())}, or a file (default: steady)"
    found.add_argument("--scenario", default="steady", metavar="NAME", help=what)
    found.add_argument("--password", default=_PASSWORD, help="of every station (default: the bench CSMS takes any)")
    found.add_argument("--root", type=Path, metavar="FILE", help="the CSMS's root certificate, for security profile 2")
    bench = "the bench CSMS's page, if stations connect to another port (default: found by itself)"
    found.add_argument("--bench", metavar="URL", help=bench)
    processes = "processes with stations (default: one a core)"
    found.add_argument("--processes", type=count, default=os.cpu_count() or 1, metavar="N", help=processes)
    found.add_argument("--output", type=Path, default=Path("fleet-results"), metavar="DIR", help="for the results")
    state = "for the stations' files; removed at the end (default: in memory, if there is room)"
    found.add_argument("--state", type=Path, metavar="DIR", help=state)
    page = f"of Locust's page, on the loopback; 0: no page (default: {_PAGE_PORT})"
    found.add_argument("--page-port", type=whole, default=_PAGE_PORT, metavar="PORT", help=page)
    found.add_argument("--bind", metavar="HOST", help="let workers of other machines join, at this address")
    others = "how many worker processes of other machines to wait for (default: 0)"
    found.add_argument("--others", type=whole, default=0, metavar="N", help=others)
    found.add_argument(
        "--join", metavar="HOST", help="have stations here for the fleet that another machine coordinates"
    )
    port = f"for the workers of other machines (default: {_PORT})"
    found.add_argument("--port", type=whole, default=_PORT, metavar="PORT", help=port)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a fleet, or joins one; returns the exit status."""
    arguments = parser().parse_args(argv)
    try:
        return _join(arguments) if arguments.join else _run(arguments)
    except ConfigError as error:
        return _complain(error, 2)
    except Unreachable as error:
        return _complain(error, 3)
    except BaywattError as error:
        return _complain(error, 1)


def _complain(error: Exception, code: int) -> int:
    print(f"baywatt fleet: {error}", file=sys.stderr)
    return code


def _run(arguments: argparse.Namespace) -> int:
    from tools.fleet.orders import Job, Plan
    from tools.fleet.report import write_report
    from tools.fleet.run import Master, play
    from tools.fleet.verify import bench_of

    played, product = scenario.load(arguments.scenario)
    processes = min(arguments.processes, arguments.stations)
    workers = processes + max(0, arguments.others)
    if arguments.others and not arguments.bind:
        raise ConfigError("--others: expected --bind, the address at which they join")
    machine.allow_files(-(-arguments.stations // workers))
    bench = bench_of(arguments.csms, arguments.bench)
    root = _read_root(arguments.root, played, bench)
    _install()
    _try_connection(arguments.csms, arguments.password, root, played)
    master = Master(
        arguments.bind or "127.0.0.1",
        _port(arguments.bind, arguments.port, "--port") if arguments.bind else _free_port(),
        _port("127.0.0.1", arguments.page_port, "--page-port") if arguments.page_port else None,
    )
    output = _output(arguments.output)
    plan = Plan(
        msgspec.json.encode(played).decode(),
        arguments.csms,
        arguments.password,
        root=root,
        manufacturer_root=bench.manufacturer_root if bench is not None else None,
        evses=len(product.hardware.evse),
        spread_s=min(_LONGEST_SPREAD_S, arguments.stations / played.stations.start_per_s),
    )
    api = None if bench is None else bench.url
    job = Job(plan, arguments.stations, workers, 60.0 * arguments.minutes, str(output), api)
    _announce(arguments, master.page_port)
    state = machine.state_folder(arguments.state, arguments.stations)
    try:
        interrupted = interrupt.run(
            play(job, master, start_per_s=played.stations.start_per_s, processes=processes, state=state)
        )
    finally:
        shutil.rmtree(state, ignore_errors=True)
    sound = write_report(output, api)
    return 130 if interrupted else 0 if sound else 1


def _announce(arguments: argparse.Namespace, page_port: int | None) -> None:
    print(f"{arguments.stations} stations, scenario {arguments.scenario}, {arguments.minutes:g} min, {arguments.csms}")
    if page_port is not None:
        print(f"Locust's page: http://127.0.0.1:{page_port}/")
    if arguments.others:
        print(f"waiting for {arguments.others} workers: baywatt fleet --join {arguments.bind} --port {arguments.port}")
    sys.stdout.flush()


def _join(arguments: argparse.Namespace) -> int:
    from tools.fleet.run import work

    _install()
    machine.allow_files(arguments.stations // arguments.processes + 1)
    output = _output(arguments.output)
    state = machine.state_folder(arguments.state, arguments.stations)
    print(f"{arguments.processes} workers for the fleet of {arguments.join}; Ctrl-C ends them", flush=True)
    try:
        interrupt.run(work(arguments.join, arguments.port, arguments.processes, state=state, logs=output))
    finally:
        shutil.rmtree(state, ignore_errors=True)
    return 0


def _output(folder: Path) -> Path:
    """The folder for the results, without those of an earlier run."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in (*folder.glob("*.json"), *folder.glob("*.log*"), *folder.glob("*.err"), *folder.glob("*.html")):
            old.unlink()
    except OSError as error:
        raise ConfigError(f"--output {folder}: {error.strerror}") from error
    return folder.resolve()


def _port(host: str, port: int, option: str) -> int:
    if not 1 <= port <= 65535:
        raise ConfigError(f"{option} {port}: expected a port from 1 to 65535")
    if not is_free(host, port):
        raise ConfigError(f"{option} {port}: {host} does not offer it, or another program listens there")
    return port


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
    return port


def _read_root(path: Path | None, played: scenario.Scenario, bench: Bench | None) -> str | None:
    """The CSMS's root certificate: the given one, else the bench CSMS's."""
    if path is None and (bench is not None or played.stations.security_profile < 2):
        return None if bench is None else bench.root
    if path is None:
        raise ConfigError("--root: expected the CSMS's root certificate, because the scenario has security profile 2")
    try:
        text = path.read_text()
        ssl.create_default_context(cadata=text)
    except OSError as error:
        raise ConfigError(f"--root {path}: {error.strerror or 'no certificates in PEM'}") from error
    return text


def _install() -> None:
    """Locust and what it needs, at the first use."""
    if find_spec("locust") is not None:
        return
    setup = _ROOT / "tools" / "setup.sh"
    if not setup.is_file():
        raise ConfigError("Locust is not installed: `pip install 'baywatt[fleet]'`")
    print("the first use installs Locust ...", flush=True)
    if subprocess.run(["sh", str(setup), "fleet"], check=False).returncode:
        raise ConfigError("Locust could not be installed; the lines above say why")


def _try_connection(url: str, password: str, root: str | None, played: scenario.Scenario) -> None:
    """One connection as station 1 would make it: what is wrong for it is wrong for all. Raises `Unreachable`."""
    from services.ocpp.csms.diagnosis import DialError
    from services.ocpp.csms.dial import LinkSettings, dial
    from services.ocpp.no_connection import NoConnection

    try:
        profile = msgspec.convert(
            {"slot": 1, "url": url, "security_profile": played.stations.security_profile}, NetworkProfile
        )
    except msgspec.ValidationError:
        raise ConfigError("--csms: expected a ws:// or wss:// URL without user, query or fragment") from None
    settings = LinkSettings(
        identity=played.identity(1),
        profiles=(profile,),
        basic_auth_password=password,
        tls=lambda profile: ssl.create_default_context(cadata=root),
    )

    async def connect() -> None:
        wire = await dial(settings, profile)
        await wire.close(reason="")

    try:
        interrupt.run(connect())
    except DialError as error:
        reason = NoConnection.of(error.cause, profile, error.detail).text
        raise Unreachable(f"no connection to {url} as {settings.identity}: {reason}") from error
