# SPDX-License-Identifier: Apache-2.0
"""`baywatt csms`: start the bench CSMS, query a running one, and run procedures with it.

Exit statuses: 0 done; 1 the station answered with a CALLERROR, or the bench refused; 2 the command line is wrong;
3 there is no bench, or no answer of the station.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import fcntl
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from firmware.errors import BaywattError, ConfigError
from firmware.type_words import decode_json
from tools.arguments import Parser, number, whole
from tools.columns import cut, table, width
from tools.csms.client import ApiRefused, Client, Unreachable
from tools.csms.procedures import raise_security, update_firmware
from tools.csms.settings import Behaviour, Settings, read_passwords
from tools.running import is_free

__all__ = ["main", "parser"]

_DEFAULT_URL = "http://127.0.0.1:9000"
_TLS_PORT = 9443
_LOOK_S = 0.3
_FOLLOWED = 500
"""So many new messages are fetched at once."""
_CHECKOUT = Path(__file__).resolve().parents[2]


class UnknownStation(BaywattError):
    """The bench knows no station of this identity."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    try:
        arguments = parser().parse_args(argv)
    except SystemExit as stop:
        return int(stop.code or 0)
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        return run(arguments)
    except ConfigError as error:
        return _complain(error, 2)
    except Unreachable as error:
        return _complain(error, 3)
    except ApiRefused as error:
        return _complain(error, 3 if error.status in (409, 502, 504) else 1)
    except BaywattError as error:
        return _complain(error, 1)


def _complain(error: Exception, code: int) -> int:
    print(f"baywatt csms: {error}", file=sys.stderr)
    return code


# The command line


def parser() -> argparse.ArgumentParser:
    top = Parser(prog="baywatt csms", description="The bench CSMS: OCPP 2.0.1 without accounts.")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    _add_up(commands)
    call = _add(commands, "call", _call, "send a request to a station")
    call.add_argument("station")
    call.add_argument("action", help="such as GetVariables")
    call.add_argument("payload", nargs="?", default="{}", help="a JSON object (default: {})")
    call.add_argument("--raw", action="store_true", help="send it without a check against the schema")
    call.add_argument(
        "--timeout",
        type=number,
        metavar="S",
        help="how long to wait for the answer (default: the bench's --call-timeout)",
    )
    text = "update a station's firmware, with an image signed by the bench"
    firmware = _add(commands, "firmware", _firmware, text, shows_data=False)
    firmware.add_argument("station")
    firmware.add_argument("image", nargs="?", help="one of the bench's files (default: build one of the next version)")
    firmware.add_argument(
        "--from", dest="checkout", type=Path, default=_CHECKOUT, metavar="DIR", help="the checkout to build from"
    )
    firmware.add_argument(
        "--product", default="c7am-400-cc", help="the product whose firmware family a built image is for"
    )
    firmware.add_argument(
        "--over", choices=["https", "ftp"], default="https", help="how the station downloads it (default: https)"
    )
    text = "raise a station's security profile, with certificates of the bench"
    secure = _add(commands, "secure", _secure, text, shows_data=False)
    secure.add_argument("station")
    secure.add_argument("--profile", type=whole, choices=[2, 3], default=3, help="the profile to reach (default: 3)")
    stations = _add(commands, "stations", _stations, "list the stations")
    stations.add_argument("station", nargs="?", help="show everything about one station")
    transactions = _add(commands, "transactions", _transactions, "list the transactions")
    transactions.add_argument("--station")
    messages = _add(commands, "messages", _messages, "list the messages")
    messages.add_argument("--station")
    messages.add_argument("--after", type=whole, metavar="N", help="messages after number N")
    messages.add_argument("--limit", type=whole, default=50)
    messages.add_argument("--follow", action="store_true", help="continue with what comes from now on; Ctrl-C ends it")
    tokens = _add(commands, "tokens", _tokens, "list the id tokens; set or delete one")
    tokens.add_argument("change", nargs="?", choices=["set", "delete"])
    tokens.add_argument("id_token", nargs="?")
    tokens.add_argument("--status", default="Accepted", help="such as Accepted, Blocked, Expired")
    tokens.add_argument("--type", default="ISO14443")
    tokens.add_argument("--group", help="the id token of its group")
    return top


