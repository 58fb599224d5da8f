# SPDX-License-Identifier: Apache-2.0
"""Every statusInfo that leaves the station says in words why."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import services.ocpp
from services.ocpp.reason_texts import explain
from tests.support.plain_words import assert_plain, schema, valid
from tests.support.station_bench import StationBench

_BARE = re.compile(r'"reasonCode": "(\w+)"\}')


def requests(action: str) -> Iterator[dict[str, Any]]:
    """A valid request with every field, one for each value of each enumeration, and one without each optional field."""
    root = schema(f"{action}Request")
    full = valid(root, root)
    yield full
    for name, part in root["properties"].items():
        part = root["definitions"].get(part.get("$ref", "").rpartition("/")[2], part)
        for value in part.get("enum", (False, 0, 7) if part.get("type") in ("boolean", "integer") else ()):
            if part.get("type") != "boolean" or value is False:
                yield {**copy.deepcopy(full), name: value}
        if name not in root.get("required", ()):
            yield {key: value for key, value in copy.deepcopy(full).items() if key != name}


ACTIONS = [
    "CertificateSigned",
    "ChangeAvailability",
    "ClearCache",
    "CustomerInformation",
    "DataTransfer",
    "DeleteCertificate",
    "GetBaseReport",
    "GetInstalledCertificateIds",
    "GetLog",
    "GetReport",
    "GetTransactionStatus",
    "GetVariables",
    "InstallCertificate",
    "RequestStartTransaction",
    "RequestStopTransaction",
    "Reset",
    "SetNetworkProfile",
    "SetVariables",
    "TriggerMessage",
    "UnlockConnector",
    "UpdateFirmware",
]


@pytest.mark.parametrize("action", ACTIONS)
def test_every_status_info_is_plain(tmp_path: Path, action: str) -> None:
    bench = StationBench(tmp_path)
    bench.up()
    for request in requests(action):
        answer = bench.call(action, request)
        for info in infos(answer):
            assert_plain(info["additionalInfo"])
            assert len(info["additionalInfo"]) <= 512
            assert len(info["reasonCode"]) <= 20


def infos(answer: Any) -> Iterator[dict[str, str]]:
    if isinstance(answer, dict):
        for name, value in answer.items():
            if name in ("statusInfo", "attributeStatusInfo"):
                yield value
            else:
                yield from infos(value)
    elif isinstance(answer, list):
        for each in answer:
            yield from infos(each)


def test_every_bare_reason_code_has_a_text() -> None:
    sources = [path.read_text() for path in Path(services.ocpp.__file__).parent.rglob("*.py")]
    bare = {code for source in sources for code in _BARE.findall(source)}
    assert bare
    for code in bare:
        answers = [{"statusInfo": {"reasonCode": code}} for _ in ACTIONS]
        for action, answer in zip(ACTIONS, answers, strict=True):
            explain(action, answer)
        assert any("additionalInfo" in answer["statusInfo"] for answer in answers), code


def test_a_text_of_the_block_stays() -> None:
    answer = {"statusInfo": {"reasonCode": "UnknownEvse", "additionalInfo": "mine"}}
    explain("Reset", answer)
    assert answer["statusInfo"]["additionalInfo"] == "mine"
