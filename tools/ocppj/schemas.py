# SPDX-License-Identifier: Apache-2.0
"""The actions of each side, and the check of a payload against its JSON schema (part 3).

The schema files are those of the PyPI package `ocpp`, which is found but not imported (its import costs 200 ms).
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import jsonschema_rs
import msgspec

from firmware.clock import parse_utc
from firmware.schema_words import schema_problem

__all__ = ["CSMS_ACTIONS", "STATION_ACTIONS", "SchemaProblem", "Side", "check", "enumeration"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


CSMS_ACTIONS = _words(
    """
    CancelReservation CertificateSigned ChangeAvailability ClearCache ClearChargingProfile ClearDisplayMessage
    ClearVariableMonitoring CostUpdated CustomerInformation DataTransfer DeleteCertificate GetBaseReport
    GetChargingProfiles GetCompositeSchedule GetDisplayMessages GetInstalledCertificateIds GetLocalListVersion
    GetLog GetMonitoringReport GetReport GetTransactionStatus GetVariables InstallCertificate PublishFirmware
    RequestStartTransaction RequestStopTransaction ReserveNow Reset SendLocalList SetChargingProfile
    SetDisplayMessage SetMonitoringBase SetMonitoringLevel SetNetworkProfile SetVariableMonitoring SetVariables
    TriggerMessage UnlockConnector UnpublishFirmware UpdateFirmware
    """
)
"""The requests that a CSMS sends."""

STATION_ACTIONS = _words(
    """
    Authorize BootNotification ClearedChargingLimit DataTransfer FirmwareStatusNotification
    Get15118EVCertificate GetCertificateStatus Heartbeat LogStatusNotification MeterValues NotifyChargingLimit
    NotifyCustomerInformation NotifyDisplayMessages NotifyEVChargingNeeds NotifyEVChargingSchedule NotifyEvent
    NotifyMonitoringReport NotifyReport PublishFirmwareStatusNotification ReportChargingProfiles
    ReservationStatusUpdate SecurityEventNotification SignCertificate StatusNotification TransactionEvent
    """
)
"""The requests that a charging station sends."""

Side = Literal["Request", "Response"]

_INTEGER_LIMIT = 2**31
_ERROR_CODES = {
    "type": "TypeConstraintViolation",
    "required": "OccurrenceConstraintViolation",
    "minItems": "OccurrenceConstraintViolation",
    "maxItems": "OccurrenceConstraintViolation",
    "additionalProperties": "FormatViolation",
}


@dataclass(frozen=True)
class SchemaProblem:
    """The first error of a payload. `message` is such as `ResetRequest`; `code` is an error code of part 4."""

    message: str
    code: str
    path: str
    """Such as `evse.id` or `meterValue.0.timestamp`; empty for the payload itself."""
    detail: str
    """A sentence with the place."""

    def __str__(self) -> str:
        return f"{self.message}: {self.detail}"


def check(action: str, side: Side, payload: object) -> SchemaProblem | None:
    """The first error of the payload, or None."""
    if action not in CSMS_ACTIONS | STATION_ACTIONS:
        return SchemaProblem(action + side, "NotImplemented", "", f"{action} is not an action of OCPP 2.0.1")
    error = next(_validator(action, side).iter_errors(payload), None)
    if error is None:
        return None
    code = _ERROR_CODES.get(error.kind.name, "PropertyConstraintViolation")
    path = ".".join(str(part) for part in error.instance_path)
    return SchemaProblem(action + side, code, path, schema_problem(error))


def enumeration(action: str, side: Side, name: str) -> tuple[str, ...]:
    """The values of an enumeration named in a schema, such as `AuthorizationStatusEnumType`."""
    return tuple(_schema(action, side)["definitions"][name]["enum"])


@cache
def _validator(action: str, side: Side) -> jsonschema_rs.Draft6Validator:
    schema = _schema(action, side)
    _bound_integers(schema)
    return jsonschema_rs.Draft6Validator(schema, validate_formats=True, formats={"date-time": _is_date_time})


@cache
def _schema(action: str, side: Side) -> dict[str, Any]:
    # The files start with a byte order mark.
    text = (_folder() / f"{action}{side}.json").read_text(encoding="utf-8-sig")
    schema: dict[str, Any] = msgspec.json.decode(text)
    return schema


@cache
def _folder() -> Path:
    spec = importlib.util.find_spec("ocpp")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package `ocpp` is not installed: its JSON schemas are needed")
    return Path(spec.origin).parent / "v201" / "schemas"


def _bound_integers(schema: Any) -> None:
    """Limit every integer to 32 bits, as part 2, section 2.1.4 does and the schema files do not."""
    if isinstance(schema, list):
        for item in schema:
            _bound_integers(item)
    elif isinstance(schema, dict):
        if schema.get("type") == "integer":
            schema.setdefault("minimum", -_INTEGER_LIMIT)
            schema.setdefault("maximum", _INTEGER_LIMIT - 1)
        _bound_integers(list(schema.values()))


def _is_date_time(text: str) -> bool:
    try:
        parse_utc(text)
    except ValueError:
        return False
    return True
