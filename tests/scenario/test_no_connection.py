# SPDX-License-Identifier: Apache-2.0
"""Why there is no connection, as each person sees it: engineers in the state, on the rig's standard error and in the
log, EV drivers on the display. All go through the rig's network, which must not hide a cause."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from firmware.clock import parse_utc
from services.ocpp.no_connection import Cause
from tests.support.csms import Fault, ScriptedCsms
from tests.support.rig import Rig
from tests.support.scenario import PASSWORD, Site, site
from tests.support.tls import make_files, server_context
from tools.rig.factory_file import RETRY_AFTER_1_S, factory_file


async def seen(here: Site, cause: Cause, *words: str) -> dict[str, Any]:
    """Wait until the cause is in the state, with these words; it then is everywhere. Returns `last_failure`."""

    def in_state(state: dict[str, Any]) -> bool:
        failure = state["ocpp"]["last_failure"]
        return failure is not None and failure["kind"] == cause.kind and all(word in failure["text"] for word in words)

    state = await here.rig.client.until(in_state)
    failure: dict[str, Any] = state["ocpp"]["last_failure"]
    assert set(failure) == {"time", "slot", "kind", "text"}
    assert f"slot {failure['slot']}, {failure['kind']}: {failure['text']}" in here.rig.errors.read_text()
    assert f"slot {failure['slot']}: {failure['text']}" in here.log("ocpp")
    assert PASSWORD not in failure["text"]
    await here.until_page(1, "offline", offline=cause.for_driver.value)
    return failure


def closed_port() -> int:
    """A port at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


async def test_a_csms_that_is_not_reached(csms: ScriptedCsms, tmp_path: Path) -> None:
    """A dead name, a closed port, a network without a route; then each mode of the rig's network."""
    port = closed_port()
    causes = {
        "ws://csms.invalid:9000/ocpp": (Cause.NAME, "csms.invalid"),
        f"ws://127.0.0.1:{port}/ocpp": (Cause.PORT_CLOSED, f"nothing listens at 127.0.0.1:{port}"),
        "ws://255.255.255.255:9/ocpp": (Cause.NO_ROUTE, "255.255.255.255:9 can't be reached: Network is unreachable"),
    }
    for number, (url, (cause, words)) in enumerate(causes.items()):
        file = tmp_path / f"{number}.toml"
        file.write_text(factory_file(url, password=PASSWORD, variables=RETRY_AFTER_1_S))
        async with Rig(tmp_path / str(number), station=file) as rig:
            await seen(Site(rig, csms), cause, words)


async def test_a_station_without_a_password(csms: ScriptedCsms, tmp_path: Path) -> None:
    """The CSMS is not dialled, and the reason is not one of the network."""
    file = tmp_path / "cp.toml"
    file.write_text(factory_file(csms.url, password=None, variables=RETRY_AFTER_1_S))
    async with Rig(tmp_path / "cp", station=file) as rig:
        await seen(Site(rig, csms), Cause.NO_PASSWORD, "needs a BasicAuthPassword")
        assert csms.attempts == 0


async def test_the_modes_of_the_network(here: Site) -> None:
    place = f"127.0.0.1:{here.csms.port}"
    await here.rig.op("network", mode="refuse")
    await here.rig.op("network", mode="close")
    await seen(here, Cause.PORT_CLOSED, f"nothing listens at {place}")
    await here.rig.op("network", mode="down")
    await seen(here, Cause.NO_ROUTE, f"{place} can't be reached: Network is unreachable")
    await here.rig.op("network", mode="up")
    await here.settled()


