# SPDX-License-Identifier: Apache-2.0
"""The administration socket: what a person at the station asks of this service (`firmware/contract/administration.md`).

server.py      the socket: greeting, requests and answers, bounds
commands.py    each command: which unit of work answers it
variables.py   variables and their values, as the contract shows them

It translates; blocks and device model decide.
"""
