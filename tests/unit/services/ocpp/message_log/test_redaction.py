# SPDX-License-Identifier: Apache-2.0
"""What of a message is shown: no secret, no card number, and enough to see what was said."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from firmware import product
from firmware.log import register_secret
from services.ocpp.device_model.build import build
from services.ocpp.message_log.redaction import HIDDEN, Redaction, _schema
from services.ocpp.rpc.validation import schema_folder
from tests.support.station_bench import set_variables

REDACTION = Redaction(build(product.load("c7am-400-cc")))
SECRET = "Pl4nted-5ecret"
TOKEN = {"idToken": SECRET, "type": "ISO14443", "additionalInfo": [{"additionalIdToken": SECRET, "type": "x"}]}


def shown(message: str, payload: Any, *, valid: bool = True) -> Any:
    return REDACTION.payload(message, payload, valid=valid)


def variable(component: str, name: str, **members: Any) -> dict[str, Any]:
    return {"component": {"name": component}, "variable": {"name": name}, **members}


@pytest.mark.parametrize(
    ("message", "payload"),
    [
        ("AuthorizeRequest", {"idToken": TOKEN}),
        ("AuthorizeResponse", {"idTokenInfo": {"status": "Accepted", "groupIdToken": TOKEN}}),
        ("TransactionEventRequest", {"eventType": "Started", "idToken": TOKEN}),
        ("RequestStartTransactionRequest", {"idToken": TOKEN, "groupIdToken": TOKEN}),
        ("SendLocalListRequest", {"localAuthorizationList": [{"idToken": TOKEN}]}),
        ("CustomerInformationRequest", {"customerIdentifier": SECRET, "idToken": TOKEN}),
        ("NotifyCustomerInformationRequest", {"data": f"card {SECRET}"}),
        ("TransactionEventResponse", {"updatedPersonalMessage": {"format": "UTF8", "content": f"Dear {SECRET}"}}),
        ("SetVariablesRequest", set_variables("SecurityCtrlr", "BasicAuthPassword", SECRET)),
        ("SetVariablesRequest", set_variables("securityctrlr", "BASICAUTHPASSWORD", SECRET)),
        ("SetVariablesRequest", set_variables("AuthCtrlr", "MasterPassGroupId", SECRET)),
        ("SetVariablesRequest", set_variables("SecurityCtrlr", "NoSuchVariable", SECRET)),
        ("SetVariablesRequest", set_variables("NoSuchCtrlr", "BasicAuthPassword", SECRET)),
        (
            "GetVariablesResponse",
            {"getVariableResult": [variable("AuthCtrlr", "MasterPassGroupId", attributeValue=SECRET)]},
        ),
        (
            "NotifyReportRequest",
            {"reportData": [variable("AuthCtrlr", "MasterPassGroupId", variableAttribute=[{"value": SECRET}])]},
        ),
        ("NotifyEventRequest", {"eventData": [variable("AuthCtrlr", "MasterPassGroupId", actualValue=SECRET)]}),
        ("SetNetworkProfileRequest", {"connectionData": {"apn": {"apnPassword": SECRET, "simPin": 48151623}}}),
        ("SetNetworkProfileRequest", {"connectionData": {"vpn": {"password": SECRET, "key": SECRET}}}),
        ("SetNetworkProfileRequest", {"connectionData": {"ocppCsmsUrl": f"wss://me:{SECRET}@csms.example/ocpp"}}),
        ("GetLogRequest", {"log": {"remoteLocation": f"ftp://me:{SECRET}@files.example/logs"}}),
        ("GetLogRequest", {"log": {"remoteLocation": f"ftp://me:a/b@c{SECRET}@files.example/logs"}}),
        ("GetLogRequest", {"log": {"remoteLocation": f"https://files.example/logs?sig={SECRET}"}}),
        ("GetLogRequest", {"log": {"remoteLocation": f"https://me:{SECRET}@[::1/logs"}}),
        ("UpdateFirmwareRequest", {"firmware": {"location": f"https://{SECRET}@files.example/image#{SECRET}"}}),
        ("DataTransferRequest", {"vendorId": "x", "data": {"idToken": SECRET, "card": SECRET}}),
        ("DataTransferResponse", {"status": "Accepted", "data": SECRET}),
        ("Get15118EVCertificateResponse", {"status": "Accepted", "exiResponse": SECRET}),
        ("BootNotificationResponse", {"status": "Accepted", "customData": {"vendorId": "x", "secret": SECRET}}),
        ("HeartbeatResponse", {"surplus": SECRET, "further": [48151623, {"deep": SECRET}]}),
        ("SecurityEventNotificationRequest", {"type": "x", "techInfo": f"password={SECRET}"}),
        ("SecurityEventNotificationRequest", {"type": "x", "techInfo": f"Authorization: Basic {SECRET}"}),
    ],
)
def test_secrets_and_personal_data_are_hidden(message: str, payload: Any) -> None:
    text = json.dumps(shown(message, payload))
    assert SECRET not in text
    assert "48151623" not in text
    assert HIDDEN in text


@pytest.mark.parametrize(
    ("message", "payload"),
    [
        ("ResetRequest", {"type": SECRET}),
        ("SetVariablesRequest", {"setVariableData": [{"attributeValue": {"password": SECRET}}]}),
        ("SetVariablesRequest", {"setVariableData": [variable("SecurityCtrlr", "Identity", attributeStatus=SECRET)]}),
        ("AuthorizeRequest", {"idToken": 48151623}),
        ("AuthorizeRequest", {"idToken": [SECRET, [TOKEN]]}),
        ("AuthorizeRequest", {"evse": {"idToken": TOKEN}}),
        ("StatusNotificationRequest", [SECRET, {"connectorStatus": [SECRET]}]),
        (None, {"attributeValue": SECRET, "type": 48151623}),
    ],
)
def test_of_what_breaks_its_schema_no_text_is_shown(message: str | None, payload: Any) -> None:
    text = json.dumps(REDACTION.payload(message, payload, valid=False))
    assert SECRET not in text
    assert "48151623" not in text


def test_a_secret_of_this_station_is_hidden_wherever_it_is() -> None:
    register_secret("c0rrect-horse")
    assert shown("BootNotificationRequest", {"reason": "see c0rrect-horse"}) == {"reason": f"see {HIDDEN}"}


def test_what_was_said_can_be_read() -> None:
    payload = {
        "eventType": "Started",
        "timestamp": "2026-11-24T00:00:00.000Z",
        "seqNo": 0,
        "transactionInfo": {"transactionId": "4f0c", "chargingState": "Charging"},
        "idToken": {"idToken": SECRET, "type": "ISO14443"},
        "meterValue": [{"timestamp": "2026-11-24T00:00:00Z", "sampledValue": [{"value": 12.5}]}],
    }
    assert shown("TransactionEventRequest", payload) == {**payload, "idToken": {"idToken": HIDDEN, "type": "ISO14443"}}
    setting = set_variables("ocppcommctrlr", "HeartbeatInterval", "300")
    assert shown("SetVariablesRequest", setting) == setting
    url = {"log": {"remoteLocation": f"https://me:{SECRET}@files.example:8443/logs?sig=1"}}
    assert shown("GetLogRequest", url)["log"]["remoteLocation"] == f"https://{HIDDEN}@files.example:8443/logs?{HIDDEN}"


def test_what_is_wrong_can_be_read() -> None:
    """Words of the schema, names of the device model, date-times without a zone, numbers."""
    payload = {"status": "Accepted", "interval": 300, "currentTime": "2026-11-24T00:00:00", "surplus": 1}
    assert shown("BootNotificationResponse", payload, valid=False) == {**payload, "surplus": HIDDEN}
    setting = {"setVariableData": [variable("OCPPCommCtrlr", "HeartbeatInterval", attributeValue=300)]}
    assert shown("SetVariablesRequest", setting, valid=False) == setting


@pytest.mark.parametrize("own", [False, True])
def test_a_callerror(own: bool) -> None:
    about_a_card = REDACTION.error("Authorize", f"card {SECRET}", {"idToken": SECRET}, own=own)
    about_another = REDACTION.error("Heartbeat", "the database is away", {}, own=own)
    assert about_another == {"description": "the database is away", "details": {}}
    assert (SECRET in json.dumps(about_a_card)) == own
    assert REDACTION.error("", f"card {SECRET}", {}, own=False)["description"] == HIDDEN


def test_numbers_that_no_json_has() -> None:
    assert shown("HeartbeatResponse", {"currentTime": 2**70}) == {"currentTime": HIDDEN}


def test_no_member_that_sounds_secret_is_shown_in_any_message() -> None:
    """A later version of the schemas must not bring one unnoticed."""
    sounds = re.compile(r"pass(word|phrase)|pin$|^key$|secret|idtoken$|customer(id|cert)|content$|^data$|^exi", re.I)
    harmless = {"groupIdToken"}  # an object whose idToken is hidden
    found: set[str] = set()
    for file in schema_folder().glob("*.json"):
        members = _schema(Path(file).stem).members
        found |= {name for name in members if sounds.search(name)} - harmless
    assert {"idToken", "apnPassword", "key", "customerIdentifier"} <= found
    for name in found:
        assert shown("SetNetworkProfileRequest", {name: SECRET}) == {name: HIDDEN}
