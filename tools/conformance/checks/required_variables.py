# SPDX-License-Identifier: Apache-2.0
"""The variables that a station must have, by functional block (part 2, Referenced Components and Variables).

A row is component, variable, instance, data type and whether the CSMS can write it (`None`: the station's choice).
A row of component `EVSE` or `Connector` applies to each of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["RequiredVariable", "required_variables"]


@dataclass(frozen=True)
class RequiredVariable:
    component: str
    variable: str
    instance: str
    data_type: str
    writable: bool | None

    def __str__(self) -> str:
        return f"{self.component}.{self.variable}" + (f"[{self.instance}]" if self.instance else "")


_RW, _RO, _ANY = True, False, None

_CORE = [
    RequiredVariable("OCPPCommCtrlr", "ActiveNetworkProfile", "", "integer", _RO),  # erratum 2.57
    RequiredVariable("OCPPCommCtrlr", "MessageTimeout", "Default", "integer", _RO),
    RequiredVariable("OCPPCommCtrlr", "FileTransferProtocols", "", "MemberList", _RO),
    RequiredVariable("OCPPCommCtrlr", "NetworkConfigurationPriority", "", "SequenceList", _RW),
    RequiredVariable("OCPPCommCtrlr", "NetworkProfileConnectionAttempts", "", "integer", _RW),
    RequiredVariable("OCPPCommCtrlr", "OfflineThreshold", "", "integer", _RW),
    RequiredVariable("OCPPCommCtrlr", "MessageAttempts", "TransactionEvent", "integer", _RW),
    RequiredVariable("OCPPCommCtrlr", "MessageAttemptInterval", "TransactionEvent", "integer", _RW),
    RequiredVariable("OCPPCommCtrlr", "UnlockOnEVSideDisconnect", "", "boolean", _ANY),
    RequiredVariable("OCPPCommCtrlr", "ResetRetries", "", "integer", _RW),
    RequiredVariable("OCPPCommCtrlr", "RetryBackOffRepeatTimes", "", "integer", _RW),
    RequiredVariable("OCPPCommCtrlr", "RetryBackOffRandomRange", "", "integer", _RW),
    RequiredVariable("OCPPCommCtrlr", "RetryBackOffWaitMinimum", "", "integer", _RW),
    RequiredVariable("OCPPCommCtrlr", "WebSocketPingInterval", "", "integer", _RW),
    RequiredVariable("DeviceDataCtrlr", "ItemsPerMessage", "GetReport", "integer", _RO),
    RequiredVariable("DeviceDataCtrlr", "ItemsPerMessage", "GetVariables", "integer", _RO),
    RequiredVariable("DeviceDataCtrlr", "ItemsPerMessage", "SetVariables", "integer", _RO),
    RequiredVariable("DeviceDataCtrlr", "BytesPerMessage", "GetReport", "integer", _RO),
    RequiredVariable("DeviceDataCtrlr", "BytesPerMessage", "GetVariables", "integer", _RO),
    RequiredVariable("DeviceDataCtrlr", "BytesPerMessage", "SetVariables", "integer", _RO),
    RequiredVariable("ClockCtrlr", "DateTime", "", "dateTime", _RO),
    RequiredVariable("ClockCtrlr", "TimeSource", "", "SequenceList", _RW),
    RequiredVariable("SecurityCtrlr", "OrganizationName", "", "string", _RW),
    RequiredVariable("SecurityCtrlr", "CertificateEntries", "", "integer", _RO),
    RequiredVariable("SecurityCtrlr", "SecurityProfile", "", "integer", _RO),
    RequiredVariable("AuthCtrlr", "AuthorizeRemoteStart", "", "boolean", _ANY),
    RequiredVariable("AuthCtrlr", "LocalAuthorizeOffline", "", "boolean", _RW),
    RequiredVariable("AuthCtrlr", "LocalPreAuthorize", "", "boolean", _RW),
    RequiredVariable("TxCtrlr", "EVConnectionTimeOut", "", "integer", _RW),
    RequiredVariable("TxCtrlr", "StopTxOnEVSideDisconnect", "", "boolean", _ANY),
    RequiredVariable("TxCtrlr", "TxStartPoint", "", "MemberList", _ANY),
    RequiredVariable("TxCtrlr", "TxStopPoint", "", "MemberList", _ANY),
    RequiredVariable("TxCtrlr", "StopTxOnInvalidId", "", "boolean", _RW),
    RequiredVariable("SampledDataCtrlr", "TxEndedMeasurands", "", "MemberList", _RW),
    RequiredVariable("SampledDataCtrlr", "TxEndedInterval", "", "integer", _RW),
    RequiredVariable("SampledDataCtrlr", "TxStartedMeasurands", "", "MemberList", _RW),
    RequiredVariable("SampledDataCtrlr", "TxUpdatedMeasurands", "", "MemberList", _RW),
    RequiredVariable("SampledDataCtrlr", "TxUpdatedInterval", "", "integer", _RW),
    RequiredVariable("AlignedDataCtrlr", "Measurands", "", "MemberList", _RW),
    RequiredVariable("AlignedDataCtrlr", "Interval", "", "integer", _RW),
    RequiredVariable("AlignedDataCtrlr", "TxEndedMeasurands", "", "MemberList", _RW),
    RequiredVariable("AlignedDataCtrlr", "TxEndedInterval", "", "integer", _RW),
    RequiredVariable("ChargingStation", "Available", "", "boolean", _RO),
    RequiredVariable("ChargingStation", "AvailabilityState", "", "OptionList", _RO),
    RequiredVariable("ChargingStation", "SupplyPhases", "", "integer", _RO),
    RequiredVariable("EVSE", "Available", "", "boolean", _RO),
    RequiredVariable("EVSE", "AvailabilityState", "", "OptionList", _RO),
    RequiredVariable("EVSE", "SupplyPhases", "", "integer", _RO),
    RequiredVariable("EVSE", "Power", "", "decimal", _RO),
    RequiredVariable("Connector", "Available", "", "boolean", _RO),
    RequiredVariable("Connector", "AvailabilityState", "", "OptionList", _RO),  # erratum 2.66
    RequiredVariable("Connector", "ConnectorType", "", "string", _RO),
    RequiredVariable("Connector", "SupplyPhases", "", "integer", _RO),
]

_OPTIONAL_BLOCKS = {
    "profile-smart-charging": [
        RequiredVariable("SmartChargingCtrlr", "ProfileStackLevel", "", "integer", _RO),
        RequiredVariable("SmartChargingCtrlr", "RateUnit", "", "MemberList", _RO),
        RequiredVariable("SmartChargingCtrlr", "PeriodsPerSchedule", "", "integer", _RO),
        RequiredVariable("SmartChargingCtrlr", "Entries", "ChargingProfiles", "integer", _RO),
        RequiredVariable("SmartChargingCtrlr", "LimitChangeSignificance", "", "decimal", _RW),
    ],
    "profile-local-authorization-list-management": [
        RequiredVariable("LocalAuthListCtrlr", "Entries", "", "integer", _RO),
        RequiredVariable("LocalAuthListCtrlr", "ItemsPerMessage", "", "integer", _RO),
        RequiredVariable("LocalAuthListCtrlr", "BytesPerMessage", "", "integer", _RO),
    ],
    "DM": [
        RequiredVariable("MonitoringCtrlr", "ItemsPerMessage", "SetVariableMonitoring", "integer", _RO),
        RequiredVariable("MonitoringCtrlr", "BytesPerMessage", "SetVariableMonitoring", "integer", _RO),
    ],
    "UI": [
        RequiredVariable("DisplayMessageCtrlr", "DisplayMessages", "", "integer", _RO),
        RequiredVariable("DisplayMessageCtrlr", "SupportedFormats", "", "MemberList", _RO),
        RequiredVariable("DisplayMessageCtrlr", "SupportedPriorities", "", "MemberList", _RO),
        RequiredVariable("TariffCostCtrlr", "Currency", "", "string", _RW),
        RequiredVariable("TariffCostCtrlr", "TariffFallbackMessage", "", "string", _RW),
        RequiredVariable("TariffCostCtrlr", "TotalCostFallbackMessage", "", "string", _RW),
    ],
    "profile-iso-15118-support": [
        RequiredVariable("ISO15118Ctrlr", "ContractValidationOffline", "", "boolean", _RW),
    ],
}


def required_variables(answers: Mapping[str, object]) -> list[RequiredVariable]:
    """The variables that a product with these answers must have."""
    return _CORE + [row for block, rows in _OPTIONAL_BLOCKS.items() if answers.get(block) for row in rows]
