# SPDX-License-Identifier: Apache-2.0
"""The connection test: each step that can fail, with its remedy, and that it leaves the station's connection alone."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from firmware.contract.administration import (
    ConnectionTest,
    InstallRoot,
    Outcome,
    Problem,
    Profile,
    Step,
    TestConnection,
)
from firmware.ipc.administration import CommandRefused
from services.ocpp.administration.connection_test import ALREADY_CONNECTED
from services.ocpp.administration.remedies import REMEDIES
from services.ocpp.no_connection import Cause
from tests.support.administration import Site
from tests.support.csms import CallFailed, Fault, ScriptedCsms
from tests.support.tls import make_files, server_context

PASSWORD = "0123456789abcdef"


@pytest.fixture(scope="module")
def tls_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_files(tmp_path_factory.mktemp("tls"))


async def trial(site: Site, url: str, security_profile: int = 1, **more: Any) -> ConnectionTest:
    """Of a station that is not connected, unless `more` says otherwise."""
    profile = Profile(2, url, security_profile, message_timeout_s=5)
    return await site.link.ask_for(TestConnection(profile=profile, **more), ConnectionTest)


def outcomes(test: ConnectionTest) -> list[str]:
    assert [each.step for each in test.steps] == list(Step)
    assert all(each.text for each in test.steps)
    return [each.outcome.value for each in test.steps]


def failed(test: ConnectionTest, step: Step) -> str:
    """The text of the one failure; everything after it was not tried, and it has a remedy."""
    number = list(Step).index(step)
    shown = outcomes(test)
    assert shown[number] == "failed"
    assert "failed" not in shown[:number]
    assert set(shown[number + 1 :]) <= {"skipped"}
    assert test.steps[number].remedy
    return test.steps[number].text


@pytest.fixture
def offline(site: Site) -> Site:
    site.bench.link_down()
    return site


async def test_a_good_csms_of_profile_1(offline: Site) -> None:
    async with ScriptedCsms() as csms:
        test = await trial(offline, csms.url)
        assert outcomes(test) == ["ok", "ok", "skipped", "ok", "ok", "ok"]
        assert test.note == ""
        boot = await csms.expect("BootNotification")
        assert boot["chargingStation"]["serialNumber"] == "SN-1"
        assert csms.handshakes[-1].path == "/ocpp/CP001"


async def test_a_good_csms_of_profile_2(offline: Site, tls_files: Path) -> None:
    await offline.link.ask(InstallRoot("csms", (tls_files / "root.pem").read_text()))
    async with ScriptedCsms(tls=server_context(tls_files), host="localhost") as csms:
        test = await trial(offline, csms.url, 2)
        assert outcomes(test) == ["ok"] * 6
        assert "TLSv1.3" in test.steps[2].text
        await csms.expect("BootNotification")


async def test_with_another_identity_and_password(offline: Site) -> None:
    async with ScriptedCsms() as csms:
        await trial(offline, csms.url, identity="CP-NEW", basic_auth_password="another-password-1")
        assert csms.handshakes[-1].path == "/ocpp/CP-NEW"
        await csms.expect("BootNotification")


async def test_a_name_without_an_address(offline: Site) -> None:
    assert "no-such-host.invalid" in failed(await trial(offline, "ws://no-such-host.invalid/ocpp"), Step.DNS)


async def test_a_closed_port(offline: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    test = await trial(offline, f"ws://127.0.0.1:{port}/ocpp")
    assert f"127.0.0.1:{port}" in failed(test, Step.TCP)
    assert test.steps[0].text == "127.0.0.1 has the address 127.0.0.1"


async def test_an_interface_without_a_link(offline: Site) -> None:
    offline.bench.context.hal.links["Wired0"] = False
    assert "Wired0" in failed(await trial(offline, "ws://127.0.0.1:9/ocpp"), Step.DNS)


@pytest.mark.parametrize("name", ["elsewhere", "expired"])
async def test_a_certificate_that_is_refused(offline: Site, tls_files: Path, name: str) -> None:
    await offline.link.ask(InstallRoot("csms", (tls_files / "root.pem").read_text()))
    async with ScriptedCsms(tls=server_context(tls_files, name), host="localhost") as csms:
        assert "certificate" in failed(await trial(offline, csms.url, 2), Step.TLS)


async def test_a_root_that_is_not_installed(offline: Site, tls_files: Path) -> None:
    await offline.link.ask(InstallRoot("csms", (tls_files / "other-root.pem").read_text()))
    async with ScriptedCsms(tls=server_context(tls_files), host="localhost") as csms:
        assert "no installed CSMS root" in failed(await trial(offline, csms.url, 2), Step.TLS)


async def test_a_station_without_a_certificate_of_its_own(offline: Site) -> None:
    async with ScriptedCsms() as csms:
        url = csms.url.replace("ws://", "wss://")
        assert "no charging station certificate" in failed(await trial(offline, url, 3), Step.TLS)


async def test_a_csms_that_wants_a_certificate_of_the_station(offline: Site, tls_files: Path) -> None:
    await offline.link.ask(InstallRoot("csms", (tls_files / "root.pem").read_text()))
    context = server_context(tls_files, client_certificates=True)
    async with ScriptedCsms(tls=context, host="localhost") as csms:
        test = await trial(offline, csms.url, 2)
        step = next(each.step for each in test.steps if each.outcome is Outcome.FAILED)
        assert step in (Step.TLS, Step.HTTP)
        failed(test, step)


async def test_a_port_without_tls(offline: Site) -> None:
    async with ScriptedCsms() as csms:
        failed(await trial(offline, csms.url.replace("ws://", "wss://"), 2), Step.TLS)


@pytest.mark.parametrize(
    ("fault", "step"),
    [
        (Fault.REFUSE_401, Step.HTTP),
        (Fault.REFUSE_404, Step.HTTP),
        (Fault.REFUSE_503, Step.HTTP),
        (Fault.REDIRECT, Step.HTTP),
        (Fault.NO_SUBPROTOCOL, Step.SUBPROTOCOL),
        (Fault.WRONG_SUBPROTOCOL, Step.SUBPROTOCOL),
        (Fault.STALL, Step.BOOT),
        (Fault.CALLERROR, Step.BOOT),
        (Fault.CLOSE, Step.BOOT),
        (Fault.INVALID_ANSWER, Step.BOOT),
        (Fault.BAD_UTF8, Step.BOOT),
        (Fault.OVERSIZED, Step.BOOT),
        (Fault.NONSENSE, Step.BOOT),
    ],
)
async def test_each_fault_of_a_csms_has_its_step(offline: Site, fault: Fault, step: Step) -> None:
    async with ScriptedCsms() as csms:
        csms.fail(fault)
        profile = Profile(2, csms.url, 1, message_timeout_s=1)
        test = await offline.link.ask_for(TestConnection(profile=profile), ConnectionTest)
        failed(test, step)
        before = test.steps[: list(Step).index(step)]
        assert [each.step for each in before if each.outcome is not Outcome.OK] == [Step.TLS]  # security profile 1


@pytest.mark.parametrize("fault", [Fault.CLOSE_IN_HANDSHAKE, Fault.NONSENSE_IN_HANDSHAKE])
async def test_what_is_no_csms(offline: Site, fault: Fault) -> None:
    async with ScriptedCsms() as csms:
        csms.fail(fault)
        test = await trial(offline, csms.url)
        failed(test, next(each.step for each in test.steps if each.outcome is Outcome.FAILED))


@pytest.mark.parametrize("status", ["Pending", "Rejected"])
async def test_a_csms_that_does_not_accept_the_station(offline: Site, status: str) -> None:
    async with ScriptedCsms() as csms:
        csms.answers["BootNotification"] = {
            "currentTime": "2027-01-15T08:00:00Z",
            "interval": 60,
            "status": status,
            "statusInfo": {"reasonCode": "NotYet", "additionalInfo": "ask the operator"},
        }
        text = failed(await trial(offline, csms.url), Step.BOOT)
        assert status in text
        assert "ask the operator" in text


async def test_no_secret_is_in_a_result(offline: Site) -> None:
    async with ScriptedCsms() as csms:
        csms.answers["BootNotification"] = CallFailed("InternalError", f"I heard {PASSWORD} and {SECRET}")
        test = await trial(offline, csms.url, basic_auth_password=SECRET)
        assert SECRET not in str(test)
        assert SECRET not in repr(TestConnection(basic_auth_password=SECRET))


SECRET = "candidate-password-77"

# --- the connection that the station has --------------------------------------------------------------------------


async def test_a_connected_station_is_not_thrown_off(site: Site) -> None:
    async with ScriptedCsms() as csms:
        test = await trial(site, csms.url)
        assert outcomes(test) == ["ok", "ok", "skipped", "skipped", "skipped", "skipped"]
        assert test.note == ALREADY_CONNECTED
        assert not csms.handshakes


async def test_unless_that_is_wanted(site: Site) -> None:
    async with ScriptedCsms() as csms:
        assert outcomes(await trial(site, csms.url, disturb=True))[-1] == "ok"


async def test_another_identity_disturbs_nobody(site: Site) -> None:
    async with ScriptedCsms() as csms:
        assert outcomes(await trial(site, csms.url, identity="CP-NEW"))[-1] == "ok"


async def test_the_slot_in_use_is_not_dialled(site: Site) -> None:
    """Nothing listens at the bench's address: dialling would fail."""
    test = await site.link.ask_for(TestConnection(slot=1), ConnectionTest)
    assert outcomes(test) == ["ok", "ok", "skipped", "ok", "ok", "ok"]
    assert "nothing was dialled" in test.note


