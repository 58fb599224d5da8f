# SPDX-License-Identifier: Apache-2.0
"""What an operator, a technician and a person at the rig read after a mistake, from the real processes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.plain_words import assert_plain
from tests.support.scenario import Site
from tools.rig.client import RigRefused

PROFILE: dict[str, Any] = {
    "ocppVersion": "OCPP20",
    "ocppTransport": "JSON",
    "messageTimeout": 30,
    "securityProfile": 1,
    "ocppInterface": "Wired0",
}


async def test_an_operator_reads_what_was_expected(here: Site) -> None:
    place = {"component": {"name": "TxCtrlr"}, "variable": {"name": "EVConnectionTimeOut"}}
    answer = await here.csms.call("SetVariables", {"setVariableData": [{**place, "attributeValue": "0"}]})
    info = answer["setVariableResult"][0]["attributeStatusInfo"]
    assert info["reasonCode"] == "ValueOutOfRange"
    assert info["additionalInfo"].startswith("expected a whole number from 1 to ")
    assert info["additionalInfo"].endswith(" s, got 0")

    for url in ("http://csms.example", "ws://csms.example/?key=1", "ws://csms.example/#a"):
        profile = {"configurationSlot": 2, "connectionData": {**PROFILE, "ocppCsmsUrl": url}}
        refused = await here.csms.call("SetNetworkProfile", profile)
        assert refused["status"] == "Rejected"
        assert (
            "expected a ws:// or wss:// URL without user, query or fragment" in refused["statusInfo"]["additionalInfo"]
        )
        assert_plain(refused["statusInfo"]["additionalInfo"])

    unlocked = await here.csms.call("UnlockConnector", {"evseId": 1, "connectorId": 1})
    assert unlocked["statusInfo"]["additionalInfo"] == "the cable is part of the station: there is nothing to unlock"


async def test_a_wrong_message_is_explained_to_the_csms_and_in_the_log(here: Site) -> None:
    await here.csms.send_raw('[2,"wrong","Reset",{"type":"OnIdle","evseId":"1"}]')
    error = await here.csms.expect_error()
    assert error.code == "TypeConstraintViolation"
    assert error.description == "evseId: expected a whole number, got a text of 1 character"
    assert f"Reset of the CSMS refused: TypeConstraintViolation: {error.description}" in here.log("ocpp")


async def test_a_wrong_answer_of_the_csms_is_named_as_such(here: Site) -> None:
    here.csms.answers["Heartbeat"] = {"currentTime": 7}
    await here.csms.call("TriggerMessage", {"requestedMessage": "Heartbeat"})
    await here.csms.expect("Heartbeat")
    await here.csms.call("GetTransactionStatus", {})  # after this, the answer has been handled
    problem = "answer of the CSMS to Heartbeat: currentTime: expected a text, got a whole number"
    assert f"invalid {problem}" in here.log("ocpp")


async def test_a_person_at_the_rig_reads_what_was_expected(here: Site) -> None:
    with pytest.raises(RigRefused) as caught:
        await here.rig.op("plug_in", evse=0)
    assert caught.value.detail == "plug_in: evse: expected a whole number from 1 to 99, got 0"
