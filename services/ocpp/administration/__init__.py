# SPDX-License-Identifier: Apache-2.0
"""The administration socket: what a person at the station asks of this service (`firmware/contract/administration.md`).

server.py      the socket: greeting, requests and answers, bounds
commands.py    each command: what answers it
units.py       how a command reaches the station: as a unit of work
trials.py, connection_test.py, remedies.py   the connection test: how far it may go, its steps, what mends a failure
live_messages.py, bundle.py   the messages as they come, the diagnostics archive
variables.py, settings.py, certificates.py, restarts.py   the commands by subject

It translates; blocks and device model decide.
"""
