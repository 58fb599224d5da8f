# SPDX-License-Identifier: Apache-2.0
"""Each operation asks the OCPP service what it says, and its refusals become answers."""

from __future__ import annotations

from typing import Any

import pytest

from firmware.contract import administration as contract
from firmware.contract.administration import CommandRefused, Problem
from tests.support.commissioning import LABEL, Browser, Served

STATION = contract.StationInfo("CP1", "CP9", "p", "p", ["p"], "1.0.0", "SN", True)
PROFILES = contract.Profiles([contract.Profile(1, "ws://x.example", 1)], [1], 6, ["Wired0"])
TIME_ZONE = contract.VariableInfo("ClockCtrlr", "TimeZone", "string", "ReadWrite", value="Europe/Oslo")
OTHER = contract.VariableInfo("TxCtrlr", "EVConnectionTimeOut", "integer", "ReadWrite", value="60")
SET = contract.SetResults([contract.SetResult("ClockCtrlr", "TimeZone", "Accepted")])
CERTIFICATES = contract.Certificates([], 12)
TEST = contract.ConnectionTest([contract.TestStep(contract.Step.DNS, contract.Outcome.OK, "found")])
NEW_VALUE = {"component": "ClockCtrlr", "variable": "TimeZone", "value": "Europe/Oslo"}
PROFILE = {"url": "ws://x.example", "security_profile": 1}


@pytest.fixture(autouse=True)
def answers(page: Served) -> None:
    page.peer.answers = {
        contract.GetStation: STATION,
        contract.ListProfiles: PROFILES,
        contract.GetVariables: contract.Variables([TIME_ZONE, OTHER]),
        contract.SetVariables: SET,
        contract.ListCertificates: CERTIFICATES,
        contract.MakeSigningRequest: contract.SigningRequest("PEM"),
        contract.TestConnection: TEST,
        contract.MakeBundle: contract.Bundle("CP1 logs.tar.gz", 6),
        contract.ReadBundle: contract.Chunk(b"abcdef", True),
    }


@pytest.mark.parametrize(
    ("method", "path", "content", "command"),
    [
        ("GET", "/api/variables", None, contract.GetVariables()),
        (
            "POST",
            "/api/variables",
            {"values": [NEW_VALUE]},
            contract.SetVariables([contract.NewValue("ClockCtrlr", "TimeZone", "Europe/Oslo")]),
        ),
        ("GET", "/api/station", None, contract.GetStation()),
        ("PUT", "/api/station/identity", {"identity": "CP9"}, contract.SetIdentity("CP9")),
        ("PUT", "/api/station/product", {"product": "full"}, contract.SetProduct("full")),
        ("GET", "/api/profiles", None, contract.ListProfiles()),
        ("PUT", "/api/profiles/2", PROFILE, contract.SetProfile(contract.Profile(2, "ws://x.example", 1))),
        ("PUT", "/api/priority", {"slots": [2, 1]}, contract.SetPriority([2, 1])),
        ("POST", "/api/connection-test", {"slot": 1}, contract.TestConnection(slot=1)),
        ("GET", "/api/certificates", None, contract.ListCertificates()),
        ("POST", "/api/certificates", {"use": "csms", "pem": "P"}, contract.InstallRoot("csms", "P")),
        ("DELETE", "/api/certificates/ab12", None, contract.DeleteCertificate("ab12")),
        ("POST", "/api/signing-request", {}, contract.MakeSigningRequest()),
        ("PUT", "/api/station-certificate", {"pem": "P"}, contract.InstallChain("P")),
        ("POST", "/api/restart", {"what": "station", "on_idle": True}, contract.Restart("station", True)),
    ],
)
async def test_an_operation_is_one_command(
    page: Served, installer: Browser, method: str, path: str, content: object, command: contract.Command
) -> None:
    answer = await installer.call(method, path, content)
    assert answer.status == 200, answer.content
    assert command in page.peer.commands


@pytest.mark.parametrize(
    ("problem", "status"),
    [
        (Problem.BAD_REQUEST, 400), (Problem.NOT_READY, 503), (Problem.REFUSED, 409), (Problem.NOT_ALLOWED, 409),
        (Problem.NOT_FOUND, 404), (Problem.BUSY, 409), (Problem.STORAGE, 507), (Problem.UNSUPPORTED, 501),
        (Problem.FAILED, 502),
    ],
)  # fmt: skip
async def test_a_refusal_keeps_its_word_and_its_sentence(
    page: Served, installer: Browser, problem: Problem, status: int
) -> None:
    page.peer.answers[contract.SetIdentity] = CommandRefused(problem, "because of <b>this</b>")
    answer = await installer.call("PUT", "/api/station/identity", {"identity": "CP9"})
    assert (answer.status, answer.error, answer.content["detail"]) == (status, problem.value, "because of <b>this</b>")


async def test_without_the_ocpp_service_the_page_says_so(page: Served, installer: Browser) -> None:
    page.service.site.administration._link.on_closed(_connection(page), "killed")
    answer = await installer.get("/api/station")
    assert (answer.status, answer.error) == (503, "service_down")
    assert (await installer.get("/api/status")).status == 200


def _connection(page: Served) -> Any:
    return page.service.site.administration._link._connection


