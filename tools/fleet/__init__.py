# SPDX-License-Identifier: Apache-2.0
"""`baywatt fleet`: many stations of the real OCPP service in few processes, to load-test a CSMS (docs/fleet.md).

cli.py            the verb: checks, starts Locust's processes, verifies, sums up
scenario.py       what happens, as data; the files are in `scenarios/`
locustfile.py     what Locust loads: a user is a station; statistics, distribution, pace
link.py           from a Locust worker to its child process
host.py           the child process: asyncio, with no gevent in it
station.py        one station: the OCPP service as in production, restarted when it reboots
cabinet.py        its HAL behind the real socket: EVSEs and EV drivers, without physics
network.py        the network between stations and CSMS, which can fail
ledger.py         each message of a station: how long its answer took, and whether it came
orders.py         what worker and child say to each other
summary.py        figures of all workers, the live table, the page and the JSON at the end
verify.py         compares with what the bench CSMS has stored
"""
