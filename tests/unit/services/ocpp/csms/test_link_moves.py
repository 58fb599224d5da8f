# SPDX-License-Identifier: Apache-2.0
"""The connection to the CSMS follows the links of the board."""

from __future__ import annotations

import asyncio
import socket

import pytest

from firmware.contract import LinkDetails
from services.ocpp.csms.failover import FAIL_BACK_S
from services.ocpp.csms.policy import RetryRules
from services.ocpp.csms.reach import reach_over
from services.ocpp.no_connection import Cause
from tests.support.csms import Fault, ScriptedCsms
from tests.support.link_bench import LinkBench, link_profile
from tests.support.sockets import eventually
from tests.support.timer import ManualTimer


def _default(name: str) -> dict[str, LinkDetails]:
    return {each: LinkDetails(default=each == name) for each in ("Wired0", "Wireless0")}


_BOTH_UP = {"Wired0": True, "Wireless0": True}
_SLOW = RetryRules(wait_minimum_s=3600.0, random_range_s=0.0, least_s=0.0)


async def test_a_default_route_that_moves_is_followed_at_once() -> None:
    async with ScriptedCsms() as csms:
        bench = LinkBench(link_profile(csms), retry=_SLOW)
        bench.link.links_changed(_BOTH_UP, _default("Wired0"))
        async with bench.running():
            await bench.up(1)
            assert bench.link.interface == "Wired0"
            bench.link.links_changed(_BOTH_UP, _default("Wireless0"))
            await bench.up(2)
            assert bench.link.interface == "Wireless0"
        assert bench.listener.downs[0] == "moving to Wireless0"
        assert bench.listener.losses == []


async def test_a_link_that_is_lost_is_replaced_at_once() -> None:
    async with ScriptedCsms() as wired, ScriptedCsms() as wireless:
        bench = LinkBench(
            link_profile(wired, 1), link_profile(wireless, 2, interface="Wireless0"), bind=True, retry=_SLOW
        )
        bench.link.links_changed(_BOTH_UP)
        async with bench.running():
            await bench.up(1)
            bench.link.links_changed({"Wired0": False, "Wireless0": True})
            await bench.up(2)
        assert bench.listener.ups == [1, 2]
        assert bench.listener.losses == [Cause.LINK_DOWN]


async def test_a_link_that_is_known_only_after_the_loss_of_the_other_is_dialled_at_once() -> None:
    async with ScriptedCsms() as wired, ScriptedCsms() as wireless:
        bench = LinkBench(
            link_profile(wired, 1), link_profile(wireless, 2, interface="Wireless0"), bind=True, retry=_SLOW
        )
        bench.link.links_changed({"Wired0": True, "Wireless0": False})
        async with bench.running():
            await bench.up(1)
            bench.link.links_changed({"Wired0": False, "Wireless0": False})
            await eventually(lambda: bench.listener.losses == [Cause.LINK_DOWN])
            bench.link.links_changed({"Wired0": False, "Wireless0": True})
            await bench.up(2)
        assert bench.listener.ups == [1, 2]


async def test_an_attempt_over_a_link_that_is_lost_is_given_up() -> None:
    async with ScriptedCsms() as wired, ScriptedCsms() as wireless:
        wired.fail(Fault.STALL_HANDSHAKE)
        bench = LinkBench(
            link_profile(wired, 1), link_profile(wireless, 2, interface="Wireless0"), bind=True, retry=_SLOW
        )
        bench.link.links_changed(_BOTH_UP)
        async with bench.running():
            await eventually(lambda: bench.link.interface == "Wired0")
            bench.link.links_changed({"Wired0": False, "Wireless0": True})
            await bench.up(1)
        assert bench.listener.ups == [2]
        assert bench.listener.failures == []


async def test_back_to_the_first_slot_with_a_closing_handshake_when_no_message_waits() -> None:
    async with ScriptedCsms() as wired, ScriptedCsms() as wireless:
        timer, busy = ManualTimer(), True
        bench = LinkBench(
            link_profile(wired, 1),
            link_profile(wireless, 2, interface="Wireless0"),
            timer=timer,
            bind=True,
            busy=lambda: busy,
        )
        bench.link.links_changed({"Wired0": False, "Wireless0": True})
        async with bench.running():
            await bench.up(1)
            bench.link.links_changed(_BOTH_UP)
            timer.advance(FAIL_BACK_S)
            assert bench.listener.downs == []
            busy = False
            timer.advance(1.0)
            await bench.up(2)
        assert bench.listener.ups == [2, 1]
        assert bench.listener.losses == []


# --- bound to an interface ------------------------------------------------------------------------------------


async def test_a_connection_is_bound_to_the_interface_of_its_slot() -> None:
    async with ScriptedCsms() as csms:
        bench = LinkBench(link_profile(csms), bind=True)
        bench.link.links_changed(_BOTH_UP, {"Wired0": LinkDetails(device="lo")})
        async with bench.running():
            await bench.up()


async def test_a_socket_that_is_bound_leaves_by_no_other_interface() -> None:
    async with ScriptedCsms() as csms:
        address = ("127.0.0.1", csms.port)
        bound = await reach_over("lo", address)
        assert bound.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0") == b"lo"
        bound.close()
        with pytest.raises(OSError):
            await reach_over("no-such-if", address)


async def test_an_interface_that_is_gone_is_a_failed_attempt() -> None:
    async with ScriptedCsms() as csms:
        bench = LinkBench(link_profile(csms), bind=True)
        bench.link.links_changed(_BOTH_UP, {"Wired0": LinkDetails(device="no-such-if")})
        async with bench.running():
            await bench.listener.until(lambda: bench.listener.failures)
        assert bench.listener.failures[0].cause is Cause.NO_ROUTE


async def test_every_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ScriptedCsms() as csms:
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", csms.port)),
        ]

        async def resolve(*_arguments: object, **_options: object) -> list[object]:
            return [*found]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
        (await reach_over("lo", ("csms.example", csms.port))).close()