def _add(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], text: str, *, shows_data: bool = True
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(run=run)
    parser.add_argument("--url", default=_DEFAULT_URL, help=f"address of the bench CSMS (default: {_DEFAULT_URL})")
    if shows_data:
        parser.add_argument("--json", action="store_true", help="print JSON instead of columns")
    return parser


def _add_up(commands: Any) -> None:
    text = "start the bench CSMS"
    up = commands.add_parser("up", help=text, description=text)
    up.set_defaults(run=_up)
    _add_addresses(up)
    _add_behaviour(up)
    state = "where the bench keeps its files (default: csms-state)"
    up.add_argument("--state", type=Path, metavar="DIR", default=Path("csms-state"), help=state)
    up.add_argument("--db", type=Path, metavar="FILE", help="the database (default: DIR/csms.sqlite3)")
    up.add_argument("--files", type=Path, metavar="DIR", help="serve DIR over HTTPS and FTP, accept logs into DIR/logs")
    for name in ("https", "ftp"):
        text = f"for the files over {name.upper()}; 0: any free port (default: as at the last start)"
        up.add_argument(f"--{name}-port", type=whole, metavar="PORT", help=text)
    up.add_argument("--log-level", default="warning", choices=["debug", "info", "warning", "error"])


def _add_addresses(up: argparse.ArgumentParser) -> None:
    port = "for ws, the page and the API; 0: any free port (default: 9000)"
    up.add_argument("--port", type=whole, default=9000, help=port)
    tls_port = f"for wss; 0: any free port (default: {_TLS_PORT} with profiles 2 and 3, else none)"
    up.add_argument("--tls-port", type=whole, metavar="PORT", help=tls_port)
    host = "address to listen on; there are no accounts, so take care (default: 127.0.0.1)"
    up.add_argument("--host", default="127.0.0.1", help=host)
    profile = "the minimum: 0 nothing, 1 a password, 2 TLS and a password, 3 TLS and a certificate (default: 0)"
    up.add_argument("--security-profile", type=whole, choices=[0, 1, 2, 3], default=0, help=profile)
    passwords = 'TOML file of identity = "password" lines; other stations may use any'
    up.add_argument("--passwords", type=Path, metavar="FILE", help=passwords)


def _add_behaviour(up: argparse.ArgumentParser) -> None:
    boot = "the answer to BootNotification (default: Accepted)"
    up.add_argument("--boot", choices=["Accepted", "Pending", "Rejected"], default="Accepted", help=boot)
    interval = "between heartbeats, and between boot attempts (default: 60)"
    up.add_argument("--interval", type=whole, default=60, metavar="S", help=interval)
    up.add_argument("--accept-unknown", action="store_true", help="accept id tokens that are not on the list")
    timeout = "how long to wait for a station's answer (default: 30)"
    up.add_argument("--call-timeout", type=number, default=30.0, metavar="S", help=timeout)
    ping = "WebSocket ping interval, 0: none (default: 30)"
    up.add_argument("--ping", type=number, default=30.0, metavar="S", help=ping)


# up


