# SPDX-License-Identifier: Apache-2.0
"""Runs cases, each with a bench, a station and a time limit of its own, several at once and the longest first."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tools.conformance.bench.bench import Bench, Fixtures
from tools.conformance.bench.control import ControlError
from tools.conformance.bench.preconditions import factory_toml
from tools.conformance.bench.station import OwnRig, Station
from tools.conformance.checks.expected import CaseFailed, CaseSkipped, Failure
from tools.conformance.peer.csms import Csms
from tools.conformance.peer.transcript import Transcript
from tools.conformance.run import measure
from tools.conformance.run.attached import Access, Attached, note, prepare
from tools.conformance.run.catalogue import Entry
from tools.conformance.run.registry import Case
from tools.conformance.run.results import Outcome, Result
from tools.pki import Authority, server_context, write_pair

__all__ = ["Options", "run"]


@dataclass(frozen=True)
class Options:
    """How to run. `attach` creates the station if it is not to be a rig for each case (then `jobs` is 1)."""

    fixtures: Fixtures
    jobs: int = 4
    patience: float = 1.0
    logs: Path = Path(".run/conformance")
    attach: Callable[[], Station] | None = None
    access: Access = field(default_factory=Access)
    """Where an attached station connects."""
    keep_logs: bool = False
    durations: Path = Path(".run/conformance/durations.json")
    """File with the duration of each case in the last run."""
    stop_on_first: bool = False
    """Start no further case when one has failed."""


async def run(cases: Sequence[tuple[Entry, Case]], options: Options, emit: Callable[[Result], None]) -> list[Result]:
    """Runs the cases and calls `emit` with each result at once; returns the results in the order of `cases`."""
    durations = _Durations(options.durations)
    gate = asyncio.Semaphore(1 if options.attach else max(1, options.jobs))
    results: dict[str, Result] = {}
    known = Attached()

    async def one(entry: Entry, case: Case) -> None:
        async with gate:
            if options.stop_on_first and any(found.outcome is Outcome.FAILED for found in results.values()):
                return
            result = await _run_one(entry, case, options, known)
        results[entry.id] = result
        known.failed_in = entry.id if result.outcome is Outcome.FAILED else ""
        durations.put(entry.id, result.seconds)
        emit(result)

    ordered = list(cases)
    if options.attach is None:
        ordered.sort(key=lambda pair: -durations.get(pair[0].id, pair[1].limit_s / 10))
    async with asyncio.TaskGroup() as group:
        for entry, case in ordered:
            group.create_task(one(entry, case))
    durations.save()
    return [results[entry.id] for entry, _ in cases if entry.id in results]


class _Durations:
    """The duration of each case in the last run; a broken or missing file counts as empty."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._known: dict[str, float] = json.loads(path.read_text())
        except (OSError, ValueError):
            self._known = {}

    def get(self, case: str, default: float) -> float:
        return self._known.get(case, default)

    def put(self, case: str, seconds: float) -> None:
        self._known[case] = round(seconds, 1)

    def save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(self._known, indent=1, sort_keys=True))


