# SPDX-License-Identifier: Apache-2.0
"""An answer promises only what a power cut can't undo: on a full disk an order is refused, and nothing has changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.ocpp.device_model import keys
from services.ocpp.messages import IdTokenType
from tests.support.full_disk import full, in_child
from tests.support.station_bench import set_variables
from tests.support.update_bench import UpdateBench

NEW_PASSWORD = "fedcba9876543210"
CARD = "04A1B2C3D4E580"
TOKEN: IdTokenType = {"idToken": CARD, "type": "ISO14443"}
PROFILE = {
    "messageTimeout": 20,
    "ocppCsmsUrl": "ws://csms.example/ocpp",
    "ocppInterface": "Wired0",
    "ocppTransport": "JSON",
    "ocppVersion": "OCPP20",
    "securityProfile": 1,
}
ORDERS: dict[str, tuple[str, Any, str]] = {
    "variable": ("SetVariables", set_variables("OCPPCommCtrlr", "OfflineThreshold", "77"), "Rejected"),
    "password": ("SetVariables", set_variables("SecurityCtrlr", "BasicAuthPassword", NEW_PASSWORD), "Rejected"),
    "profile": ("SetNetworkProfile", {"configurationSlot": 2, "connectionData": PROFILE}, "Failed"),  # B09.FR.03
    "availability": ("ChangeAvailability", {"operationalStatus": "Inoperative"}, "Rejected"),
    "cache": ("ClearCache", {}, "Rejected"),
    "customer": (
        "CustomerInformation",
        {"requestId": 1, "report": False, "clear": True, "idToken": TOKEN},
        "Rejected",
    ),
}


class Bench(UpdateBench):
    """The full product, with a card in its cache."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, product_name="full")
        self.card(CARD, 1)
        self.card(CARD, 1)

    def order(self, action: str, request: Any) -> tuple[str, Any]:
        """Status and statusInfo of the answer."""
        answer = self.call(action, request)
        if action == "SetVariables":
            (result,) = answer["setVariableResult"]
            return result["attributeStatus"], result.get("attributeStatusInfo")
        return answer["status"], answer.get("statusInfo")

    @property
    def state(self) -> dict[str, Any]:
        """What the orders change."""
        model = self.context.model
        return {
            "variable": model.get(keys.OFFLINE_THRESHOLD),
            "password": model.get(keys.BASIC_AUTH_PASSWORD),
            "profile": self.context.profiles.get(2),
            "availability": [evse.operative for evse in self.context.hal.evses.values()],
            "cache": len(self.context.authorization_cache.about(TOKEN)),
            "storage": model.get(keys.AUTH_CACHE_STORAGE),
        }


@pytest.mark.parametrize("name", ORDERS)
def test_an_order_on_a_full_disk(tmp_path: Path, name: str) -> None:
    action, request, refused = ORDERS[name]

    def scenario() -> None:
        bench = Bench(tmp_path)
        before, sent = bench.state, len(bench.requests)
        full(True)
        status, info = bench.order(action, request)
        assert (status, info["reasonCode"]) == (refused, "OutOfStorage")
        assert "disk is full" in info["additionalInfo"]
        assert bench.state == before
        assert bench.requests[sent:] == [], "nothing has happened"
        assert "redial" not in bench.orders
        full(False)
        bench.advance(10)
        assert bench.state == before
        assert bench.order(action, request)[0] == "Accepted", "there is space again"
        assert bench.state != before
        after = bench.state
        bench.power_cut()
        bench.up()
        assert bench.state == after

    in_child(scenario)


def test_a_refused_order_does_not_come_back_with_the_disk(tmp_path: Path) -> None:
    def scenario() -> None:
        bench = Bench(tmp_path)
        before = bench.state
        full(True)
        for action, request, refused in ORDERS.values():
            assert bench.order(action, request)[0] == refused
        full(False)
        bench.advance(10)
        assert not bench.database.degraded
        bench.power_cut()
        bench.up()
        assert bench.state == before

    in_child(scenario)


def test_of_a_request_all_variables_are_set_or_none(tmp_path: Path) -> None:
    """B05.FR.09: an element that was refused anyway keeps its own reason."""

    def scenario() -> None:
        bench = Bench(tmp_path)
        threshold, timeout = bench.state["variable"], bench.context.model.get(keys.EV_CONNECTION_TIME_OUT)
        items = [
            *set_variables("OCPPCommCtrlr", "OfflineThreshold", "77")["setVariableData"],
            *set_variables("OCPPCommCtrlr", "OfflineThreshold", "78")["setVariableData"],
            *set_variables("TxCtrlr", "EVConnectionTimeOut", "0")["setVariableData"],
            *set_variables("TxCtrlr", "EVConnectionTimeOut", "33")["setVariableData"],
        ]
        full(True)
        results = bench.call("SetVariables", {"setVariableData": items})["setVariableResult"]
        reasons = [each["attributeStatusInfo"]["reasonCode"] for each in results]
        assert reasons == ["OutOfStorage", "OutOfStorage", "ValueOutOfRange", "OutOfStorage"]
        assert bench.state["variable"] == threshold
        assert bench.context.model.get(keys.EV_CONNECTION_TIME_OUT) == timeout

    in_child(scenario)


def test_an_update_on_a_full_disk(tmp_path: Path) -> None:
    def scenario() -> None:
        bench = Bench(tmp_path)
        full(True)
        assert bench.request(7) == "Rejected"
        assert bench.progress == []
        full(False)
        bench.advance(10)
        assert bench.request(8) == "Accepted"
        assert {each["requestId"] for each in bench.sent("FirmwareStatusNotification")} == {8}

    in_child(scenario)


def test_what_changes_nothing_is_accepted_on_a_full_disk(tmp_path: Path) -> None:
    def scenario() -> None:
        bench = Bench(tmp_path)
        full(True)
        request = set_variables("OCPPCommCtrlr", "OfflineThreshold", str(bench.state["variable"]))
        assert bench.order("SetVariables", request) == ("Accepted", None)

    in_child(scenario)


def test_charging_does_not_need_the_disk(tmp_path: Path) -> None:
    """Nor do a reset, a remote start and a log upload, with which an operator helps: a power cut replaces them."""

    def scenario() -> None:
        bench = Bench(tmp_path)
        full(True)
        log = {"logType": "DiagnosticsLog", "requestId": 1, "log": {"remoteLocation": "https://files.example/"}}
        start = {"idToken": TOKEN, "remoteStartId": 1, "evseId": 1}
        helps: list[tuple[str, Any]] = [("RequestStartTransaction", start), ("GetLog", log)]
        helps.append(("Reset", {"type": "Immediate"}))
        for action, request in helps:
            assert bench.call(action, request)["status"] == "Accepted", action

    in_child(scenario)
