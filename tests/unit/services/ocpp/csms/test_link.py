# SPDX-License-Identifier: Apache-2.0
"""The connection to the CSMS, against a real server on the loopback that does everything a CSMS should not."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import json
import logging
import ssl
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from firmware.factory_settings import NetworkProfile
from services.ocpp.csms.policy import RetryRules
from services.ocpp.no_connection import Cause
from tests.support.csms import Fault, ScriptedCsms
from tests.support.link_bench import QUICK, LinkBench, link_profile
from tests.support.sockets import eventually
from tests.support.timer import ManualTimer
from tests.support.tls import contexts, make_files, server_context

HEARTBEAT = '[2,"1","Heartbeat",{}]'


@pytest.fixture(scope="module")
def tls_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_files(tmp_path_factory.mktemp("tls"))


@contextlib.asynccontextmanager
async def _connected(**settings: Any) -> AsyncIterator[tuple[LinkBench, ScriptedCsms]]:
    async with ScriptedCsms() as csms:
        bench = LinkBench(link_profile(csms), **settings)
        async with bench.running():
            await bench.up()
            yield bench, csms


async def test_frames_go_both_ways_in_order() -> None:
    async with _connected() as (bench, csms):
        for number in range(50):
            bench.link.send(json.dumps([2, str(number), "Heartbeat", {}]))
        await bench.listener.until(lambda: len(bench.listener.frames) == 50)
        assert [json.loads(frame)[1] for frame in bench.listener.frames] == [str(number) for number in range(50)]
        assert [call.message_id for call in csms.received] == [str(number) for number in range(50)]
        assert (bench.listener.ups, bench.listener.downs) == ([1], [])


async def test_a_burst_of_requests_is_answered_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    async with _connected() as (bench, csms):
        answered = '[4,"-1","NotSupported","",{}]'
        monkeypatch.setattr(bench.listener, "on_link_frame", lambda _: bench.link.send(answered))
        for number in range(2000):
            await csms.send_raw(json.dumps([2, str(number), "ClearCache", {}]))
        await csms.until(lambda: len(csms.errors) == 2000, "2000 answers")
        assert bench.listener.downs == []


async def test_the_loss_of_a_connection_is_reported_once_and_repaired() -> None:
    async with _connected() as (bench, csms):
        for attempt in range(2, 5):
            csms.cut()
            await bench.up(attempt)
        assert len(bench.listener.downs) == 3
        assert bench.listener.ups == [1, 1, 1, 1]


async def test_a_clean_close_by_the_csms_is_followed_by_a_new_connection() -> None:
    async with _connected() as (bench, csms):
        await csms.close(1012, "restarting")
        await bench.up(2)
        place = f"127.0.0.1:{csms.port}"
        assert bench.listener.downs == [f'closed by {place} with 1012 (service restart): "restarting"']


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("card 04A1B2C3D4E580 unknown", "card *** unknown"),
        ("04:a1:b2:c3 is bad", "*** is bad"),
        ("the password 0123456789abcdef is wrong", "the password *** is wrong"),
        ("a\nb\x1b[31m\u202ec", "a b [31m c"),
        ("x" * 123, "x" * 117 + "..."),
    ],
)
async def test_the_reason_of_a_close_is_not_trusted(reason: str, shown: str) -> None:
    async with _connected() as (bench, csms):
        await csms.close(4001, reason)
        await bench.up(2)
        assert bench.listener.downs == [f'closed by 127.0.0.1:{csms.port} with 4001: "{shown}"']


async def test_a_connection_that_breaks_and_one_that_ends_without_a_close() -> None:
    async with _connected() as (bench, csms):
        csms.cut()
        await bench.up(2)
        assert bench.listener.losses == [Cause.BROKEN]


async def test_without_a_pong_the_connection_is_dropped_and_replaced() -> None:
    """A half-open link: nothing is closed, and nothing arrives."""
    async with _connected(ping_interval_s=0.05, pong_timeout_s=0.1, open_timeout_s=0.2) as (bench, csms):
        async with csms.blackhole():
            await bench.listener.until(lambda: bench.listener.downs)
            await bench.listener.until(lambda: bench.listener.failures)
        assert bench.listener.downs == [f"no pong in time: 127.0.0.1:{csms.port} did not answer a ping within 0.1 s"]
        assert bench.listener.failures[0].cause is Cause.NO_ANSWER
        await bench.up(2)
        bench.link.send(HEARTBEAT)
        await csms.expect("Heartbeat")


async def test_pongs_keep_the_connection() -> None:
    async with _connected(ping_interval_s=0.01, pong_timeout_s=1.0) as (bench, csms):
        for number in range(20):
            bench.link.send(json.dumps([2, str(number), "Heartbeat", {}]))
            await csms.expect("Heartbeat")
            await asyncio.sleep(0.01)
        assert bench.listener.downs == []


async def test_a_ping_interval_of_zero_means_no_pings() -> None:
    timer = ManualTimer()
    async with (
        _connected(ping_interval_s=0.0, pong_timeout_s=0.01, timer=timer) as (bench, csms),
        csms.blackhole(),
    ):
        for _ in range(10):
            await eventually(lambda: timer.pending == [5.0])  # the interval is read again, and no pong is awaited
            timer.advance(5.0)
        assert bench.listener.downs == []


async def test_a_large_frame_is_accepted_and_a_larger_one_closes_with_1009() -> None:
    async with _connected() as (bench, csms):
        await csms.send_raw("x" * 256 * 1024)
        await bench.listener.until(lambda: bench.listener.frames)
        await csms.send_raw("x" * (256 * 1024 + 1))
        await bench.listener.until(lambda: bench.listener.downs)
        assert f"because of what 127.0.0.1:{csms.port} sent: 1009" in bench.listener.downs[0]
        assert len(bench.listener.frames) == 1
        await bench.up(2)


async def test_text_that_is_no_utf8_closes_with_1007() -> None:
    async with _connected() as (bench, csms):
        csms.fail(Fault.BAD_UTF8, times=1)
        bench.link.send(HEARTBEAT)
        await bench.listener.until(lambda: bench.listener.downs)
        assert f"because of what 127.0.0.1:{csms.port} sent: 1007" in bench.listener.downs[0]
        await bench.up(2)


async def test_a_binary_frame_arrives_as_bytes() -> None:
    async with _connected() as (bench, csms):
        await csms.send_raw(b"[3]")
        await bench.listener.until(lambda: bench.listener.frames)
        assert bench.listener.frames == [b"[3]"]


def _large(message_id: int) -> str:
    return json.dumps([2, str(message_id), "DataTransfer", {"vendorId": "test", "data": "x" * 100_000}])


async def test_a_csms_that_takes_no_frames_is_dropped_and_spared_them_later() -> None:
    async with _connected() as (bench, csms):
        async with csms.blackhole():
            for number in range(1000):
                bench.link.send(_large(number))
                await asyncio.sleep(0)
                if bench.listener.downs:
                    break
            assert bench.listener.losses == [Cause.READS_NOTHING]
        await bench.up(2)
        bench.link.send(HEARTBEAT)
        await csms.expect("Heartbeat")
        assert len(csms.received) < number - 250  # what was still waiting


async def test_disconnecting_delivers_all_that_was_sent() -> None:
    async with _connected() as (bench, csms):
        for number in range(200):
            bench.link.send(_large(number))
        bench.link.disconnect("rebooting")
        await bench.listener.until(lambda: bench.listener.downs)
        await csms.until(lambda: not csms.connected, "the end of the connection")
        assert len(csms.received) == 200


async def test_frames_without_a_connection_are_dropped() -> None:
    async with ScriptedCsms() as csms:
        bench = LinkBench(link_profile(csms))
        bench.link.send(HEARTBEAT)
        async with bench.running():
            await bench.up()
            bench.link.send('[2,"2","Heartbeat",{}]')
            await csms.expect("Heartbeat")
        assert [call.message_id for call in csms.received] == ["2"]


async def test_disconnecting_delivers_what_was_sent_and_stays_away() -> None:
    timer = ManualTimer()
    async with _connected(timer=timer) as (bench, csms):
        bench.link.send(HEARTBEAT)
        bench.link.disconnect("rebooting")
        await csms.expect("Heartbeat")
        await bench.listener.until(lambda: bench.listener.downs)
        assert bench.listener.downs == ["rebooting"]
        assert timer.pending == []  # no wait that would end in another attempt
        assert csms.attempts == 1
        bench.link.reconnect()
        await bench.up(2)


async def test_reconnecting_uses_the_new_settings_at_once() -> None:
    async with _connected(retry=RetryRules(wait_minimum_s=60.0)) as (bench, csms):
        bench.settings = replace(bench.settings, basic_auth_password="fedcba9876543210")
        bench.link.send(HEARTBEAT)
        bench.link.reconnect()
        await bench.up(2)
        await csms.expect("Heartbeat")
        first, second = (handshake.headers["authorization"] for handshake in csms.handshakes)
        assert first != second
        assert bench.listener.downs == ["reconnecting"]


async def test_disconnecting_from_a_dead_csms_is_quick() -> None:
    async with _connected() as (bench, csms), csms.blackhole():
        async with asyncio.timeout(4.5):
            bench.link.disconnect("rebooting")
            await bench.listener.until(lambda: bench.listener.downs)


async def test_a_reconnect_interrupts_an_attempt() -> None:
    async with ScriptedCsms() as dead, ScriptedCsms() as alive:
        dead.fail(Fault.STALL_HANDSHAKE)
        bench = LinkBench(link_profile(dead, 1), link_profile(alive, 2))
        async with bench.running():
            await dead.until(lambda: dead.attempts == 1, "a visitor")
            bench.link.reconnect(2)
            await bench.up()
        assert bench.listener.ups == [2]
        assert bench.listener.failures == []


async def test_slots_are_tried_in_rotation_until_one_answers() -> None:
    """B10.FR.03"""
    async with ScriptedCsms() as first, ScriptedCsms() as second:
        first.fail(Fault.REFUSE_503)
        second.fail(Fault.REFUSE_503, times=3)
        bench = LinkBench(link_profile(first, 1), link_profile(second, 7))
        async with bench.running():
            await bench.up()
        assert [failure.slot for failure in bench.listener.failures] == [1, 1, 7, 7, 1, 1, 7]
        assert bench.listener.ups == [7]


async def test_after_a_loss_the_slot_that_worked_comes_first() -> None:
    async with ScriptedCsms() as first, ScriptedCsms() as second:
        first.fail(Fault.REFUSE_503, times=2)
        bench = LinkBench(link_profile(first, 1), link_profile(second, 2))
        async with bench.running():
            await bench.up(1)
            second.cut()
            await bench.up(2)
        assert bench.listener.ups == [2, 2]


async def test_a_slot_whose_interface_is_down_is_skipped_or_left() -> None:
    async with ScriptedCsms() as wired, ScriptedCsms() as wireless:
        bench = LinkBench(link_profile(wired, 1), link_profile(wireless, 2, interface="Wireless0"))
        bench.link.links_changed({"Wired0": False, "Wireless0": True})
        async with bench.running():
            await bench.up(1)
            bench.link.links_changed({"Wired0": True, "Wireless0": False})
            await bench.up(2)
        assert bench.listener.ups == [2, 1]
        assert bench.listener.downs[0] == "the interface Wireless0 has no link"


async def test_a_link_that_comes_up_ends_a_long_wait() -> None:
    async with ScriptedCsms() as csms:
        csms.fail(Fault.REFUSE_503, times=1)
        rules = RetryRules(wait_minimum_s=60.0, random_range_s=0.0)
        bench = LinkBench(link_profile(csms), retry=rules)
        bench.link.links_changed({"Wired0": False})
        async with bench.running():
            await bench.listener.until(lambda: bench.listener.failures)
            bench.settings = replace(bench.settings, retry=QUICK)
            bench.link.links_changed({"Wired0": True})
            await bench.up()


async def test_without_profiles_it_waits_for_a_reconnect() -> None:
    async with ScriptedCsms() as csms:
        bench = LinkBench()
        async with bench.running():
            await asyncio.sleep(0)
            bench.settings = replace(bench.settings, profiles=(link_profile(csms),))
            bench.link.reconnect()
            await bench.up()


async def test_stopping_leaves_no_connection_and_no_task() -> None:
    async with ScriptedCsms() as csms:
        bench = LinkBench(link_profile(csms))
        async with bench.running():
            await bench.up()
        await csms.until(lambda: not csms.connected, "the end of the connection")
        assert bench.listener.downs == ["stopping"]
        assert bench.listener.losses == []
        assert not [task for task in asyncio.all_tasks() if "services/ocpp/csms/link.py" in repr(task)]


async def test_an_exception_of_the_listener_is_not_swallowed() -> None:
    async with ScriptedCsms() as csms:
        bench = LinkBench(link_profile(csms))
        bench.listener.on_link_frame = lambda frame: 1 / 0  # type: ignore[method-assign, assignment]
        running = asyncio.ensure_future(bench.link.run())
        await csms.send_raw("x")
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(running, 5.0)


async def test_failed_attempts_leave_nothing_behind(tls_files: Path) -> None:
    contexts: list[weakref.ref[ssl.SSLContext]] = []

    def context(profile: NetworkProfile) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody
        contexts.append(weakref.ref(made))
        return made

    async with ScriptedCsms(tls=server_context(tls_files), host="localhost") as csms:
        bench = LinkBench(link_profile(csms, security_profile=2), tls=context)
        async with bench.running():
            await bench.listener.until(lambda: len(bench.listener.failures) >= 8)
            gc.collect()
            assert len(contexts) >= 8
            assert len([made for made in contexts if made() is not None]) <= 2


@pytest.mark.parametrize("polite", [True, False])
async def test_a_csms_that_ended_the_connection_is_verified_again(
    tls_files: Path, tmp_path: Path, polite: bool
) -> None:
    """TC_A_05_CS aborts the connection and comes back with another certificate (A00.FR.309)."""
    async with ScriptedCsms(tls=server_context(tls_files), host="localhost") as csms:
        bench = LinkBench(link_profile(csms, security_profile=2), tls=contexts(tls_files, tmp_path))
        async with bench.running():
            await bench.up()
            if polite:
                await csms.close()
            else:
                csms.cut()
            await bench.up(2)
            await csms.until_connected(2)
            assert csms.resumed is False


async def test_a_session_is_for_connections_that_break_in_silence(tls_files: Path, tmp_path: Path) -> None:
    async with ScriptedCsms(tls=server_context(tls_files), host="localhost") as csms:
        bench = LinkBench(link_profile(csms, security_profile=2), tls=contexts(tls_files, tmp_path))
        async with bench.running():
            await bench.up()
            bench.link.links_changed({"Wired0": False})
            bench.link.links_changed({"Wired0": True})
            await bench.up(2)
            await csms.until_connected(2)
            assert csms.resumed is True


async def test_no_password_in_any_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="services")
    async with _connected() as (bench, csms):
        bench.link.send('[2,"1","DataTransfer",{"vendorId":"secret-in-a-frame"}]')
        await csms.expect("DataTransfer")
        token = csms.handshakes[0].headers["authorization"].removeprefix("Basic ")
        ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("services"))
        assert ours
        for secret in ("0123456789abcdef", token, "secret-in-a-frame"):
            assert secret not in ours
        assert "0123456789abcdef" not in repr(bench.settings)


async def test_a_failure_that_repeats_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with ScriptedCsms() as csms:
        place = f"127.0.0.1:{csms.port}"
        csms.fail(Fault.REFUSE_503, times=6)
        bench = LinkBench(link_profile(csms))
        async with bench.running():
            await bench.up()
    assert [record.getMessage() for record in caplog.records if "no connection" in record.message] == [
        f"no connection, slot 1: {place} refused the WebSocket handshake: HTTP 503 Service Unavailable"
    ]


async def _relay(asked: list[dict[str, Any]], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    request = json.loads(await reader.readline())
    asked.append(request)
    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", request["port"])
    writer.write(b"{}\n")

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(4096):
                sink.write(data)
        sink.close()

    await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))


async def test_over_the_relay_of_a_rig(tmp_path: Path) -> None:
    asked: list[dict[str, Any]] = []
    path = str(tmp_path / "relay.sock")
    async with ScriptedCsms() as csms, await asyncio.start_unix_server(functools.partial(_relay, asked), path):
        bench = LinkBench(link_profile(csms, interface="Wireless0"), dial_via=path)
        async with bench.running():
            await bench.up()
            bench.link.send(HEARTBEAT)
            await csms.expect("Heartbeat")
        assert asked == [{"host": "127.0.0.1", "port": csms.port, "interface": "Wireless0"}]
        await csms.until(lambda: not csms.connected, "the end of the connection")


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (b'{"errno":-2,"text":"Name or service not known","resolver":true}\n', Cause.NAME),
        (b'{"errno":111,"text":"Connect call failed"}\n', Cause.PORT_CLOSED),
        (b'{"text":"Multiple exceptions: [Errno 101] Network is unreachable, [Errno 111] no"}\n', Cause.PORT_CLOSED),
        (b'{"errno":101,"text":""}\n', Cause.NO_ROUTE),
        (b'{"errno":110,"text":""}\n', Cause.NO_ANSWER),
        (b"", Cause.NO_ROUTE),
        (b"x" * 2000, Cause.NO_ROUTE),
    ],
)
async def test_a_relay_that_does_not_reach_the_csms_gives_its_error(
    tmp_path: Path, answer: bytes, cause: Cause
) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        writer.close()

    path = str(tmp_path / "relay.sock")
    async with ScriptedCsms() as csms, await asyncio.start_unix_server(refuse, path):
        bench = LinkBench(link_profile(csms), dial_via=path)
        async with bench.running():
            await bench.listener.until(lambda: bench.listener.failures)
        assert bench.listener.failures[0].cause is cause
        assert csms.attempts == 0


async def test_a_missing_relay_is_an_unreachable_csms(tmp_path: Path) -> None:
    async with ScriptedCsms() as csms:
        bench = LinkBench(link_profile(csms), dial_via=str(tmp_path / "none.sock"))
        async with bench.running():
            await bench.listener.until(lambda: bench.listener.failures)
        assert bench.listener.failures[0].cause is Cause.NO_ROUTE
