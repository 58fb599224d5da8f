# SPDX-License-Identifier: Apache-2.0
"""`baywatt conformance`: runs the charging-station test cases of OCPP 2.0.1 part 6 and reports the result of each."""

from __future__ import annotations

import argparse
import functools
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from firmware.errors import BaywattError
from tools import interrupt
from tools.arguments import Parser, count, factor
from tools.conformance.bench.bench import Fixtures
from tools.conformance.bench.station import AttachedRig, RealStation, Station
from tools.conformance.run import catalogue, report
from tools.conformance.run.attached import Access, open_access
from tools.conformance.run.catalogue import Entry
from tools.conformance.run.console import Progress, closing_lines
from tools.conformance.run.history import compare, failed_cases, outcomes
from tools.conformance.run.product import ProductUnderTest, product_under_test
from tools.conformance.run.registry import Case, collect
from tools.conformance.run.results import Outcome, Result, last_line
from tools.conformance.run.runner import Options, run

__all__ = ["main", "parser"]

_HOST, _PORT = "127.0.0.1", 9000


def parser() -> argparse.ArgumentParser:
    top = Parser(prog="baywatt conformance", description=__doc__)
    add = top.add_argument
    add("--cases", default="*", metavar="GLOB", help="cases: TC_B_*, B_01, a block's letter; separated by commas")
    add(
        "--station-file",
        type=Path,
        metavar="FILE",
        help="factory settings of the tested product (default: c7am-400-cc)",
    )
    add("--report", type=Path, metavar="DIR", help="write report.json, junit.xml and report.html")
    add("--list", action="store_true", help="only list the cases: whether they apply and are written")
    add("--jobs", type=count, default=4, metavar="N", help="number of rigs at the same time (default 4)")
    add("--patience", type=factor, default=1.0, metavar="X", help="multiplies every time limit, for slow machines")
    add(
        "--logs", type=Path, default=Path(".run/conformance"), metavar="DIR", help="folder for the logs of failed cases"
    )
    add("--keep-logs", action="store_true", help="also keep the logs of cases that pass")
    add("--stop-on-first", action="store_true", help="start no further case when one has failed")
    add("--rerun-failed", type=Path, metavar="REPORT", help="only the cases that failed in that run's report")
    add(
        "--compare",
        type=Path,
        nargs=2,
        metavar=("OLD", "NEW"),
        help="only compare two reports; exits 1 if NEW is worse",
    )
    attach = top.add_mutually_exclusive_group().add_argument
    attach("--control", type=Path, metavar="PATH", help="attach to the running rig with this control socket")
    attach("--manual", action="store_true", help="test a real station; a person does the manual actions")
    add(
        "--listen",
        type=_address,
        metavar="HOST:PORT",
        help=f"with --control and --manual: address of the CSMS (default {_HOST}:{_PORT})",
    )
    add("--identity", help="with --control and --manual: the station's identity (default CP001)")
    add(
        "--security-profile",
        type=int,
        choices=[1, 2, 3],
        help="with --control and --manual: 2 and 3 have TLS (default 1)",
    )
    pki = "with --control and --manual: folder of the keys of security profiles 2 and 3 (default .run/conformance/pki)"
    add("--pki", type=Path, metavar="DIR", help=pki)
    add("--serial-number", help="with security profile 3: whom the certificate that is made for the station names")
    add("--password", help="with --control and --manual: its basic authentication password (default 0123456789abcdef)")
    return top


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"expected HOST:PORT, not {text!r}")
    return host.strip("[]"), int(port)


def main(argv: list[str]) -> int:
    """Runs the cases that `argv` selects.

    Returns 0 if no case failed, 1 if one did or was not run, 2 for bad arguments, 130 if interrupted.
    """
    try:
        args = parser().parse_args(argv)
        if args.compare:
            return _compare(*args.compare)
        product = product_under_test(args.station_file)
        cases = ",".join(failed_cases(args.rerun_failed)) if args.rerun_failed else args.cases
    except SystemExit as stop:
        return int(stop.code or 0)
    except BaywattError as error:
        print(f"baywatt conformance: {error}", file=sys.stderr)
        return 2
    if not cases and args.rerun_failed:
        print("no case failed in that run")
        return 0
    entries, unmatched = catalogue.select(catalogue.load(), cases)
    if unmatched or not entries:
        print(f"baywatt conformance: no case matches {', '.join(unmatched) or repr(cases)}", file=sys.stderr)
        return 2
    written = collect()
    if args.list:
        return _list(entries, written, product)
    if (obstacle := _obstacle(args)) is not None:
        print(f"baywatt conformance: {obstacle}", file=sys.stderr)
        return 2
    return _run(args, entries, written, product)


