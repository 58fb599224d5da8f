# SPDX-License-Identifier: Apache-2.0
"""`baywattctl`: asks the processes of this station over their local sockets, and administers it.

Root may do everything; others may see what the processes' settings let them observe, and administer as members of the
group `baywatt-admin`. Exit status: 0, 1 if a process did not answer, refused or found something wrong, 2 if the command
line or the settings file is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from firmware.config import load
from firmware.errors import BaywattError, ConfigError
from firmware.message_log import FILE_NAME, ONLY_TROUBLE, MessageLogReader, print_new
from services.ctl import tables
from services.ctl.processes import NoAnswer, Process, Refusal, ask_hal, ask_ocpp
from services.ctl.tables import Station
from services.ctl.verbs import Doors, add_verbs

__all__ = ["main"]

_LOOK_S = 0.5
_T = TypeVar("_T")


class _Places(Struct, frozen=True):
    """What counts here of the OCPP service's settings file; its own `ServiceConfig` has the same keys."""

    hal_socket: str = "/run/baywatt/hal.sock"
    status_socket: str = "/run/baywatt-ocpp/status.sock"
    administration_socket: str = "/run/baywatt-ocpp/administration.sock"
    database: str | None = None
    log_file: str | None = None

    @property
    def message_log(self) -> Path:
        """With the service's other logs; raises `ConfigError`."""
        beside = self.log_file or self.database
        if beside is None:
            raise ConfigError("the settings name no database: name the message log itself with --file")
        return Path(beside).with_name(FILE_NAME)


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        places = load(options.config, _Places)
        if options.verb == "log":
            return _log(options.file or places.message_log, follow=options.follow, as_json=options.json)
        if options.run is not None:
            return int(options.run(options, Doors(Path(places.hal_socket), Path(places.administration_socket))))
        return _show(asyncio.run(_ask(places)), options.verb, as_json=options.json)
    except (NoAnswer, Refusal) as error:
        print(f"baywattctl: {error}", file=sys.stderr)
        return 1
    except BaywattError as error:
        print(f"baywattctl: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing is left to flush at the exit
        return 0
    except KeyboardInterrupt:
        return 0


def _parser() -> argparse.ArgumentParser:
    description = "Asks the processes of this station, and administers it."
    parser = argparse.ArgumentParser(prog="baywattctl", description=description)
    parser.add_argument(
        "--config", type=Path, default=Path("/etc/baywatt/ocpp.toml"), help="the OCPP service's settings file"
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("status", help="station, CSMS, queue, clock, links, EVSEs, faults")
    verbs.add_parser("sessions", help="the sessions that run")
    verbs.add_parser("queue", help="the messages that wait for the CSMS")
    log = verbs.add_parser("log", help="the messages between station and CSMS")
    log.add_argument("--follow", action="store_true", help="continue with what is written from now on")
    log.add_argument("--file", type=Path, metavar="PATH", help="read this file, for instance of a diagnostics archive")
    parser.set_defaults(run=None)
    add_verbs(verbs)
    for verb in verbs.choices.values():
        verb.add_argument("--json", action="store_true", help="as JSON")
    return parser


async def _ask(places: _Places) -> Station:
    """Both processes at once: one that does not answer is not waited for twice."""
    problems: list[str] = []

    async def answer(question: Awaitable[_T]) -> _T | None:
        try:
            return await question
        except NoAnswer as error:
            problems.append(str(error))
            return None

    hal, ocpp = await asyncio.gather(
        answer(ask_hal(Process("baywatt-hal", Path(places.hal_socket)))),
        answer(ask_ocpp(Process("baywatt-ocpp", Path(places.status_socket)))),
    )
    return Station(hal, ocpp, problems, time.monotonic())


def _show(station: Station, verb: str, *, as_json: bool) -> int:
    if as_json:
        print(json.dumps(tables.as_json(station), indent=2, ensure_ascii=False))
    elif station.hal or station.ocpp:
        print({"status": tables.status, "sessions": tables.sessions, "queue": tables.queue}[verb](station))
    sys.stdout.flush()
    for problem in station.problems:
        print(f"baywattctl: {problem}", file=sys.stderr)
    return 1 if station.problems else 0


def _log(path: Path, *, follow: bool, as_json: bool) -> int:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        advice = "run this as root" if isinstance(error, PermissionError) else "nothing is written yet; another: --file"
        print(f"baywattctl: {path}: {error.strerror}: {advice}", file=sys.stderr)
        return 2
    reader = MessageLogReader(path)
    try:
        if not print_new(reader, as_json=as_json):
            print(ONLY_TROUBLE, file=sys.stderr)
        while follow:
            time.sleep(_LOOK_S)
            print_new(reader, as_json=as_json)
    finally:
        reader.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