async def test_a_csms_that_refuses(here: Site) -> None:
    """Each refusal of the handshake, then a close with its reason. The last one stays when the connection is back."""
    place = f"127.0.0.1:{here.csms.port}"
    assert (await here.rig.state())["ocpp"]["last_failure"] is None
    for fault, cause, words in (
        (Fault.REFUSE_401, Cause.CREDENTIALS, "HTTP 401 Unauthorized"),
        (Fault.REFUSE_404, Cause.HTTP_STATUS, "HTTP 404 Not Found"),
        (Fault.REDIRECT, Cause.REDIRECT, f"HTTP 302 Found, to {here.csms.url}/elsewhere"),
        (Fault.NO_SUBPROTOCOL, Cause.SUBPROTOCOL, "ocpp2.0.1: it selected none"),
        (Fault.WRONG_SUBPROTOCOL, Cause.SUBPROTOCOL, "ocpp1.6"),
        (Fault.CLOSE_IN_HANDSHAKE, Cause.CLOSED_IN_HANDSHAKE, "without an answer"),
    ):
        here.csms.fail(fault)
        await here.rig.op("network", mode="close")
        await seen(here, cause, place, words)
        here.csms.fail(None)
        await here.settled()
    here.csms.fail(Fault.REFUSE_503)
    await here.csms.close(1008, "tenant closed,\nask for card 04A1B2C3D4E5F6")
    text = f'closed by {place} with 1008 (policy violation): "tenant closed, ask for card ***"'
    await here.rig.client.until(lambda _: text in here.rig.errors.read_text())
    assert text in here.log("ocpp")
    failure = await seen(here, Cause.HTTP_STATUS, "HTTP 503")
    here.csms.fail(None)
    await here.settled()
    await here.until_page(1, "idle")
    state = await here.rig.state()
    assert state["ocpp"]["last_failure"]["text"] == failure["text"]
    assert parse_utc(state["ocpp"]["last_failure"]["time"]) >= parse_utc(failure["time"])


async def test_a_close_with_its_reason(csms: ScriptedCsms, tmp_path: Path) -> None:
    """With a wait before the next attempt, it is what the EV driver reads meanwhile."""
    wait = {("OCPPCommCtrlr", "RetryBackOffWaitMinimum"): "5"}
    async with site(tmp_path, csms=csms, variables=wait) as here:
        await csms.close(1013, "maintenance until noon")
        text = f'closed by 127.0.0.1:{csms.port} with 1013 (try again later): "maintenance until noon"'
        assert (await seen(here, Cause.CLOSED))["text"] == text


async def test_tls_with_a_certificate_of_another_authority(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    file = tmp_path / "cp.toml"
    async with ScriptedCsms(tls=server_context(files), host="localhost") as csms:
        profile = {"security_profile": 2}
        roots = {"csms_root": ["other-root.pem"]}
        file.write_text(
            factory_file(csms.url, password=PASSWORD, profile=profile, variables=RETRY_AFTER_1_S, certificates=roots)
        )
        async with Rig(tmp_path / "cp", station=file) as rig:
            here = Site(rig, csms)
            failure = await seen(here, Cause.CSMS_CERTIFICATE)
            rule = "no installed CSMS root has signed it"
            which = 'certificate of "localhost", issued by "Test Root"'
            assert failure["text"].startswith(f"the certificate of localhost:{csms.port} is refused: {rule} ({which}, ")
            assert csms.handshakes == []


@pytest.mark.parametrize(("status", "cause"), [("Rejected", Cause.REJECTED), ("Pending", Cause.PENDING)])
async def test_a_station_that_is_not_registered(csms: ScriptedCsms, tmp_path: Path, status: str, cause: Cause) -> None:
    accepted = csms.answers["BootNotification"]
    assert callable(accepted)
    info = {"reasonCode": "NotFound", "additionalInfo": "no such station"}
    csms.answers["BootNotification"] = lambda it: {**accepted(it), "status": status, "statusInfo": info, "interval": 1}
    async with site(tmp_path, csms=csms, accepted=False) as here:
        failure = here.rig.client.until(lambda state: state["ocpp"]["last_failure"])
        text = (await failure)["ocpp"]["last_failure"]["text"]
        assert text == f"the CSMS answered BootNotification with {status}: NotFound no such station"
        await here.until_page(1, "offline", offline=cause.for_driver.value)
        csms.answers["BootNotification"] = accepted
        await here.settled()