def _obstacle(args: argparse.Namespace) -> str | None:
    """Why no case can run, or there would be nowhere to write; `None` if nothing stands in the way."""
    for option, folder in (("--report", args.report), ("--logs", args.logs)):
        try:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            return f"{option} {folder}: {error.strerror}"
    attached = args.control or args.manual
    for option in ("listen", "identity", "password", "security_profile", "pki", "serial_number"):
        if getattr(args, option) is not None and not attached:
            name = option.replace("_", "-")
            return f"--{name} is for --control and --manual: without them each case starts a station of its own"
    if args.control:
        try:
            with socket.socket(socket.AF_UNIX) as control:
                control.connect(str(args.control))
        except OSError as error:
            return f"--control {args.control}: {error.strerror or error}"
    if attached:
        host, port = args.listen or (_HOST, _PORT)
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            socket.create_server((host, port), family=family).close()
        except OSError as error:
            return f"--listen {host}:{port}: {error.strerror or error}"
    return None


def _compare(old: Path, new: Path) -> int:
    found = compare(outcomes(old), outcomes(new))
    print(found)
    return 1 if found.worse else 0


def _list(entries: list[Entry], written: dict[str, Case], product: ProductUnderTest) -> int:
    try:
        for entry in entries:
            ruling = catalogue.applicability(entry, product.reference, product.answers)
            state = ("ready" if entry.id in written else "MISSING") if ruling.applies else "skip"
            print(f"{state:<8} {entry.id:<11} {entry.title} ({ruling.why})")
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of the list, such as `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _run(args: argparse.Namespace, entries: list[Entry], written: dict[str, Case], product: ProductUnderTest) -> int:
    started = time.time()
    done, todo = _sort(entries, written, product)
    for result in done:
        print(result.line(), flush=True)
    try:
        options = _options(args, product)
    except BaywattError as error:
        print(f"baywatt conformance: {error}", file=sys.stderr)
        return 2
    if options.attach:
        identity, access = options.fixtures.identity, options.access
        scheme = "wss" if access.tls else "ws"
        print(f"Waiting for station {identity} at {scheme}://{access.host}:{access.port}/ocpp/{identity}", flush=True)
    skipped = len(done)
    progress = Progress()

    def emit(result: Result) -> None:
        done.append(result)
        print(result.line(), flush=True)
        progress.show(done[skipped:], len(todo))

    try:
        interrupt.run(run(todo, options, emit))
    except KeyboardInterrupt:
        return _interrupted(done, len(todo) + skipped)
    order = {entry.id: number for number, entry in enumerate(entries)}
    done.sort(key=lambda result: order[result.entry.id])
    if args.report:
        report.write(args.report, done, product, started=started, finished=time.time())
    progress.clear()
    for line in closing_lines(done):
        print(line)
    if unplayed := len(todo) + skipped - len(done):
        print(f"{unplayed} cases were not run, because one failed (--stop-on-first)")
    sys.stdout.flush()
    if logs := [result.log for result in done if result.log]:
        print(f"logs of {len(logs)} cases are in {options.logs}", file=sys.stderr, flush=True)
    print(last_line(done), flush=True)
    return 1 if unplayed or any(result.outcome in (Outcome.FAILED, Outcome.MISSING) for result in done) else 0


def _interrupted(done: list[Result], total: int) -> int:
    """Prints how many cases have not run. There is no report, which would look like that of a whole run."""
    print(f"\ninterrupted: {total - len(done)} of {total} cases not run, no report", file=sys.stderr, flush=True)
    print(last_line(done), flush=True)
    return 130


def _sort(
    entries: list[Entry], written: dict[str, Case], product: ProductUnderTest
) -> tuple[list[Result], list[tuple[Entry, Case]]]:
    """The results known without running (does not apply, is not written), and the cases to run."""
    done, todo = [], []
    for entry in entries:
        ruling = catalogue.applicability(entry, product.reference, product.answers)
        if not ruling.applies:
            done.append(Result(entry, Outcome.SKIPPED, reason=ruling.why))
        elif entry.id not in written:
            done.append(Result(entry, Outcome.MISSING, reason="applies, but this runner has no such case yet"))
        else:
            todo.append((entry, written[entry.id]))
    return done, todo


def _access(args: argparse.Namespace, identity: str) -> Access:
    host, port = args.listen or (_HOST, _PORT)
    folder = args.pki or Path(".run/conformance/pki")
    return open_access(host, port, args.security_profile or 1, folder, serial_number=args.serial_number or identity)


def _options(args: argparse.Namespace, product: ProductUnderTest) -> Options:
    fixtures = Fixtures(
        product=product.reference,
        identity=args.identity or "CP001",
        password=args.password or "0123456789abcdef",
        evses=product.evses,
        answers=product.answers,
    )
    attach: Callable[[], Station] | None = None
    if args.manual:
        attach = RealStation
    elif args.control:
        attach = functools.partial(AttachedRig, args.control)
    return Options(
        fixtures=fixtures,
        jobs=args.jobs,
        patience=args.patience,
        logs=args.report / "logs" if args.report else args.logs,
        attach=attach,
        access=_access(args, fixtures.identity) if attach else Access(),
        keep_logs=args.keep_logs,
        stop_on_first=args.stop_on_first,
        durations=args.logs / "durations.json",
    )