async def test_the_slot_in_use_says_that_the_csms_has_not_accepted(site: Site) -> None:
    site.bench.context.registration.status = "Pending"
    failed(await site.link.ask_for(TestConnection(slot=1), ConnectionTest), Step.BOOT)


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (TestConnection(), Problem.BAD_REQUEST),
        (TestConnection(slot=1, profile=Profile(2, "ws://a/", 1)), Problem.BAD_REQUEST),
        (TestConnection(slot=5), Problem.NOT_FOUND),
        (TestConnection(profile=Profile(2, "http://a/", 1)), Problem.REFUSED),
        (TestConnection(profile=Profile(2, "ws://a/", 9)), Problem.REFUSED),
        (TestConnection(profile=Profile(2, "ws://a/", 1, "eth0")), Problem.BAD_REQUEST),
        (TestConnection(slot=1, identity="no blanks please"), Problem.BAD_REQUEST),
    ],
)
async def test_what_can_not_be_tried_is_refused(site: Site, command: TestConnection, problem: Problem) -> None:
    with pytest.raises(CommandRefused) as caught:
        await site.link.ask(command)
    assert caught.value.problem is problem


async def test_one_test_at_a_time_and_its_end_with_the_client(offline: Site) -> None:
    async with ScriptedCsms() as csms:
        csms.fail(Fault.STALL, times=1)
        peer = await offline.raw()
        profile = {"slot": 2, "url": csms.url, "security_profile": 1}
        peer.say(kind="request", id=1, command={"kind": "test_connection", "profile": profile})
        await csms.expect("BootNotification")
        with pytest.raises(CommandRefused) as caught:
            await trial(offline, csms.url)
        assert caught.value.problem is Problem.BUSY
        await peer.close()
        while True:  # the test of the client that has left ends
            try:
                assert outcomes(await trial(offline, csms.url))[-1] == "ok"
            except CommandRefused:
                await asyncio.sleep(0.01)
            else:
                break


def test_every_cause_that_a_test_can_meet_has_a_remedy() -> None:
    running = {Cause.CLOSED, Cause.BROKEN, Cause.NO_PONG, Cause.BAD_FRAME, Cause.READS_NOTHING}
    assert set(Cause) - running <= set(REMEDIES)
