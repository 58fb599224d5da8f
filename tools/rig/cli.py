# SPDX-License-Identifier: Apache-2.0
"""`baywatt rig`: `up` starts a simulated station; the other verbs control one that is running.

`up` starts the station's processes before it imports what it needs itself: a cold start may take two seconds, and the
processes load their modules in parallel.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from firmware.errors import ConfigError

__all__ = ["main", "parser", "usual_control"]

CONTROL_VARIABLE = "BAYWATT_CONTROL"
LATE = ("commissioning",)
"""Started when the others have reported."""
USUAL_CONTROL = Path(".run/rig/control.sock")
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_ROOT = Path(__file__).resolve().parents[2]


def main(argv: Sequence[str] | None = None, *, commands: Mapping[str, Sequence[str]] | None = None) -> int:
    """Returns the exit status: 0, 1 if the rig refused, 2 for a bad argument or a bad file.

    `commands` are the processes to run instead of the station's own, by name (`hal`, `ocpp`).
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        args = _parse(arguments)
        if args.verb == "up":
            run = {name: command for name, command in (commands or _commands()).items() if name not in args.without}
            with _noted_signals() as stop_asked:
                return _up(args, run, stop_asked)
    except _BadArgument as error:
        print(error, file=sys.stderr)
        return 2
    except ConfigError as error:
        print(f"baywatt rig up: {error}", file=sys.stderr)
        return 2
    from tools.rig import verbs

    return verbs.run(args, usual_control(args.control))


class _BadArgument(Exception):
    pass


class _Parser(argparse.ArgumentParser):
    """Reports an error in one line, without the usage."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise _BadArgument(f"{self.prog}: {message}")


def _parse(arguments: list[str]) -> argparse.Namespace:
    return parser(only_up=arguments[:1] == ["up"]).parse_args(arguments)


def parser(*, only_up: bool = False) -> argparse.ArgumentParser:
    """The command line; `up` alone does without the imports of the other verbs."""
    top = _Parser(prog="baywatt rig", description="A simulated station, its EV drivers, cars and surroundings.")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=_Parser)
    up = verbs.add_parser("up", help="start a station")
    up.add_argument(
        "--state", type=_path, required=True, metavar="DIR", help="the station's files: databases, keys, logs"
    )
    up.add_argument("--station", type=_path, metavar="FILE", help="factory settings, used if DIR is empty")
    up.add_argument("--control", type=_path, metavar="PATH", help="control socket, default DIR/control.sock")
    up.add_argument("--direct", action="store_true", help="no simulated network: the station dials the CSMS itself")
    up.add_argument("--off", action="store_true", help="do not switch the station on")
    up.add_argument("--without", action="append", choices=LATE, default=[], help="do not run this process: saves time")
    up.add_argument("--log-level", type=str.upper, choices=LEVELS, default="INFO", metavar="LEVEL")
    if not only_up:
        control = _Parser(add_help=False)
        control.add_argument("--control", type=Path, metavar="PATH", help=f"default: ${CONTROL_VARIABLE}")
        from tools.rig.verbs import add_verbs

        add_verbs(verbs, control)
    return top


def _path(text: str) -> Path:
    """A path from the command line: an empty one is an unset shell variable, not the working directory."""
    if not text:
        raise argparse.ArgumentTypeError("an empty path")
    return Path(text)


def usual_control(given: Path | None) -> Path:
    """The control socket that the command line, else the environment names, else that of `make run`."""
    if given is not None:
        return given
    return Path(os.environ.get(CONTROL_VARIABLE) or USUAL_CONTROL)


@contextmanager
def _noted_signals() -> Iterator[list[int]]:
    """Collect requests to stop until the event loop handles them: processes already started must be ended."""
    asked: list[int] = []
    before = {number: signal.signal(number, lambda number, _: asked.append(number)) for number in STOP_SIGNALS}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _up(args: argparse.Namespace, commands: Mapping[str, Sequence[str]], stop_asked: Collection[int]) -> int:
    from firmware.update.slot_directory import SlotDirectory
    from tools.rig.sockets import listen_unix
    from tools.rig.station_dir import DIAL_SOCKET, SLOTS, WORLD_SOCKET, StationDir
    from tools.rig.supervisor import Supervisor

    directory = args.state.absolute()
    control_path = (args.control or directory / "control.sock").absolute()
    factory = None if args.station is None else args.station.absolute()
    station = StationDir.open(directory, factory, args.log_level)
    os.chdir(directory)
    try:
        control, world, dial = listen_unix(control_path), listen_unix(WORLD_SOCKET), listen_unix(DIAL_SOCKET)
    except ConfigError:
        if station.fresh:
            station.forget_settings()
        raise
    supervisor = Supervisor(commands, directory, _environment(direct=args.direct), late=LATE)
    if not args.off and not station.settings.rig.wire:
        station.clear_sockets()
        supervisor.run_from(SlotDirectory(SLOTS).select())
        supervisor.spawn()
    from tools.rig.daemon import Listening, run

    listening = Listening(world, dial, control, control_path)
    return run(station, supervisor, listening, stop_asked, powered=not args.off, log_level=args.log_level)


def _commands() -> dict[str, list[str]]:
    """The processes as they run in the field; `-P`: the state directory is not in the import path."""
    return {
        "hal": [sys.executable, "-P", "-m", "hal", "--config", "etc/hal.toml"],
        "ocpp": [sys.executable, "-P", "-m", "services.ocpp", "--config", "etc/ocpp.toml"],
        "commissioning": [sys.executable, "-P", "-m", "services.commissioning", "--config", "etc/commissioning.toml"],
    }


def _environment(*, direct: bool) -> dict[str, str]:
    """This process's, with the packages in the import path, and the rig's network in place of the real one.

    With `direct` the real one stays, as benchmarks want it: operations of the network then change nothing.
    """
    from tools.rig.station_dir import PROCESS_ENVIRONMENT

    path = os.pathsep.join(each for each in (str(_ROOT), os.environ.get("PYTHONPATH", "")) if each)
    network = {} if direct else {"BAYWATT_DIAL_VIA": "run/network.sock"}
    return {**os.environ, **PROCESS_ENVIRONMENT, "PYTHONPATH": path, **network}


if __name__ == "__main__":
    sys.exit(main())
