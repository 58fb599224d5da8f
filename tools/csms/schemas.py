# SPDX-License-Identifier: Apache-2.0
"""Who may send which action, and a payload against its schema (part 3; the files come with the `ocpp` package)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import jsonschema_rs
import msgspec

__all__ = ["CSMS_ACTIONS", "STATION_ACTIONS", "SchemaProblem", "check", "enumeration"]


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
"""What a CSMS sends."""

STATION_ACTIONS = _words(
    """
    Authorize BootNotification ClearedChargingLimit DataTransfer FirmwareStatusNotification
    Get15118EVCertificate GetCertificateStatus Heartbeat LogStatusNotification MeterValues NotifyChargingLimit
    NotifyCustomerInformation NotifyDisplayMessages NotifyEVChargingNeeds NotifyEVChargingSchedule NotifyEvent
    NotifyMonitoringReport NotifyReport PublishFirmwareStatusNotification ReportChargingProfiles
    ReservationStatusUpdate SecurityEventNotification SignCertificate StatusNotification TransactionEvent
    """
)
"""What a charging station sends."""

Side = Literal["Request", "Response"]

_ERROR_CODES = {
    "type": "TypeConstraintViolation",
    "required": "OccurrenceConstraintViolation",
    "minItems": "OccurrenceConstraintViolation",
    "maxItems": "OccurrenceConstraintViolation",
    "additionalProperties": "FormatViolation",
}


@dataclass(frozen=True)
class SchemaProblem:
    """The first thing that is wrong: `path` is `/` separated, `code` an error code of part 4."""

    code: str
    path: str
    detail: str

    def __str__(self) -> str:
        return f"{self.path or '/'}: {self.detail}"


@cache
def _schema(action: str, side: Side) -> dict[str, Any]:
    # The files start with a byte order mark.
    text = files("ocpp").joinpath("v201", "schemas", f"{action}{side}.json").read_text(encoding="utf-8-sig")
    schema: dict[str, Any] = msgspec.json.decode(text)
    return schema


@cache
def _validator(action: str, side: Side) -> Any:
    return jsonschema_rs.validator_for(_schema(action, side))


def check(action: str, side: Side, payload: dict[str, Any]) -> SchemaProblem | None:
    """What is wrong with the payload, or None. `action` must be of one of the two lists."""
    try:
        _validator(action, side).validate(payload)
    except jsonschema_rs.ValidationError as error:
        keyword = str(error.schema_path[-1]) if error.schema_path else ""
        path = "/".join(str(part) for part in error.instance_path)
        code = _ERROR_CODES.get(keyword, "PropertyConstraintViolation")
        return SchemaProblem(code, path, str(error.message)[:300])
    return None


def enumeration(action: str, side: Side, name: str) -> tuple[str, ...]:
    """The values of an enumeration named in a schema, such as `AuthorizationStatusEnumType`."""
    return tuple(_schema(action, side)["definitions"][name]["enum"])
