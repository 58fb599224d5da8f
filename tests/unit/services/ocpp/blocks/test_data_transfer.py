# SPDX-License-Identifier: Apache-2.0
"""Block P: no vendor is known here."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.station_bench import StationBench


@pytest.mark.parametrize("data", [None, "text", 1, {"deep": [1, None, {"x": True}]}, []])
def test_no_vendor_is_known(bench: StationBench, data: Any) -> None:
    request = {"vendorId": "com.example", "messageId": "anything", "data": data}
    assert bench.call("DataTransfer", request) == {"status": "UnknownVendorId"}  # P01.FR.05
    assert bench.call("DataTransfer", {"vendorId": ""}) == {"status": "UnknownVendorId"}
