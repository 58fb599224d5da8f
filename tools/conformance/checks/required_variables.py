# SPDX-License-Identifier: Apache-2.0
"""The variables that every station of a functional block must have (part 2, Referenced Components and Variables).

A row is component, variable, instance, data type and whether the CSMS can write it (`None`: the station's choice).
`EVSE` and `Connector` stand for each of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Required", "required"]


@dataclass(frozen=True)
class Required:
    """One row; see the module's text."""

    component: str
    variable: str
    instance: str
    data_type: str
    writable: bool | None

    def __str__(self) -> str:
        return f"{self.component}.{self.variable}" + (f"[{self.instance}]" if self.instance else "")


_RW, _RO, _ANY = True, False, None

_CORE = [
    Required("OCPPCommCtrlr", "ActiveNetworkProfile", "", "integer", _RO),  # erratum 2.57
    Required("OCPPCommCtrlr", "MessageTimeout", "Default", "integer", _RO),
    Required("OCPPCommCtrlr", "FileTransferProtocols", "", "MemberList", _RO),
    Required("OCPPCommCtrlr", "NetworkConfigurationPriority", "", "SequenceList", _RW),
    Required("OCPPCommCtrlr", "NetworkProfileConnectionAttempts", "", "integer", _RW),
    Required("OCPPCommCtrlr", "OfflineThreshold", "", "integer", _RW),
    Required("OCPPCommCtrlr", "MessageAttempts", "TransactionEvent", "integer", _RW),
    Required("OCPPCommCtrlr", "MessageAttemptInterval", "TransactionEvent", "integer", _RW),
    Required("OCPPCommCtrlr", "UnlockOnEVSideDisconnect", "", "boolean", _ANY),
    Required("OCPPCommCtrlr", "ResetRetries", "", "integer", _RW),
    Required("OCPPCommCtrlr", "RetryBackOffRepeatTimes", "", "integer", _RW),
    Required("OCPPCommCtrlr", "RetryBackOffRandomRange", "", "integer", _RW),
    Required("OCPPCommCtrlr", "RetryBackOffWaitMinimum", "", "integer", _RW),
    Required("OCPPCommCtrlr", "WebSocketPingInterval", "", "integer", _RW),
    Required("DeviceDataCtrlr", "ItemsPerMessage", "GetReport", "integer", _RO),
    Required("DeviceDataCtrlr", "ItemsPerMessage", "GetVariables", "integer", _RO),
    Required("DeviceDataCtrlr", "ItemsPerMessage", "SetVariables", "integer", _RO),
    Required("DeviceDataCtrlr", "BytesPerMessage", "GetReport", "integer", _RO),
    Required("DeviceDataCtrlr", "BytesPerMessage", "GetVariables", "integer", _RO),
    Required("DeviceDataCtrlr", "BytesPerMessage", "SetVariables", "integer", _RO),
    Required("ClockCtrlr", "DateTime", "", "dateTime", _RO),
    Required("ClockCtrlr", "TimeSource", "", "SequenceList", _RW),
    Required("SecurityCtrlr", "OrganizationName", "", "string", _RW),
    Required("SecurityCtrlr", "CertificateEntries", "", "integer", _RO),
    Required("SecurityCtrlr", "SecurityProfile", "", "integer", _RO),
    Required("AuthCtrlr", "AuthorizeRemoteStart", "", "boolean", _ANY),
    Required("AuthCtrlr", "LocalAuthorizeOffline", "", "boolean", _RW),
    Required("AuthCtrlr", "LocalPreAuthorize", "", "boolean", _RW),
    Required("TxCtrlr", "EVConnectionTimeOut", "", "integer", _RW),
    Required("TxCtrlr", "StopTxOnEVSideDisconnect", "", "boolean", _ANY),
    Required("TxCtrlr", "TxStartPoint", "", "MemberList", _ANY),
    Required("TxCtrlr", "TxStopPoint", "", "MemberList", _ANY),
    Required("TxCtrlr", "StopTxOnInvalidId", "", "boolean", _RW),
    Required("SampledDataCtrlr", "TxEndedMeasurands", "", "MemberList", _RW),
    Required("SampledDataCtrlr", "TxEndedInterval", "", "integer", _RW),
    Required("SampledDataCtrlr", "TxStartedMeasurands", "", "MemberList", _RW),
    Required("SampledDataCtrlr", "TxUpdatedMeasurands", "", "MemberList", _RW),
    Required("SampledDataCtrlr", "TxUpdatedInterval", "", "integer", _RW),
    Required("AlignedDataCtrlr", "Measurands", "", "MemberList", _RW),
    Required("AlignedDataCtrlr", "Interval", "", "integer", _RW),
    Required("AlignedDataCtrlr", "TxEndedMeasurands", "", "MemberList", _RW),
    Required("AlignedDataCtrlr", "TxEndedInterval", "", "integer", _RW),
    Required("ChargingStation", "Available", "", "boolean", _RO),
    Required("ChargingStation", "AvailabilityState", "", "OptionList", _RO),
    Required("ChargingStation", "SupplyPhases", "", "integer", _RO),
    Required("EVSE", "Available", "", "boolean", _RO),
    Required("EVSE", "AvailabilityState", "", "OptionList", _RO),
    Required("EVSE", "SupplyPhases", "", "integer", _RO),
    Required("EVSE", "Power", "", "decimal", _RO),
    Required("Connector", "Available", "", "boolean", _RO),
    Required("Connector", "AvailabilityState", "", "OptionList", _RO),  # erratum 2.66
    Required("Connector", "ConnectorType", "", "string", _RO),
    Required("Connector", "SupplyPhases", "", "integer", _RO),
]

