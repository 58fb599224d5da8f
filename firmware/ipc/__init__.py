# SPDX-License-Identifier: Apache-2.0
"""Local Unix sockets: what every process here needs to serve one or to follow one.

    framing.py      lines of typed JSON, without I/O
    connection.py   one end of one connection: bounded both ways, closed with a reason
    listener.py     serves a socket file: its mode, its lock, the peers' uids
    dialer.py       connects and reconnects for ever, with a growing pause
    hal_core.py     what may come and go on the HAL's socket, from the client's side; without I/O
    hal_link.py     the client of the HAL's socket, for observers and (with commands) for the service
    status.py       the client of the OCPP service's status feed

Import the module that is wanted; this package imports nothing by itself.
"""
