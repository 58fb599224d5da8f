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
from tools.conformance.run.catalogue import Entry
from tools.conformance.run.product import ProductUnderTest, product_under_test
from tools.conformance.run.registry import Case, collect
from tools.conformance.run.results import Outcome, Result, last_line
from tools.conformance.run.runner import Options, run

__all__ = ["main", "parser"]


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
    attach = top.add_mutually_exclusive_group().add_argument
    attach("--control", type=Path, metavar="PATH", help="attach to the running rig with this control socket")
    attach("--manual", action="store_true", help="test a real station; a person does the manual actions")
    add(
        "--listen",
        type=_address,
        default=("127.0.0.1", 9000),
        metavar="HOST:PORT",
        help="with --control and --manual: address of the CSMS (default 127.0.0.1:9000)",
    )
    add("--identity", default="CP001", help="the station's identity")
    add("--password", default="0123456789abcdef", help="its basic authentication password")
    return top


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"expected HOST:PORT, not {text!r}")
    return host.strip("[]"), int(port)


def main(argv: list[str]) -> int:
    """Runs the cases that `argv` selects.

    Returns 0 if no case failed, 1 if one did, 2 for bad arguments, 130 if interrupted.
    """
    try:
        args = parser().parse_args(argv)
        product = product_under_test(args.station_file)
    except SystemExit as stop:
        return int(stop.code or 0)
    except BaywattError as error:
        print(f"baywatt conformance: {error}", file=sys.stderr)
        return 2
    entries, unmatched = catalogue.select(catalogue.load(), args.cases)
    if unmatched or not entries:
        print(f"baywatt conformance: no case matches {', '.join(unmatched) or repr(args.cases)}", file=sys.stderr)
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
    if args.control:
        try:
            with socket.socket(socket.AF_UNIX) as control:
                control.connect(str(args.control))
        except OSError as error:
            return f"--control {args.control}: {error.strerror or error}"
    if args.control or args.manual:
        host, port = args.listen
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            socket.create_server((host, port), family=family).close()
        except OSError as error:
            return f"--listen {host}:{port}: {error.strerror or error}"
    return None


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
    options = _options(args, product)
    if options.attach:
        print(
            f"Waiting for station {args.identity} at ws://{options.host}:{options.port}/ocpp/{args.identity}",
            flush=True,
        )
    skipped = len(done)

    def emit(result: Result) -> None:
        done.append(result)
        print(result.line(), flush=True)

    try:
        interrupt.run(run(todo, options, emit))
    except KeyboardInterrupt:
        return _interrupted(done, len(todo) + skipped)
    order = {entry.id: number for number, entry in enumerate(entries)}
    done.sort(key=lambda result: order[result.entry.id])
    if args.report:
        report.write(args.report, done, product, started=started, finished=time.time())
    logs = [result.log for result in done if result.log]
    if logs:
        print(f"logs of {len(logs)} cases are in {options.logs}", file=sys.stderr)
    sys.stderr.flush()
    print(last_line(done), flush=True)
    return 1 if any(result.outcome in (Outcome.FAILED, Outcome.MISSING) for result in done) else 0


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


def _options(args: argparse.Namespace, product: ProductUnderTest) -> Options:
    fixtures = Fixtures(
        product=product.reference,
        identity=args.identity,
        password=args.password,
        evses=product.evses,
        answers=product.answers,
    )
    host, port = args.listen
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
        host=host,
        port=port,
        keep_logs=args.keep_logs,
        durations=args.logs / "durations.json",
    )
