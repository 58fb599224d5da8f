# SPDX-License-Identifier: Apache-2.0
"""`baywatt conformance`: runs the charging-station test cases of part 6 and says what came of each."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path

from firmware.errors import BaywattError
from tools.conformance import catalogue, report
from tools.conformance.bench import Facts
from tools.conformance.catalogue import Entry
from tools.conformance.product import Tested, product_under_test
from tools.conformance.registry import Case, collect
from tools.conformance.results import Outcome, Result, last_line
from tools.conformance.runner import Options, run
from tools.conformance.station import AttachedRig, Person, Station

__all__ = ["main"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="baywatt conformance", description=__doc__)
    add = parser.add_argument
    add("--cases", default="*", metavar="GLOB", help="which: TC_B_*, B_01, or a block's letter; several with commas")
    add("--station-file", type=Path, metavar="FILE", help="factory settings whose product is tested (default: ours)")
    add("--report", type=Path, metavar="DIR", help="write report.json, junit.xml and report.html")
    add("--list", action="store_true", help="only say which cases there are, apply and are written")
    add("--jobs", type=int, default=4, metavar="N", help="how many rigs at once (default 4)")
    add("--patience", type=float, default=1.0, metavar="X", help="multiplies every time limit, for slow machines")
    add("--logs", type=Path, default=Path(".run/conformance"), metavar="DIR", help="where failed cases leave their log")
    add("--keep-logs", action="store_true", help="keep the log of cases that pass, too")
    add("--control", type=Path, metavar="PATH", help="attach to the running rig with this control socket")
    add("--manual", action="store_true", help="test a real station; a person does the manual actions")
    add("--listen", default="127.0.0.1:9000", metavar="HOST:PORT", help="with --control and --manual: our address")
    add("--identity", default="CP001", help="the station's identity")
    add("--password", default="0123456789abcdef", help="its basic authentication password")
    return parser


def main(argv: list[str]) -> int:
    """Runs the cases that `argv` asks for; 0 when nothing failed, 1 when something did, 2 for bad arguments."""
    try:
        args = _parser().parse_args(argv)
        product = product_under_test(args.station_file)
    except SystemExit as stop:
        return int(stop.code or 0)
    except BaywattError as error:
        print(f"baywatt conformance: {error}", file=sys.stderr)
        return 2
    entries = catalogue.select(catalogue.load(), args.cases)
    if not entries:
        print(f"baywatt conformance: no case matches {args.cases!r}", file=sys.stderr)
        return 2
    written = collect()
    if args.list:
        return _list(entries, written, product)
    return _run(args, entries, written, product)


def _list(entries: list[Entry], written: dict[str, Case], product: Tested) -> int:
    for entry in entries:
        ruling = catalogue.rule(entry, product.name, product.answers)
        state = ("ready" if entry.id in written else "MISSING") if ruling.applies else "skip"
        print(f"{state:<8} {entry.id:<11} {entry.title} ({ruling.why})")
    return 0


def _run(args: argparse.Namespace, entries: list[Entry], written: dict[str, Case], product: Tested) -> int:
    started = time.time()
    done, todo = _sort(entries, written, product)
    for result in done:
        print(result.line(), flush=True)
    options = _options(args, product)
    if options.attach:
        print(f"Waiting for station {args.identity} at ws://{args.listen}/ocpp/{args.identity}", flush=True)
    done += asyncio.run(run(todo, options, lambda result: print(result.line(), flush=True)))
    if args.report:
        report.write(args.report, done, product, started=started, finished=time.time())
    logs = [result.log for result in done if result.log]
    if logs:
        print(f"logs of {len(logs)} cases are in {options.logs}", file=sys.stderr)
    sys.stderr.flush()
    print(last_line(done), flush=True)
    return 1 if any(result.outcome in (Outcome.FAILED, Outcome.MISSING) for result in done) else 0


def _sort(
    entries: list[Entry], written: dict[str, Case], product: Tested
) -> tuple[list[Result], list[tuple[Entry, Case]]]:
    """What is decided without running (does not apply, is not written), and what is to be run."""
    done, todo = [], []
    for entry in entries:
        ruling = catalogue.rule(entry, product.name, product.answers)
        if not ruling.applies:
            done.append(Result(entry, Outcome.SKIPPED, reason=ruling.why))
        elif entry.id not in written:
            done.append(Result(entry, Outcome.MISSING, reason="applies, but this runner has no such case yet"))
        else:
            todo.append((entry, written[entry.id]))
    return done, todo


def _options(args: argparse.Namespace, product: Tested) -> Options:
    facts = Facts(
        product=product.reference,
        identity=args.identity,
        password=args.password,
        evses=product.evses,
        answers=product.answers,
    )
    host, _, port = args.listen.rpartition(":")
    attach = None
    if args.manual:
        attach = _person
    elif args.control:
        attach = lambda: AttachedRig(args.control)  # noqa: E731
    return Options(
        facts=facts,
        jobs=args.jobs,
        patience=args.patience,
        logs=args.report / "logs" if args.report else args.logs,
        attach=attach,
        host=host,
        port=int(port),
        keep_logs=args.keep_logs,
        durations=args.logs / "durations.json",
    )


def _person() -> Station:
    return Person()
