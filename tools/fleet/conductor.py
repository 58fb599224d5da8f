# SPDX-License-Identifier: Apache-2.0
"""The master's part of a run: plan to the workers, time line of the scenario, live table, end, results.

Runs under gevent, in Locust's master. The end is the same whatever has caused it: the stations let drivers finish and
messages be answered, the workers report what became of each, and `summary.json` is written.
"""

from __future__ import annotations

import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import gevent
import gevent.pool
import msgspec
from locust.html import get_html_report
from locust.stats import sort_stats

from firmware.clock import SystemClock
from firmware.errors import BaywattError
from tools.csms.client import Client
from tools.fleet.orders import Job
from tools.fleet.rollout import update_request
from tools.fleet.scenario import Outage, Rollout, Scenario, takes_part
from tools.fleet.summary import Call, Fleet, Moment, Summary, live

__all__ = ["Conductor"]

_TICK_S = 1.0
_MOMENT_S = 5.0
_QUIET_S = 30.0
"""Between two tables where the output is no terminal."""
_RESULTS_S = 15.0
"""What the workers may need to report, on top of the time that the stations have to end."""
_CALLS_AT_ONCE = 20
_clock = SystemClock()


class Conductor:
    """See the module."""

    def __init__(self, environment: Any, job: Job) -> None:
        self._environment = environment
        self._runner = environment.runner
        self._job = job
        self._scenario = msgspec.json.decode(job.plan.scenario, type=Scenario)
        self._fleet = Fleet()
        self._began = 0.0
        self._ended = ""
        self._finished = False
        self._shown = 0
        self._rollout: dict[str, int] = {}
        self._runner.register_message("fleet-ready", self._on_ready)
        environment.events.worker_report.add_listener(self._on_report)
        environment.events.test_start.add_listener(self._on_start)
        gevent.signal_handler(signal.SIGUSR1, self._finish, "interrupted")

    # --- what Locust reports --------------------------------------------------------------------------------------

    def _on_ready(self, environment: Any, msg: Any) -> None:
        data = {"plan": msgspec.json.encode(self._job.plan).decode(), "workers": self._job.workers}
        self._runner.send_message("fleet-plan", data, client_id=msg.node_id)

    def _on_report(self, client_id: str, data: dict[str, Any]) -> None:
        if "fleet" in data:
            self._fleet.take(client_id, data["fleet"])

    def _on_start(self, **_: object) -> None:
        self._began = _clock.monotonic()
        gevent.spawn(self._run)
        for outage in self._scenario.outage:
            gevent.spawn_later(outage.at_s, self._fail, outage)
        for rollout in self._scenario.rollout:
            gevent.spawn_later(rollout.at_s, self._roll_out, rollout)

    # --- the run --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        due = 0.0
        while self._time() < self._job.length_s and not self._finished:
            gevent.sleep(_TICK_S)
            if self._time() >= due:
                due = self._time() + _MOMENT_S
                self._note()
            if self._fleet.gone:
                self._finish("a worker is lost")
        self._finish("the time is over")

    def _time(self) -> float:
        return _clock.monotonic() - self._began

    def _note(self) -> None:
        """Keep the figures of this moment, and show them."""
        now, total = self._fleet.now(), self._runner.stats.total
        moment = Moment(
            t_s=round(self._time(), 1),
            stations=now.stations,
            online=now.online,
            charging=now.charging,
            waiting=now.waiting,
            per_s=round(total.current_rps, 2),
            median_ms=total.get_current_response_time_percentile(0.5) or 0.0,
            p95_ms=total.get_current_response_time_percentile(0.95) or 0.0,
            memory_mb=round(now.memory_mb, 1),
            cpu_percent=round(now.cpu_percent, 1),
        )
        self._fleet.moments.append(moment)
        text = live(moment, self._calls(current=True))
        if sys.stdout.isatty():
            lines = text.count("\n") + 1
            up = f"\x1b[{self._shown}A\x1b[J" if self._shown else ""
            print(up + text, flush=True)
            self._shown = lines
        elif moment.t_s >= self._shown:
            self._shown = int(moment.t_s + _QUIET_S)
            print(text, flush=True)

    def _calls(self, *, current: bool = False) -> list[Call]:
        return [
            Call(
                action=each.name,
                answered=each.num_requests - each.num_failures,
                failed=each.num_failures,
                per_s=round(each.current_rps if current else each.total_rps, 2),
                median_ms=float(each.median_response_time or 0),
                p95_ms=float(each.get_response_time_percentile(0.95)),
                p99_ms=float(each.get_response_time_percentile(0.99)),
                max_ms=round(float(each.max_response_time), 1),
            )
            for each in sort_stats(self._runner.stats.entries)
        ]

    # --- the time line --------------------------------------------------------------------------------------------

    def _fail(self, outage: Outage) -> None:
        self._runner.send_message("fleet-network", {"down": outage.share})
        gevent.sleep(outage.length_s)
        self._runner.send_message("fleet-network", {"down": 0.0})

    def _roll_out(self, rollout: Rollout) -> None:
        """UpdateFirmware by the bench CSMS, to one station after the other."""
        if self._job.bench is None:
            self._rollout["no bench CSMS"] = 1
            return
        client = Client(self._job.bench)
        try:
            request = update_request(client, self._scenario.stations.product)
        except BaywattError as error:
            self._rollout[str(error)] = 1
            return
        pool = gevent.pool.Pool(_CALLS_AT_ONCE)
        for number in range(1, self._job.stations + 1):
            if self._finished:
                break
            if takes_part(number, rollout.share):
                pool.spawn(self._update, client, self._scenario.identity(number), request)
                gevent.sleep(1.0 / rollout.per_s)
        pool.join()

    def _update(self, client: Client, identity: str, request: dict[str, Any]) -> None:
        try:
            answer = client.call(identity, "UpdateFirmware", request)
            status = answer["result"]["status"] if "result" in answer else answer["call_error"]["code"]
        except BaywattError as error:
            status = str(error)
        self._rollout[status] = self._rollout.get(status, 0) + 1

    # --- the end --------------------------------------------------------------------------------------------------

    def _finish(self, why: str) -> None:
        if self._finished:
            return
        self._finished = True
        length_s = self._time() if self._began else 0.0
        self._shown = 0
        started = max(self._runner.user_count, self._fleet.now().stations)
        print(f"{why}: the stations end their sessions", flush=True)
        self._runner.send_message("fleet-network", {"down": 0.0})
        self._runner.stop()
        with gevent.Timeout(self._job.plan.end_s + _RESULTS_S, False):
            while len(self._fleet.finals) < started and not self._fleet.gone:
                gevent.sleep(0.2)
        summary = self._summary(why, length_s, started)
        folder = Path(self._job.folder)
        (folder / "summary.json").write_bytes(msgspec.json.format(msgspec.json.encode(summary)))
        transactions = {each.identity: each.transactions for each in self._fleet.finals}
        (folder / "transactions.json").write_bytes(msgspec.json.encode(transactions))
        (folder / "locust.html").write_text(get_html_report(self._environment, show_download_link=False))
        self._environment.process_exit_code = 0
        self._runner.quit()
        if self._environment.web_ui is not None:
            self._environment.web_ui.stop()

    def _summary(self, why: str, length_s: float, started: int) -> Summary:
        finals, moments = self._fleet.finals, self._fleet.moments
        full = max(moments, key=lambda each: each.stations, default=None)
        memory_mb = max((each.memory_mb for each in moments), default=0.0)
        errors = {f"{each.name}: {_reason(each.error)}": each.occurrences for each in self._runner.errors.values()}
        return Summary(
            csms=self._job.plan.url,
            scenario=self._scenario.description,
            stations=self._job.stations,
            workers=self._job.workers,
            length_s=round(length_s, 1),
            ended=why,
            calls=self._calls(),
            errors=errors,
            visits=self._fleet.now().visits,
            transactions=sum(len(each.transactions) for each in finals),
            events_sent=sum(each.sent for each in finals),
            events_answered=sum(each.answered for each in finals),
            events_repeated=sum(each.repeated for each in finals),
            lost=sum(each.lost for each in finals),
            not_ended=sum(each.not_ended for each in finals),
            left_over=sum(each.left_over for each in finals),
            failed={each.identity: each.failure for each in finals if each.failure is not None},
            missing=max(0, started - len(finals)) + max(0, self._job.stations - started),
            memory_mb=memory_mb,
            memory_mb_per_station=round(memory_mb / full.stations, 2) if full and full.stations else 0.0,
            memory_slope_mb_per_min=self._fleet.memory_slope(),
            cpu_percent=round(sum(each.cpu_percent for each in moments) / max(1, len(moments)), 1),
            rollout=self._rollout,
            firmware=dict(Counter(each.firmware for each in finals)),
            moments=moments,
        )


def _reason(error: str) -> str:
    """Without the name of the class, in which Locust has wrapped it."""
    return error.removeprefix("Exception('").removesuffix("')")
