# SPDX-License-Identifier: Apache-2.0
"""Local Unix sockets: serving one and following one.

    framing.py      lines of typed JSON, without I/O
    connection.py   one end of a connection: bounded in both directions, closed with a reason
    listener.py     serves a socket file: its mode, its lock, the peers' uids
    dialer.py       connects and keeps reconnecting, with a growing pause
    hal_core.py     the order of messages on the HAL's socket, client side; without I/O
    hal_link.py     the client of the HAL's socket, for observers and, with commands, for the service
    status.py       the client of the OCPP service's status feed

The package imports nothing by itself: import the modules.
"""