def _up(arguments: argparse.Namespace) -> int:
    logging.basicConfig(
        level=arguments.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    settings = _settings(arguments)
    with _only_one(settings.database):
        try:
            asyncio.run(_serve(settings))
        except OSError as error:
            raise ConfigError(_why_not_listening(settings, error)) from error
    return 0


@contextlib.contextmanager
def _only_one(database: Path) -> Iterator[None]:
    """Locks the database's folder for this bench: two would mix their stations up."""
    with database.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(f"{database.parent}: another bench CSMS uses it; choose another by --state") from None
        yield


def _why_not_listening(settings: Settings, error: OSError) -> str:
    if error.errno == errno.EADDRNOTAVAIL:
        return f"--host {settings.host}: this machine does not have that address"
    if error.errno != errno.EADDRINUSE:
        return f"cannot listen on {settings.host}: {error.strerror}"
    for option, port in (("--port", settings.port), ("--tls-port", settings.tls_port)):
        if port and not is_free(settings.host, port):
            return f"{option} {port}: another program listens there; choose another, or 0 for any free one"
    return f"cannot listen on {settings.host}: {error.strerror}"


def _settings(arguments: argparse.Namespace) -> Settings:
    database: Path = arguments.db or arguments.state / "csms.sqlite3"
    tls_port = arguments.tls_port
    if tls_port is None and arguments.security_profile >= 2:
        tls_port = _TLS_PORT
    ports = {"port": arguments.port, "tls-port": tls_port}
    ports |= {"https-port": arguments.https_port, "ftp-port": arguments.ftp_port}
    for name, port in ports.items():
        if not 0 <= (port or 0) <= 65535:
            raise ConfigError(f"--{name} must be 0 to 65535, not {port}")
    if not 0 <= arguments.interval <= 86_400:
        raise ConfigError(f"--interval must be 0 to 86400 s, not {arguments.interval}")
    try:
        database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigError(f"{database.parent}: {error.strerror}") from error
    return Settings(
        database=database,
        host=arguments.host,
        port=arguments.port,
        security_profile=arguments.security_profile,
        tls_port=tls_port,
        behaviour=Behaviour(arguments.boot, arguments.interval, arguments.accept_unknown),
        passwords=read_passwords(arguments.passwords) if arguments.passwords else {},
        call_timeout_s=arguments.call_timeout,
        ping_interval_s=arguments.ping,
        files=arguments.files,
        https_port=arguments.https_port,
        ftp_port=arguments.ftp_port,
    )


async def _serve(settings: Settings) -> None:
    # Imported here: the other commands need neither the server nor the OCPP library.
    from tools.csms.server import running

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    async with running(settings) as bench:
        ready = {"csms": "ready", "url": bench.url, "ocpp": bench.ocpp_url, "pid": os.getpid()}
        ready |= {"root": str(bench.pki.csms_root), "manufacturer_root": str(bench.pki.manufacturer_root)}
        if bench.files is not None:
            ready |= {"https": bench.files.https, "ftp": bench.files.ftp}
        if not settings.passwords and settings.security_profile < 3:
            any_of_them = "any password" if settings.security_profile else "any password, or none"
            print(f"baywatt csms: stations may connect with {any_of_them}", file=sys.stderr)
        print(msgspec.json.encode(ready).decode(), flush=True)
        await stop.wait()


# Commands for a running bench


def _call(arguments: argparse.Namespace) -> int:
    try:
        payload = decode_json(os.fsencode(arguments.payload), dict[str, Any])
    except ValueError as error:
        raise ConfigError(f"the payload is not a JSON object: {error}") from None
    client = Client(arguments.url, timeout_s=(arguments.timeout or 60.0) + 30.0)
    answer = client.call(arguments.station, arguments.action, payload, raw=arguments.raw, timeout_s=arguments.timeout)
    shown = answer if arguments.json else answer.get("result", answer.get("call_error"))
    _print_json(shown)
    if answer.get("problem"):
        print(f"baywatt csms: the answer breaks its schema: {answer['problem']}", file=sys.stderr)
    return 1 if "call_error" in answer else 0


def _firmware(arguments: argparse.Namespace) -> int:
    client = Client(arguments.url)
    how = {"image": arguments.image, "checkout": arguments.checkout, "product": arguments.product}
    update_firmware(client, arguments.station, **how, over=arguments.over, report=_print_step)
    return 0


def _secure(arguments: argparse.Namespace) -> int:
    raise_security(Client(arguments.url), arguments.station, arguments.profile, report=_print_step)
    print(f"{arguments.station} has reconnected with security profile {arguments.profile}")
    return 0


def _print_step(step: str) -> None:
    print(step, flush=True)


def _stations(arguments: argparse.Namespace) -> int:
    client = Client(arguments.url)
    if arguments.station:
        _print_json(_station(client, arguments.station))
        return 0
    rows = client.get("/api/stations")
    for row in rows:
        row["last_seen"] = _moment(row["last_seen"])
        row["connectors"] = " ".join(f"{at['evse']}:{at['status']}" for at in row["connectors"]) or None
        row["charging"] = len(row.pop("active_transactions"))
    return _show(arguments, rows, "id connected registration connectors charging last_seen remote")


def _station(client: Client, identity: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = client.get("/api/stations")
    for record in found:
        if record["id"] == identity:
            return record
    known = ", ".join(record["id"] for record in found) or "none has connected yet"
    raise UnknownStation(f"no station {identity} has connected; known: {known}")


def _moment(time: str | None) -> str | None:
    """Day and time of day, without the fraction; JSON has the whole."""
    return time and time[5:19].replace("T", " ")


def _transactions(arguments: argparse.Namespace) -> int:
    rows = Client(arguments.url).get("/api/transactions", station=arguments.station)
    if not arguments.json:
        for row in rows:
            row |= {"started": _moment(row["started"]), "ended": _moment(row["ended"])}
            row["kwh"] = None if row["energy_wh"] is None else f"{row['energy_wh'] / 1000:.2f}"
            row |= {"why": row["stopped_reason"], "soc": row["soc_percent"]}
    columns = "station id evse id_token started ended why events seq_ok kwh soc"
    return _show(arguments, rows, columns)


def _messages(arguments: argparse.Namespace) -> int:
    client = Client(arguments.url)
    after, limit = arguments.after, arguments.limit
    while True:
        rows = client.get("/api/messages", station=arguments.station, after=after, limit=limit)
        _print_messages(rows, as_json=arguments.json, follow=arguments.follow)
        if not arguments.follow:
            return 0
        after, limit = rows[-1]["id"] if rows else after or 0, _FOLLOWED
        if len(rows) < limit:
            time.sleep(_LOOK_S)


def _print_messages(rows: list[dict[str, Any]], *, as_json: bool, follow: bool) -> None:
    if as_json and not follow:
        _print_json(rows)
        return
    for row in rows:
        if as_json:
            print(msgspec.json.encode(row).decode())
            continue
        arrow = "--" if row["kind"] == "link" else "->" if row["direction"] == "in" else "<-"
        problem = f"  ! {row['problem']}" if row["problem"] else ""
        line = f"{row['id']:>6} {row['t'][11:23]} {row['station']} {arrow} {row['text']}{problem}"
        print(cut(line, width()))
    sys.stdout.flush()


def _tokens(arguments: argparse.Namespace) -> int:
    client = Client(arguments.url)
    if arguments.change and not arguments.id_token:
        raise ConfigError(f"tokens {arguments.change} needs an id token")
    if arguments.change == "set":
        client.put_token(
            arguments.id_token, status=arguments.status, type=arguments.type, group_id_token=arguments.group
        )
    elif arguments.change == "delete":
        client.delete_token(arguments.id_token)
    return _show(arguments, client.get("/api/tokens"), "id_token type status group_id_token")


def _print_json(data: object) -> None:
    print(msgspec.json.format(msgspec.json.encode(data), indent=2).decode())


def _show(arguments: argparse.Namespace, rows: list[dict[str, Any]], names: str) -> int:
    if arguments.json:
        _print_json(rows)
    else:
        head = names.split()
        print(table(head, [[row[name] for name in head] for row in rows]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