async def test_only_variables_of_a_component(installer: Browser) -> None:
    found = (await installer.get("/api/variables?component=clockctrlr")).content["variables"]
    assert [each["variable"] for each in found] == ["TimeZone"]
    assert (await installer.get("/api/variables?componnent=x")).error == "malformed"


async def test_a_connection_test_needs_one_thing_to_test(installer: Browser) -> None:
    for content in ({}, {"slot": 1, "profile": PROFILE}):
        assert (await installer.post("/api/connection-test", content)).error == "malformed"


@pytest.mark.parametrize("slot", ["x", "-1", "1.0", "%C2%B2", "99999", "%00"])
async def test_a_slot_is_a_number(installer: Browser, slot: str) -> None:
    assert (await installer.call("PUT", f"/api/profiles/{slot}", PROFILE)).error in ("not_found", "malformed")


async def test_a_text_that_is_too_long_for_the_socket_is_refused(installer: Browser) -> None:
    values = [{**NEW_VALUE, "value": "\x01" * 10_906}]
    answer = await installer.post("/api/variables", {"values": values})
    assert (answer.status, answer.error) == (413, "too_long")


async def test_variables_that_anybody_sets_are_an_event_at_once(page: Served, installer: Browser) -> None:
    async with installer._client.get(installer.url + "/api/events") as response:
        assert response.content_type == "text/event-stream"
        await response.content.readuntil(b"event: status\n")
        page.service.site.administration.on_variables_changed(contract.VariablesChanged([TIME_ZONE]))
        await response.content.readuntil(b"event: variables\n")
        assert b'"value":"Europe/Oslo"' in await response.content.readline()


async def test_a_stream_ends_with_its_session(page: Served, installer: Browser) -> None:
    async with installer._client.get(installer.url + "/api/events") as response:
        await response.content.readuntil(b"event: status\n")
        await installer.call("DELETE", "/api/session")
        assert (await response.content.read()).endswith(b"event: end\ndata: {}\n\n")


async def test_streams_are_bounded(page: Served, installer: Browser) -> None:
    hub = page.service.site.hub
    with hub.guest():
        hub._guests += 11
        answer = await installer.get("/api/events")
        assert (answer.status, answer.error) == (503, "busy")
        hub._guests -= 11


async def test_the_bundle_is_a_file(page: Served, installer: Browser) -> None:
    answer = await installer.get("/api/log/bundle")
    assert answer.content == b"abcdef"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="CP1_logs.tar.gz"'
    page.peer.answers[contract.MakeBundle] = CommandRefused(Problem.BUSY, "there is one")
    assert (await installer.get("/api/log/bundle")).error == "busy"


# --- factory reset ----------------------------------------------------------------------------------------------------


async def test_a_factory_reset_needs_the_identity_and_ends_everything(page: Served, installer: Browser) -> None:
    assert (await installer.post("/api/factory-reset", {"identity": "CP2"})).error == "not_confirmed"
    assert not any(isinstance(each, contract.FactoryReset) for each in page.peer.commands)
    await installer.post("/api/tokens", {"name": "t"})
    assert (await installer.post("/api/factory-reset", {"identity": "CP1"})).status == 200
    assert contract.FactoryReset() in page.peer.commands
    assert not (await installer.get("/api/session")).content["signed_in"]
    async with page.browser() as browser:
        assert (await browser.sign_in("installer", LABEL))["must_change_password"]
    assert page.service.site.accounts.tokens == []


async def test_a_factory_reset_that_is_refused_resets_nothing(page: Served, installer: Browser) -> None:
    page.peer.answers[contract.FactoryReset] = CommandRefused(Problem.NOT_ALLOWED, "a transaction runs")
    assert (await installer.post("/api/factory-reset", {"identity": "CP1"})).error == "not_allowed"
    assert (await installer.get("/api/status")).status == 200


# --- the wizard -------------------------------------------------------------------------------------------------------


async def steps(browser: Browser) -> dict[str, bool]:
    return {each["step"]: each["done"] for each in (await browser.get("/api/wizard")).content["steps"]}


async def test_the_wizard_sees_what_is_there(page: Served, installer: Browser) -> None:
    assert await steps(installer) == {
        "password": True, "station": True, "csms": True, "certificates": True, "network": False, "time_zone": True,
        "connection": False,
    }  # fmt: skip
    assert (await installer.get("/api/wizard")).content["restart_needed"]


@pytest.mark.parametrize(
    ("profile", "installed", "done"),
    [(1, [], True), (2, [], False), (2, ["csms"], True), (3, ["csms"], False), (3, ["csms", "station"], True)],
)
async def test_certificates_are_needed_by_security_profile(
    page: Served, installer: Browser, profile: int, installed: list[Any], done: bool
) -> None:
    page.peer.answers[contract.ListProfiles] = contract.Profiles(
        [contract.Profile(1, "wss://x.example", profile)], [1], 6, ["Wired0"]
    )
    page.peer.answers[contract.ListCertificates] = contract.Certificates(
        [contract.CertificateInfo(use, "s", "i", "1", "t", "t", "f") for use in installed], 12
    )
    assert (await steps(installer))["certificates"] is done


async def test_a_slot_without_priority_connects_nothing(page: Served, installer: Browser) -> None:
    page.peer.answers[contract.ListProfiles] = contract.Profiles([contract.Profile(1, "ws://x", 1)], [], 6, ["Wired0"])
    assert not (await steps(installer))["csms"]