async def _run_one(entry: Entry, case: Case, options: Options, known: Attached) -> Result:
    folder = Path(tempfile.mkdtemp(prefix="bwc-"))
    transcript = Transcript(time.monotonic)
    csms = Csms(transcript, lambda *_: None, time.monotonic, options.fixtures.identity)
    if options.attach:
        csms.on_refused = lambda why: note(f"a connection was refused: {why}")
    station = options.attach() if options.attach else OwnRig(folder)
    bench = Bench(
        station, csms, options.fixtures, preconditions=case.preconditions, patience=options.patience, folder=folder
    )
    try:
        try:
            seconds, reason = await _execute(case, bench, options, known)
        finally:  # also if the run is interrupted
            await _clean_up(bench)
        return _result(entry, bench, seconds=seconds, reason=reason, options=options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _execute(case: Case, bench: Bench, options: Options, known: Attached) -> tuple[float, str]:
    """Executes the case; returns its duration, and the reason if it was skipped. Its failures are with the bench."""
    started, reason = time.monotonic(), ""
    try:
        await _prepare(bench, options, known)
        started = time.monotonic()
        async with asyncio.timeout(case.limit_s * options.patience):
            await case.run(bench)
        bench.finish()
    except CaseSkipped as skipped:
        reason = str(skipped)
    except CaseFailed as failed:
        _record(bench, failed.failure)
    except TimeoutError:
        bench.fail(f"not done within {case.limit_s * options.patience:g} s")
    except (ControlError, OSError) as refused:
        bench.fail(f"the manual action failed: {refused}")
    except Exception as error:  # a bug in the case must not end the run
        bench.fail(f"the case is broken: {type(error).__name__}: {error}")
        bench.transcript.add("tool", "trace", "", _trace(error))
    return time.monotonic() - started, reason


def _record(bench: Bench, failure: Failure) -> None:
    if failure not in bench.failures:
        bench.failures.append(failure)


def _trace(error: Exception) -> str:
    return "".join(traceback.format_exception(error))


async def _prepare(bench: Bench, options: Options, known: Attached) -> None:
    """Opens the main endpoint, starts the station and waits until it is idle (part 6, 2.1: general preconditions)."""
    preconditions, fixtures = bench.preconditions, options.fixtures
    bench.step(0)
    bench.csms.message_timeout_s = float(preconditions.message_timeout_s)
    bench.tokens({fixtures.card: {"status": "Accepted"}, fixtures.card2: {"status": "Accepted"}})
    if not bench.station.own:
        await prepare(bench, known, options.access)
        return
    tls: ssl.SSLContext | None = None
    certificates: dict[str, str | list[str]] = {}
    if preconditions.security_profile >= 2:
        tls, certificates = _tls(bench, preconditions.security_profile)
    if preconditions.updates:
        certificates |= _updates(bench)
    password = fixtures.password if preconditions.security_profile in (1, 2) else None
    endpoint = await bench.csms.open_endpoint("main", password=password, tls=tls)
    factory = factory_toml(
        preconditions,
        identity=fixtures.identity,
        product=fixtures.product,
        password=fixtures.password,
        url=endpoint.url,
        certificates=certificates,
    )
    await bench.station.start(factory, power=preconditions.power)
    if preconditions.power:
        await bench.first_boot()


def _tls(bench: Bench, profile: int) -> tuple[ssl.SSLContext, dict[str, str | list[str]]]:
    root = bench.csms_root = Authority("CSMS root 1")
    (bench.folder / "csms-root.pem").write_text(root.pem)
    certificates: dict[str, str | list[str]] = {"csms_root": ["csms-root.pem"]}
    if profile == 3:
        issued = root.client(bench.fixtures.identity, "baywatt")
        write_pair(bench.folder, "station", issued.pem + root.pem, issued.key)
        certificates |= {"station_chain": "station.pem", "station_key": "station.key"}
    return server_context(root.server(), bench.folder, clients=root if profile == 3 else None), certificates


def _updates(bench: Bench) -> dict[str, str | list[str]]:
    """Creates the roots of file server and manufacturer; returns their factory settings."""
    bench.manufacturer = Authority("manufacturer root")
    (bench.folder / "manufacturer.pem").write_text(bench.manufacturer.pem)
    bench.csms_root = bench.csms_root or Authority("CSMS root 1")
    (bench.folder / "csms-root.pem").write_text(bench.csms_root.pem)
    return {"csms_root": ["csms-root.pem"], "manufacturer_root": ["manufacturer.pem"]}


async def _clean_up(bench: Bench) -> None:
    """Stops the station and the CSMS; before, an attached or real station gets its settings back."""
    try:
        if not bench.station.own and bench.csms.connection is not None:
            async with asyncio.timeout(30):
                await bench.restore()
    except (CaseFailed, CaseSkipped, ControlError, OSError) as error:  # TimeoutError is an OSError
        bench.fail(f"the station could not be restored: {error}")
    finally:
        await bench.station.stop()
        await bench.csms.close()


def _result(entry: Entry, bench: Bench, *, seconds: float, reason: str, options: Options) -> Result:
    outcome = Outcome.FAILED if bench.failures else Outcome.SKIPPED if reason else Outcome.PASSED
    log = ""
    if bench.failures or options.keep_logs:
        log = str(_save_log(entry, bench, options.logs))
    else:
        _log_path(entry, options.logs).unlink(missing_ok=True)
    measured = measure.measure(bench.transcript.entries)
    station = _described(bench.transcript)
    return Result(entry, outcome, seconds, tuple(bench.failures), reason, measured, log, station)


def _described(transcript: Transcript) -> dict[str, str]:
    """The texts of the last BootNotification's chargingStation."""
    boots = [
        entry.body for entry in transcript.entries if entry.who == "station" and entry.action == "BootNotification"
    ]
    described = boots[-1].get("chargingStation", {}) if boots and isinstance(boots[-1], dict) else {}
    return {name: value for name, value in described.items() if isinstance(value, str)}


def _log_path(entry: Entry, logs: Path) -> Path:
    return logs / f"{entry.id}.log"


def _save_log(entry: Entry, bench: Bench, logs: Path) -> Path:
    """Writes the transcript and the logs of the rig's processes into one file per case."""
    logs.mkdir(parents=True, exist_ok=True)
    path = _log_path(entry, logs)
    parts = [f"{entry.id} {entry.title}\n", *(f"{failure}\n" for failure in bench.failures), "\n"]
    parts.append(bench.transcript.text())
    for file in sorted(bench.folder.rglob("*.log")):
        parts.append(f"\n==== {file.relative_to(bench.folder)}\n{file.read_text(errors='replace')}")
    path.write_text("".join(parts))
    return path