_OPTIONAL_BLOCKS = {
    "profile-smart-charging": [
        Required("SmartChargingCtrlr", "ProfileStackLevel", "", "integer", _RO),
        Required("SmartChargingCtrlr", "RateUnit", "", "MemberList", _RO),
        Required("SmartChargingCtrlr", "PeriodsPerSchedule", "", "integer", _RO),
        Required("SmartChargingCtrlr", "Entries", "ChargingProfiles", "integer", _RO),
        Required("SmartChargingCtrlr", "LimitChangeSignificance", "", "decimal", _RW),
    ],
    "profile-local-authorization-list-management": [
        Required("LocalAuthListCtrlr", "Entries", "", "integer", _RO),
        Required("LocalAuthListCtrlr", "ItemsPerMessage", "", "integer", _RO),
        Required("LocalAuthListCtrlr", "BytesPerMessage", "", "integer", _RO),
    ],
    "DM": [
        Required("MonitoringCtrlr", "ItemsPerMessage", "SetVariableMonitoring", "integer", _RO),
        Required("MonitoringCtrlr", "BytesPerMessage", "SetVariableMonitoring", "integer", _RO),
    ],
    "UI": [
        Required("DisplayMessageCtrlr", "DisplayMessages", "", "integer", _RO),
        Required("DisplayMessageCtrlr", "SupportedFormats", "", "MemberList", _RO),
        Required("DisplayMessageCtrlr", "SupportedPriorities", "", "MemberList", _RO),
        Required("TariffCostCtrlr", "Currency", "", "string", _RW),
        Required("TariffCostCtrlr", "TariffFallbackMessage", "", "string", _RW),
        Required("TariffCostCtrlr", "TotalCostFallbackMessage", "", "string", _RW),
    ],
    "profile-iso-15118-support": [
        Required("ISO15118Ctrlr", "ContractValidationOffline", "", "boolean", _RW),
    ],
}


def required(answers: Mapping[str, object]) -> list[Required]:
    """What a product with these answers must have."""
    return _CORE + [row for block, rows in _OPTIONAL_BLOCKS.items() if answers.get(block) for row in rows]
