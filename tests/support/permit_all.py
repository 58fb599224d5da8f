# SPDX-License-Identifier: Apache-2.0
"""A process that replaces the OCPP service in tests of the rig: it permits energy for every car that is plugged in.

It uses both local sockets of the service, so that the rig sees a whole station: the HAL's in the role `service`, and
the status feed. A card on the reader stops every session.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from msgspec.structs import replace

from firmware import log
from firmware.config import load
from firmware.contract import CardPresented, Permit, Plugged, Role, Snapshot, Stamped, Withdraw
from firmware.contract.status import CardNotice, FromService, ServiceStatus
from firmware.errors import ContractError
from firmware.ipc.connection import Connection
from firmware.ipc.framing import encode
from firmware.ipc.hal_link import HalLink, LinkState
from firmware.ipc.listener import UnixListener
from firmware.lifecycle import Lifecycle, run
from services.ocpp.config import ServiceConfig
from tests.support.service_status import IDLE_EVSE, STATUS

LEASE_S = 5.0


class PermitAll:
    """Watches the HAL and serves the status feed."""

    def __init__(self, config: ServiceConfig) -> None:
        self.link = HalLink(Path(config.hal_socket), self, role=Role.SERVICE, software="permit_all")
        self.feed: UnixListener[FromService] = UnixListener(Path(config.status_socket), _refuse, self)
        self.plugged: set[int] = set()
        self._clients: set[Connection[FromService]] = set()

    async def renew(self) -> None:
        while True:
            for evse in self.plugged:
                self._permit(evse)
            await asyncio.sleep(1.0)

    def _permit(self, evse: int) -> None:
        self._request(Permit(evse=evse, session=f"session-{evse}", lease_s=LEASE_S))

    def _request(self, command: Permit | Withdraw) -> None:
        if self.link.state is LinkState.UP:
            self.link.request(command)

    # --- HalWatcher -------------------------------------------------------------------------------------------

    def on_hal_up(self, snapshot: Snapshot) -> None:
        self.plugged = {each.evse for each in snapshot.evses if each.plugged}

    def on_hal_event(self, stamped: Stamped) -> None:
        match stamped.event:
            case Plugged(evse=evse):
                self.plugged.add(evse)
                self._permit(evse)
            case CardPresented(uid=uid):
                for evse in self.plugged:
                    self._request(Withdraw(evse=evse))
                self.plugged.clear()
                self._send(CardNotice(uid=uid, outcome="stopped"))
        if stamped.keep:
            self.link.acknowledge(stamped.seq)

    def on_hal_down(self, reason: str) -> None:
        self.plugged.clear()

    # --- status feed ------------------------------------------------------------------------------------------

    def _send(self, message: CardNotice | ServiceStatus) -> None:
        for client in self._clients:
            client.send(encode(message))

    def on_open(self, connection: Connection[FromService]) -> None:
        self._clients.add(connection)
        connection.send(encode(_STATUS))

    def on_message(self, connection: Connection[FromService], message: FromService) -> None:
        """Never called: `_refuse` accepts no message."""

    def on_closed(self, connection: Connection[FromService], reason: str) -> None:
        self._clients.discard(connection)


_STATUS = replace(STATUS, firmware_version="9.9.9", evses=[replace(IDLE_EVSE, evse=evse) for evse in (1, 2)])


def _refuse(line: bytes) -> FromService:
    raise ContractError("the status feed takes no messages")


async def _serve(life: Lifecycle) -> None:
    config = load(Path(sys.argv[sys.argv.index("--config") + 1]), ServiceConfig)
    log.setup(config.log_level, None if config.log_file is None else Path(config.log_file))
    service = PermitAll(config)
    await service.feed.start()
    life.on_stop("feed", service.feed.close)
    life.critical("hal", service.link.run())
    life.critical("renew", service.renew())
    life.ready()


if __name__ == "__main__":
    sys.exit(run(_serve))
