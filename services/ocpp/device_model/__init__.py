# SPDX-License-Identifier: Apache-2.0
"""Components and variables of the station: data in, typed access inside, the CSMS's requests and reports outside.

product file + standard.json  ->  build.py  ->  DeviceModel (model.py)
                                                  keys.py       typed keys for our code
                                                  requests.py   B05 SetVariables, B06 GetVariables
                                                  reports.py    B07, B08 reports
                                                  hardware.py   what the HAL reports, as variables
"""

from __future__ import annotations

from services.ocpp.device_model.change import Change, Validator
from services.ocpp.device_model.hardware import Hardware
from services.ocpp.device_model.keys import Key
from services.ocpp.device_model.model import DeviceModel, Row, Store
from services.ocpp.device_model.reports import paged
from services.ocpp.device_model.requests import request_problem
from services.ocpp.device_model.values import Refusal
from services.ocpp.device_model.variable import Address

__all__ = [
    "Address",
    "Change",
    "DeviceModel",
    "Hardware",
    "Key",
    "Refusal",
    "Row",
    "Store",
    "Validator",
    "paged",
    "request_problem",
]
