# SPDX-License-Identifier: Apache-2.0
"""The child process of a Locust worker, with the worker's share of the stations, on one asyncio loop.

    python -m tools.fleet.host FD FOLDER LOG

It obeys the orders that come on the socket FD (orders.py), works in FOLDER, and ends with its worker. Locust patches
the standard library for gevent; asyncio on top of it, and so the service, would not be what runs on a board. A thread
of the worker would see the same patched modules. A process sees none, and costs 35 MB for hundreds of stations.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import logging
import os
import random
import socket
import sys
import time
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import msgspec

from firmware import log
from firmware.product import Product
from tools.benchmark.machine import resident_mb
from tools.fleet import orders
from tools.fleet.cabinet import Outcome
from tools.fleet.ledger import Sample
from tools.fleet.network import STATION, NetworkLoop
from tools.fleet.orders import Close, Final, Network, Order, Plan, Samples, Start, Status, Stop, Visit
from tools.fleet.scenario import Scenario, product_of, takes_part
from tools.fleet.station import CSMS_ROOT, MANUFACTURER_ROOT, Station

__all__ = ["Host", "main"]

_SAMPLES_S = 0.5
_STATUS_S = 2.0
_LINE_BYTES = 4 * 1024 * 1024


class Host:
    """The stations of this process; `handle` takes the orders, `send` gets the reports."""

    def __init__(self, writer: asyncio.StreamWriter, network: NetworkLoop) -> None:
        self._writer = writer
        self._network = network
        self._stations: dict[int, Station] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._samples: list[Sample] = []
        self._visits: Counter[str] = Counter()
        self._cpu = (time.monotonic(), time.process_time())

    def handle(self, order: Order) -> None:
        match order:
            case Plan():
                self._take(order)
            case Start():
                self._start(order.number)
            case Visit():
                self._visit(order.number)
            case Stop():
                self._begin(self._stop(order.number))
            case Network():
                self._network.fail(lambda number: takes_part(number, order.down))
            case Close():
                raise SystemExit

    def _take(self, plan: Plan) -> None:
        self._plan = plan
        self._scenario = msgspec.json.decode(plan.scenario, type=Scenario)
        self._product: Product = product_of(self._scenario)
        for name, pem in ((CSMS_ROOT, plan.root), (MANUFACTURER_ROOT, plan.manufacturer_root)):
            if pem is not None:
                Path(name).write_text(pem)

    def _begin(self, work: Coroutine[Any, Any, None], number: int = 0) -> None:
        """Run `work` beside the rest, as the work of a station if it has a `number`."""
        context = contextvars.copy_context()
        if number:
            context.run(STATION.set, number)
        task = asyncio.get_running_loop().create_task(work, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _start(self, number: int) -> None:
        station = Station(number, self._scenario, self._product, self._plan, self._sampled)
        self._stations[number] = station
        self._begin(station.run(), number)

    def _sampled(self, sample: Sample) -> None:
        self._samples.append(sample)

    def _visit(self, number: int) -> None:
        station, sessions = self._stations.get(number), self._scenario.sessions
        if station is None:
            return
        length_s = random.uniform(sessions.shortest_s, sessions.longest_s)
        evses = len(self._product.hardware.evse)
        evse = random.randint(1, evses)
        if not takes_part(number * evses + evse, sessions.evse_share):
            return
        station.cabinet.come(evse, random.choice(sessions.id_tokens), length_s, self._on_left)

    def _on_left(self, outcome: Outcome) -> None:
        self._visits[outcome.value] += 1

    async def _stop(self, number: int) -> None:
        station = self._stations[number]
        await asyncio.sleep(random.uniform(0.0, self._plan.spread_s))
        await station.stop(self._plan.drain_s)
        del self._stations[number]
        transactions = station.ledger.transactions
        self._send(
            Final(
                number,
                station.identity,
                transactions={name: each.answered for name, each in transactions.items()},
                sent=sum(each.sent for each in transactions.values()),
                answered=sum(each.answered for each in transactions.values()),
                repeated=station.ledger.repeated,
                gaps=sum(each.gaps for each in transactions.values()),
                not_ended=sum(not each.ended for each in transactions.values()),
                left_over=station.left_over,
                firmware=station.firmware,
                failure=station.failure,
            )
        )

    async def report(self) -> None:
        """Send the samples, and now and then the state, until cancelled."""
        due = 0.0
        while True:
            await asyncio.sleep(_SAMPLES_S)
            if self._samples:
                calls, self._samples = self._samples, []
                self._send(Samples(calls))
            if time.monotonic() >= due:
                due = time.monotonic() + _STATUS_S
                self._send(self._status())

    def _send(self, message: orders.FromHost) -> None:
        self._writer.write(orders.encode(message))

    def _status(self) -> Status:
        stations = self._stations.values()
        (then, used), self._cpu = self._cpu, (time.monotonic(), time.process_time())
        return Status(
            stations=len(stations),
            online=sum(each.online for each in stations),
            charging=sum(each.cabinet.charging for each in stations),
            visits=dict(self._visits),
            waiting=sum(each.waiting for each in stations),
            memory_mb=resident_mb(os.getpid()),
            cpu_percent=100.0 * (self._cpu[1] - used) / max(1e-3, self._cpu[0] - then),
        )


class _OfStation(logging.Filter):
    """Says in each line of the log which station it is about."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.name = f"{STATION.get(0)} {record.name}"
        return True


async def _serve(connection: socket.socket, network: NetworkLoop) -> None:
    reader, writer = await asyncio.open_connection(sock=connection, limit=_LINE_BYTES)
    host = Host(writer, network)
    reporting = asyncio.create_task(host.report())
    gc.freeze()  # what all stations share is looked at no more
    try:
        while line := await reader.readline():
            host.handle(orders.decode_order(line))
    except ConnectionError:
        pass  # the worker has been killed
    finally:
        reporting.cancel()


def main(argv: list[str]) -> int:
    """Runs until the worker closes the socket; what the stations then do ends with the process."""
    descriptor, folder, log_file = argv
    os.chdir(folder)
    log.setup("WARNING", Path(log_file))
    for handler in logging.getLogger().handlers:
        handler.addFilter(_OfStation())
    network = NetworkLoop()
    with contextlib.suppress(SystemExit):
        network.run_until_complete(_serve(socket.socket(fileno=int(descriptor)), network))
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
