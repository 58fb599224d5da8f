# SPDX-License-Identifier: Apache-2.0
# mypy: disallow-subclassing-any=False, disallow-untyped-decorators=False
"""What Locust loads: a user of its is a charging station, a task of its is an EV driver who comes.

Locust spawns and stops the stations, decides when drivers come, distributes all of it over its workers and counts. Each
worker passes what is to happen to its child process, in which the stations are (host.py). The master has the time line
of the scenario, prints the table, and ends the run (conductor.py).
"""

from __future__ import annotations

import functools
import os
import random
from typing import Any

import gevent
import msgspec
from gevent.event import Event
from locust import User, argument_parser, events, runners, task
from locust.exception import StopUser
from locust.runners import MasterRunner, WorkerRunner

from firmware.lifecycle import die_with_parent
from tools.fleet.conductor import Conductor
from tools.fleet.ledger import Sample
from tools.fleet.link import HostGone, HostLink
from tools.fleet.orders import Job, Network, Plan, Start, Stop, Visit
from tools.fleet.scenario import Scenario

__all__ = ["ChargingStation"]

_PLAN_S = 30.0
_GRACE_S = 10.0
"""What a child may need on top of the time that its stations have to end."""


class _Worker:
    """This worker's child, and the numbers of its stations: those of worker 1 of 3 are 1, 4, 7 ..."""

    def __init__(self) -> None:
        self.link: HostLink | None = None
        self.end_s = 0.0
        self.arrival_s = 1.0
        self.ready = Event()
        self._free: list[int] = []
        self._next = 1
        self._step = 1

    def begin(self, plan: Plan, index: int, workers: int) -> None:
        self.arrival_s = msgspec.json.decode(plan.scenario, type=Scenario).sessions.arrival_s / plan.evses
        self.end_s = plan.end_s
        self._next, self._step = index + 1, workers
        folder, log = os.environ["BAYWATT_FLEET_STATE"], os.environ["BAYWATT_FLEET_LOGS"]
        self.link = HostLink(plan, folder, os.path.join(log, f"stations-{index + 1}.log"), _count)
        self.ready.set()

    def take_number(self) -> int:
        if self._free:
            return self._free.pop()
        self._next += self._step
        return self._next - self._step

    def give_back(self, number: int) -> None:
        self._free.append(number)


_worker = _Worker()

# In beats of a second; Locust's 3 end a run as soon as a machine is as busy as a load test makes it.
runners.HEARTBEAT_LIVENESS = 60
# In seconds: while its stations end, a worker does not read what the master sends.
runners.MASTER_HEARTBEAT_TIMEOUT = 600
# For each message that spawns users, a worker of Locust reads its own options once for each of them: half a second of
# CPU, in which it does nothing else, and with hundreds of stations there is a message each second.
argument_parser.default_args_dict = functools.cache(argument_parser.default_args_dict)


def _count(sample: Sample) -> None:
    events.request.fire(
        request_type="OCPP",
        name=sample.action,
        response_time=sample.ms,
        response_length=sample.size,
        exception=None if sample.error is None else Exception(sample.error),
        context={},
    )


class ChargingStation(User):
    """One station; vehicles come at random times."""

    def on_start(self) -> None:
        self._number = 0
        if not _worker.ready.wait(_PLAN_S) or _worker.link is None:
            raise StopUser("no plan has come from the process that coordinates")
        self._number = _worker.take_number()
        _worker.link.send(Start(self._number))
        gevent.sleep(self.wait_time())  # Locust does the first task at once

    def wait_time(self) -> float:
        return random.expovariate(1.0 / _worker.arrival_s)

    @task
    def vehicle_comes(self) -> None:
        if _worker.link is None or _worker.link.gone:
            raise StopUser("the process of the stations has ended")
        _worker.link.send(Visit(self._number))

    def on_stop(self) -> None:
        if self._number == 0 or _worker.link is None:
            return
        try:
            _worker.link.send(Stop(self._number))
            _worker.link.final(self._number, _worker.end_s + _GRACE_S)
        except HostGone:
            return
        _worker.give_back(self._number)


# --- a worker ---------------------------------------------------------------------------------------------------------


def _on_plan(environment: Any, msg: Any) -> None:
    plan = msgspec.json.decode(msg.data["plan"], type=Plan)
    if _worker.link is None:
        _worker.begin(plan, environment.runner.worker_index, msg.data["workers"])


def _on_network(environment: Any, msg: Any) -> None:
    if _worker.link is not None:
        _worker.link.send(Network(msg.data["down"]))


@events.report_to_master.add_listener
def _report(client_id: str, data: dict[str, Any]) -> None:
    """What the master is told beside Locust's figures, every few seconds."""
    link = _worker.link
    if link is not None:
        finals = [msgspec.to_builtins(each) for each in link.take_finals()]
        data["fleet"] = {"status": msgspec.to_builtins(link.status), "finals": finals, "gone": link.gone}


@events.quit.add_listener
def _on_quit(**_: object) -> None:
    if _worker.link is not None:
        _worker.link.close()


# --- all --------------------------------------------------------------------------------------------------------------


def _end_with_the_verb() -> None:
    parent = os.environ.get("BAYWATT_FLEET_PARENT", "")
    if parent.isdecimal():
        die_with_parent(int(parent))


_end_with_the_verb()


@events.init.add_listener
def _on_init(environment: Any, **_: object) -> None:
    runner = environment.runner
    if isinstance(runner, WorkerRunner):
        runner.register_message("fleet-plan", _on_plan)
        runner.register_message("fleet-network", _on_network)
        runner.send_message("fleet-ready")
    elif isinstance(runner, MasterRunner):
        job = msgspec.json.decode(os.environ["BAYWATT_FLEET_JOB"], type=Job)
        Conductor(environment, job)
