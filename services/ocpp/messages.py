# SPDX-License-Identifier: Apache-2.0
"""OCPP 2.0.1 messages as TypedDicts with the specification's own keys; written by `tools/generate/messages.py`.

Enumerations and `Action` are real `Literal`s. Messages and classes are TypedDicts for type checkers only: at run time
each of their names is `dict` (`StatusInfoType(reasonCode="...")` makes one), because building them all would add
20 to 30 ms to the start. What came over the wire is checked by `services.ocpp.rpc.validation`, not by these types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

Action: TypeAlias = Literal[
    "Authorize",
    "BootNotification",
    "CancelReservation",
    "CertificateSigned",
    "ChangeAvailability",
    "ClearCache",
    "ClearChargingProfile",
    "ClearDisplayMessage",
    "ClearVariableMonitoring",
    "ClearedChargingLimit",
    "CostUpdated",
    "CustomerInformation",
    "DataTransfer",
    "DeleteCertificate",
    "FirmwareStatusNotification",
    "Get15118EVCertificate",
    "GetBaseReport",
    "GetCertificateStatus",
    "GetChargingProfiles",
    "GetCompositeSchedule",
    "GetDisplayMessages",
    "GetInstalledCertificateIds",
    "GetLocalListVersion",
    "GetLog",
    "GetMonitoringReport",
    "GetReport",
    "GetTransactionStatus",
    "GetVariables",
    "Heartbeat",
    "InstallCertificate",
    "LogStatusNotification",
    "MeterValues",
    "NotifyChargingLimit",
    "NotifyCustomerInformation",
    "NotifyDisplayMessages",
    "NotifyEVChargingNeeds",
    "NotifyEVChargingSchedule",
    "NotifyEvent",
    "NotifyMonitoringReport",
    "NotifyReport",
    "PublishFirmware",
    "PublishFirmwareStatusNotification",
    "ReportChargingProfiles",
    "RequestStartTransaction",
    "RequestStopTransaction",
    "ReservationStatusUpdate",
    "ReserveNow",
    "Reset",
    "SecurityEventNotification",
    "SendLocalList",
    "SetChargingProfile",
    "SetDisplayMessage",
    "SetMonitoringBase",
    "SetMonitoringLevel",
    "SetNetworkProfile",
    "SetVariableMonitoring",
    "SetVariables",
    "SignCertificate",
    "StatusNotification",
    "TransactionEvent",
    "TriggerMessage",
    "UnlockConnector",
    "UnpublishFirmware",
    "UpdateFirmware",
]

ACTIONS: Final[frozenset[str]] = frozenset(get_args(Action))

APNAuthenticationEnumType: TypeAlias = Literal["CHAP", "NONE", "PAP", "AUTO"]
AttributeEnumType: TypeAlias = Literal["Actual", "Target", "MinSet", "MaxSet"]
AuthorizationStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Blocked",
    "ConcurrentTx",
    "Expired",
    "Invalid",
    "NoCredit",
    "NotAllowedTypeEVSE",
    "NotAtThisLocation",
    "NotAtThisTime",
    "Unknown",
]
AuthorizeCertificateStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "SignatureError",
    "CertificateExpired",
    "CertificateRevoked",
    "NoCertificateAvailable",
    "CertChainError",
    "ContractCancelled",
]
BootReasonEnumType: TypeAlias = Literal[
    "ApplicationReset",
    "FirmwareUpdate",
    "LocalReset",
    "PowerUp",
    "RemoteReset",
    "ScheduledReset",
    "Triggered",
    "Unknown",
    "Watchdog",
]
CancelReservationStatusEnumType: TypeAlias = Literal["Accepted", "Rejected"]
CertificateActionEnumType: TypeAlias = Literal["Install", "Update"]
CertificateSignedStatusEnumType: TypeAlias = Literal["Accepted", "Rejected"]
CertificateSigningUseEnumType: TypeAlias = Literal["ChargingStationCertificate", "V2GCertificate"]
ChangeAvailabilityStatusEnumType: TypeAlias = Literal["Accepted", "Rejected", "Scheduled"]
ChargingLimitSourceEnumType: TypeAlias = Literal["EMS", "Other", "SO", "CSO"]
ChargingProfileKindEnumType: TypeAlias = Literal["Absolute", "Recurring", "Relative"]
ChargingProfilePurposeEnumType: TypeAlias = Literal[
    "ChargingStationExternalConstraints",
    "ChargingStationMaxProfile",
    "TxDefaultProfile",
    "TxProfile",
]
ChargingProfileStatusEnumType: TypeAlias = Literal["Accepted", "Rejected"]
ChargingRateUnitEnumType: TypeAlias = Literal["W", "A"]
ChargingStateEnumType: TypeAlias = Literal["Charging", "EVConnected", "SuspendedEV", "SuspendedEVSE", "Idle"]
ClearCacheStatusEnumType: TypeAlias = Literal["Accepted", "Rejected"]
ClearChargingProfileStatusEnumType: TypeAlias = Literal["Accepted", "Unknown"]
ClearMessageStatusEnumType: TypeAlias = Literal["Accepted", "Unknown"]
ClearMonitoringStatusEnumType: TypeAlias = Literal["Accepted", "Rejected", "NotFound"]
ComponentCriterionEnumType: TypeAlias = Literal["Active", "Available", "Enabled", "Problem"]
ConnectorEnumType: TypeAlias = Literal[
    "cCCS1",
    "cCCS2",
    "cG105",
    "cTesla",
    "cType1",
    "cType2",
    "s309-1P-16A",
    "s309-1P-32A",
    "s309-3P-16A",
    "s309-3P-32A",
    "sBS1361",
    "sCEE-7-7",
    "sType2",
    "sType3",
    "Other1PhMax16A",
    "Other1PhOver16A",
    "Other3Ph",
    "Pan",
    "wInductive",
    "wResonant",
    "Undetermined",
    "Unknown",
]
ConnectorStatusEnumType: TypeAlias = Literal["Available", "Occupied", "Reserved", "Unavailable", "Faulted"]
CostKindEnumType: TypeAlias = Literal[
    "CarbonDioxideEmission",
    "RelativePricePercentage",
    "RenewableGenerationPercentage",
]
CustomerInformationStatusEnumType: TypeAlias = Literal["Accepted", "Rejected", "Invalid"]
DataEnumType: TypeAlias = Literal[
    "string",
    "decimal",
    "integer",
    "dateTime",
    "boolean",
    "OptionList",
    "SequenceList",
    "MemberList",
]
DataTransferStatusEnumType: TypeAlias = Literal["Accepted", "Rejected", "UnknownMessageId", "UnknownVendorId"]
DeleteCertificateStatusEnumType: TypeAlias = Literal["Accepted", "Failed", "NotFound"]
DisplayMessageStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "NotSupportedMessageFormat",
    "Rejected",
    "NotSupportedPriority",
    "NotSupportedState",
    "UnknownTransaction",
]
EnergyTransferModeEnumType: TypeAlias = Literal["DC", "AC_single_phase", "AC_two_phase", "AC_three_phase"]
EventNotificationEnumType: TypeAlias = Literal[
    "HardWiredNotification",
    "HardWiredMonitor",
    "PreconfiguredMonitor",
    "CustomMonitor",
]
EventTriggerEnumType: TypeAlias = Literal["Alerting", "Delta", "Periodic"]
FirmwareStatusEnumType: TypeAlias = Literal[
    "Downloaded",
    "DownloadFailed",
    "Downloading",
    "DownloadScheduled",
    "DownloadPaused",
    "Idle",
    "InstallationFailed",
    "Installing",
    "Installed",
    "InstallRebooting",
    "InstallScheduled",
    "InstallVerificationFailed",
    "InvalidSignature",
    "SignatureVerified",
]
GenericDeviceModelStatusEnumType: TypeAlias = Literal["Accepted", "Rejected", "NotSupported", "EmptyResultSet"]
GenericStatusEnumType: TypeAlias = Literal["Accepted", "Rejected"]
GetCertificateIdUseEnumType: TypeAlias = Literal[
    "V2GRootCertificate",
    "MORootCertificate",
    "CSMSRootCertificate",
    "V2GCertificateChain",
    "ManufacturerRootCertificate",
]
GetCertificateStatusEnumType: TypeAlias = Literal["Accepted", "Failed"]
GetChargingProfileStatusEnumType: TypeAlias = Literal["Accepted", "NoProfiles"]
GetDisplayMessagesStatusEnumType: TypeAlias = Literal["Accepted", "Unknown"]
GetInstalledCertificateStatusEnumType: TypeAlias = Literal["Accepted", "NotFound"]
GetVariableStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "UnknownComponent",
    "UnknownVariable",
    "NotSupportedAttributeType",
]
HashAlgorithmEnumType: TypeAlias = Literal["SHA256", "SHA384", "SHA512"]
IdTokenEnumType: TypeAlias = Literal[
    "Central",
    "eMAID",
    "ISO14443",
    "ISO15693",
    "KeyCode",
    "Local",
    "MacAddress",
    "NoAuthorization",
]
InstallCertificateStatusEnumType: TypeAlias = Literal["Accepted", "Rejected", "Failed"]
InstallCertificateUseEnumType: TypeAlias = Literal[
    "V2GRootCertificate",
    "MORootCertificate",
    "CSMSRootCertificate",
    "ManufacturerRootCertificate",
]
Iso15118EVCertificateStatusEnumType: TypeAlias = Literal["Accepted", "Failed"]
LocationEnumType: TypeAlias = Literal["Body", "Cable", "EV", "Inlet", "Outlet"]
LogEnumType: TypeAlias = Literal["DiagnosticsLog", "SecurityLog"]
LogStatusEnumType: TypeAlias = Literal["Accepted", "Rejected", "AcceptedCanceled"]
MeasurandEnumType: TypeAlias = Literal[
    "Current.Export",
    "Current.Import",
    "Current.Offered",
    "Energy.Active.Export.Register",
    "Energy.Active.Import.Register",
    "Energy.Reactive.Export.Register",
    "Energy.Reactive.Import.Register",
    "Energy.Active.Export.Interval",
    "Energy.Active.Import.Interval",
    "Energy.Active.Net",
    "Energy.Reactive.Export.Interval",
    "Energy.Reactive.Import.Interval",
    "Energy.Reactive.Net",
    "Energy.Apparent.Net",
    "Energy.Apparent.Import",
    "Energy.Apparent.Export",
    "Frequency",
    "Power.Active.Export",
    "Power.Active.Import",
    "Power.Factor",
    "Power.Offered",
    "Power.Reactive.Export",
    "Power.Reactive.Import",
    "SoC",
    "Voltage",
]
MessageFormatEnumType: TypeAlias = Literal["ASCII", "HTML", "URI", "UTF8"]
MessagePriorityEnumType: TypeAlias = Literal["AlwaysFront", "InFront", "NormalCycle"]
MessageStateEnumType: TypeAlias = Literal["Charging", "Faulted", "Idle", "Unavailable"]
MessageTriggerEnumType: TypeAlias = Literal[
    "BootNotification",
    "LogStatusNotification",
    "FirmwareStatusNotification",
    "Heartbeat",
    "MeterValues",
    "SignChargingStationCertificate",
    "SignV2GCertificate",
    "StatusNotification",
    "TransactionEvent",
    "SignCombinedCertificate",
    "PublishFirmwareStatusNotification",
]
MonitorEnumType: TypeAlias = Literal["UpperThreshold", "LowerThreshold", "Delta", "Periodic", "PeriodicClockAligned"]
MonitoringBaseEnumType: TypeAlias = Literal["All", "FactoryDefault", "HardWiredOnly"]
MonitoringCriterionEnumType: TypeAlias = Literal["ThresholdMonitoring", "DeltaMonitoring", "PeriodicMonitoring"]
MutabilityEnumType: TypeAlias = Literal["ReadOnly", "WriteOnly", "ReadWrite"]
NotifyEVChargingNeedsStatusEnumType: TypeAlias = Literal["Accepted", "Rejected", "Processing"]
OCPPInterfaceEnumType: TypeAlias = Literal[
    "Wired0",
    "Wired1",
    "Wired2",
    "Wired3",
    "Wireless0",
    "Wireless1",
    "Wireless2",
    "Wireless3",
]
OCPPTransportEnumType: TypeAlias = Literal["JSON", "SOAP"]
OCPPVersionEnumType: TypeAlias = Literal["OCPP12", "OCPP15", "OCPP16", "OCPP20"]
OperationalStatusEnumType: TypeAlias = Literal["Inoperative", "Operative"]
PhaseEnumType: TypeAlias = Literal["L1", "L2", "L3", "N", "L1-N", "L2-N", "L3-N", "L1-L2", "L2-L3", "L3-L1"]
PublishFirmwareStatusEnumType: TypeAlias = Literal[
    "Idle",
    "DownloadScheduled",
    "Downloading",
    "Downloaded",
    "Published",
    "DownloadFailed",
    "DownloadPaused",
    "InvalidChecksum",
    "ChecksumVerified",
    "PublishFailed",
]
ReadingContextEnumType: TypeAlias = Literal[
    "Interruption.Begin",
    "Interruption.End",
    "Other",
    "Sample.Clock",
    "Sample.Periodic",
    "Transaction.Begin",
    "Transaction.End",
    "Trigger",
]
ReasonEnumType: TypeAlias = Literal[
    "DeAuthorized",
    "EmergencyStop",
    "EnergyLimitReached",
    "EVDisconnected",
    "GroundFault",
    "ImmediateReset",
    "Local",
    "LocalOutOfCredit",
    "MasterPass",
    "Other",
    "OvercurrentFault",
    "PowerLoss",
    "PowerQuality",
    "Reboot",
    "Remote",
    "SOCLimitReached",
    "StoppedByEV",
    "TimeLimitReached",
    "Timeout",
]
RecurrencyKindEnumType: TypeAlias = Literal["Daily", "Weekly"]
RegistrationStatusEnumType: TypeAlias = Literal["Accepted", "Pending", "Rejected"]
ReportBaseEnumType: TypeAlias = Literal["ConfigurationInventory", "FullInventory", "SummaryInventory"]
RequestStartStopStatusEnumType: TypeAlias = Literal["Accepted", "Rejected"]
ReservationUpdateStatusEnumType: TypeAlias = Literal["Expired", "Removed"]
ReserveNowStatusEnumType: TypeAlias = Literal["Accepted", "Faulted", "Occupied", "Rejected", "Unavailable"]
ResetEnumType: TypeAlias = Literal["Immediate", "OnIdle"]
ResetStatusEnumType: TypeAlias = Literal["Accepted", "Rejected", "Scheduled"]
SendLocalListStatusEnumType: TypeAlias = Literal["Accepted", "Failed", "VersionMismatch"]
SetMonitoringStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "UnknownComponent",
    "UnknownVariable",
    "UnsupportedMonitorType",
    "Rejected",
    "Duplicate",
]
SetNetworkProfileStatusEnumType: TypeAlias = Literal["Accepted", "Rejected", "Failed"]
SetVariableStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "UnknownComponent",
    "UnknownVariable",
    "NotSupportedAttributeType",
    "RebootRequired",
]
TransactionEventEnumType: TypeAlias = Literal["Ended", "Started", "Updated"]
TriggerMessageStatusEnumType: TypeAlias = Literal["Accepted", "Rejected", "NotImplemented"]
TriggerReasonEnumType: TypeAlias = Literal[
    "Authorized",
    "CablePluggedIn",
    "ChargingRateChanged",
    "ChargingStateChanged",
    "Deauthorized",
    "EnergyLimitReached",
    "EVCommunicationLost",
    "EVConnectTimeout",
    "MeterValueClock",
    "MeterValuePeriodic",
    "TimeLimitReached",
    "Trigger",
    "UnlockCommand",
    "StopAuthorized",
    "EVDeparted",
    "EVDetected",
    "RemoteStop",
    "RemoteStart",
    "AbnormalCondition",
    "SignedDataReceived",
    "ResetCommand",
]
UnlockStatusEnumType: TypeAlias = Literal[
    "Unlocked",
    "UnlockFailed",
    "OngoingAuthorizedTransaction",
    "UnknownConnector",
]
UnpublishFirmwareStatusEnumType: TypeAlias = Literal["DownloadOngoing", "NoFirmware", "Unpublished"]
UpdateEnumType: TypeAlias = Literal["Differential", "Full"]
UpdateFirmwareStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "AcceptedCanceled",
    "InvalidCertificate",
    "RevokedCertificate",
]
UploadLogStatusEnumType: TypeAlias = Literal[
    "BadMessage",
    "Idle",
    "NotSupportedOperation",
    "PermissionDenied",
    "Uploaded",
    "UploadFailure",
    "Uploading",
    "AcceptedCanceled",
]
VPNEnumType: TypeAlias = Literal["IKEv2", "IPSec", "L2TP", "PPTP"]

_CLASSES: Final = frozenset(
    {
        "ACChargingParametersType",
        "APNType",
        "AdditionalInfoType",
        "AuthorizationData",
        "CertificateHashDataChainType",
        "CertificateHashDataType",
        "ChargingLimitType",
        "ChargingNeedsType",
        "ChargingProfileCriterionType",
        "ChargingProfileType",
        "ChargingSchedulePeriodType",
        "ChargingScheduleType",
        "ChargingStationType",
        "ClearChargingProfileType",
        "ClearMonitoringResultType",
        "ComponentType",
        "ComponentVariableType",
        "CompositeScheduleType",
        "ConsumptionCostType",
        "CostType",
        "CustomDataType",
        "DCChargingParametersType",
        "EVSEType",
        "EventDataType",
        "FirmwareType",
        "GetVariableDataType",
        "GetVariableResultType",
        "IdTokenInfoType",
        "IdTokenType",
        "LogParametersType",
        "MessageContentType",
        "MessageInfoType",
        "MeterValueType",
        "ModemType",
        "MonitoringDataType",
        "NetworkConnectionProfileType",
        "OCSPRequestDataType",
        "RelativeTimeIntervalType",
        "ReportDataType",
        "SalesTariffEntryType",
        "SalesTariffType",
        "SampledValueType",
        "SetMonitoringDataType",
        "SetMonitoringResultType",
        "SetVariableDataType",
        "SetVariableResultType",
        "SignedMeterValueType",
        "StatusInfoType",
        "TransactionType",
        "UnitOfMeasureType",
        "VPNType",
        "VariableAttributeType",
        "VariableCharacteristicsType",
        "VariableMonitoringType",
        "VariableType",
        "AuthorizeRequest",
        "AuthorizeResponse",
        "BootNotificationRequest",
        "BootNotificationResponse",
        "CancelReservationRequest",
        "CancelReservationResponse",
        "CertificateSignedRequest",
        "CertificateSignedResponse",
        "ChangeAvailabilityRequest",
        "ChangeAvailabilityResponse",
        "ClearCacheRequest",
        "ClearCacheResponse",
        "ClearChargingProfileRequest",
        "ClearChargingProfileResponse",
        "ClearDisplayMessageRequest",
        "ClearDisplayMessageResponse",
        "ClearVariableMonitoringRequest",
        "ClearVariableMonitoringResponse",
        "ClearedChargingLimitRequest",
        "ClearedChargingLimitResponse",
        "CostUpdatedRequest",
        "CostUpdatedResponse",
        "CustomerInformationRequest",
        "CustomerInformationResponse",
        "DataTransferRequest",
        "DataTransferResponse",
        "DeleteCertificateRequest",
        "DeleteCertificateResponse",
        "FirmwareStatusNotificationRequest",
        "FirmwareStatusNotificationResponse",
        "Get15118EVCertificateRequest",
        "Get15118EVCertificateResponse",
        "GetBaseReportRequest",
        "GetBaseReportResponse",
        "GetCertificateStatusRequest",
        "GetCertificateStatusResponse",
        "GetChargingProfilesRequest",
        "GetChargingProfilesResponse",
        "GetCompositeScheduleRequest",
        "GetCompositeScheduleResponse",
        "GetDisplayMessagesRequest",
        "GetDisplayMessagesResponse",
        "GetInstalledCertificateIdsRequest",
        "GetInstalledCertificateIdsResponse",
        "GetLocalListVersionRequest",
        "GetLocalListVersionResponse",
        "GetLogRequest",
        "GetLogResponse",
        "GetMonitoringReportRequest",
        "GetMonitoringReportResponse",
        "GetReportRequest",
        "GetReportResponse",
        "GetTransactionStatusRequest",
        "GetTransactionStatusResponse",
        "GetVariablesRequest",
        "GetVariablesResponse",
        "HeartbeatRequest",
        "HeartbeatResponse",
        "InstallCertificateRequest",
        "InstallCertificateResponse",
        "LogStatusNotificationRequest",
        "LogStatusNotificationResponse",
        "MeterValuesRequest",
        "MeterValuesResponse",
        "NotifyChargingLimitRequest",
        "NotifyChargingLimitResponse",
        "NotifyCustomerInformationRequest",
        "NotifyCustomerInformationResponse",
        "NotifyDisplayMessagesRequest",
        "NotifyDisplayMessagesResponse",
        "NotifyEVChargingNeedsRequest",
        "NotifyEVChargingNeedsResponse",
        "NotifyEVChargingScheduleRequest",
        "NotifyEVChargingScheduleResponse",
        "NotifyEventRequest",
        "NotifyEventResponse",
        "NotifyMonitoringReportRequest",
        "NotifyMonitoringReportResponse",
        "NotifyReportRequest",
        "NotifyReportResponse",
        "PublishFirmwareRequest",
        "PublishFirmwareResponse",
        "PublishFirmwareStatusNotificationRequest",
        "PublishFirmwareStatusNotificationResponse",
        "ReportChargingProfilesRequest",
        "ReportChargingProfilesResponse",
        "RequestStartTransactionRequest",
        "RequestStartTransactionResponse",
        "RequestStopTransactionRequest",
        "RequestStopTransactionResponse",
        "ReservationStatusUpdateRequest",
        "ReservationStatusUpdateResponse",
        "ReserveNowRequest",
        "ReserveNowResponse",
        "ResetRequest",
        "ResetResponse",
        "SecurityEventNotificationRequest",
        "SecurityEventNotificationResponse",
        "SendLocalListRequest",
        "SendLocalListResponse",
        "SetChargingProfileRequest",
        "SetChargingProfileResponse",
        "SetDisplayMessageRequest",
        "SetDisplayMessageResponse",
        "SetMonitoringBaseRequest",
        "SetMonitoringBaseResponse",
        "SetMonitoringLevelRequest",
        "SetMonitoringLevelResponse",
        "SetNetworkProfileRequest",
        "SetNetworkProfileResponse",
        "SetVariableMonitoringRequest",
        "SetVariableMonitoringResponse",
        "SetVariablesRequest",
        "SetVariablesResponse",
        "SignCertificateRequest",
        "SignCertificateResponse",
        "StatusNotificationRequest",
        "StatusNotificationResponse",
        "TransactionEventRequest",
        "TransactionEventResponse",
        "TriggerMessageRequest",
        "TriggerMessageResponse",
        "UnlockConnectorRequest",
        "UnlockConnectorResponse",
        "UnpublishFirmwareRequest",
        "UnpublishFirmwareResponse",
        "UpdateFirmwareRequest",
        "UpdateFirmwareResponse",
    }
)

if TYPE_CHECKING:
    from typing import NotRequired, TypedDict

    class ACChargingParametersType(TypedDict):
        energyAmount: int
        evMinCurrent: int
        evMaxCurrent: int
        evMaxVoltage: int
        customData: NotRequired[CustomDataType]

    class APNType(TypedDict):
        apn: str
        apnAuthentication: APNAuthenticationEnumType
        customData: NotRequired[CustomDataType]
        apnUserName: NotRequired[str]
        apnPassword: NotRequired[str]
        simPin: NotRequired[int]
        preferredNetwork: NotRequired[str]
        useOnlyPreferredNetwork: NotRequired[bool]

    class AdditionalInfoType(TypedDict):
        additionalIdToken: str
        type: str
        customData: NotRequired[CustomDataType]

    class AuthorizationData(TypedDict):
        idToken: IdTokenType
        customData: NotRequired[CustomDataType]
        idTokenInfo: NotRequired[IdTokenInfoType]

    class CertificateHashDataChainType(TypedDict):
        certificateHashData: CertificateHashDataType
        certificateType: GetCertificateIdUseEnumType
        customData: NotRequired[CustomDataType]
        childCertificateHashData: NotRequired[list[CertificateHashDataType]]

    class CertificateHashDataType(TypedDict):
        hashAlgorithm: HashAlgorithmEnumType
        issuerNameHash: str
        issuerKeyHash: str
        serialNumber: str
        customData: NotRequired[CustomDataType]

    class ChargingLimitType(TypedDict):
        chargingLimitSource: ChargingLimitSourceEnumType
        customData: NotRequired[CustomDataType]
        isGridCritical: NotRequired[bool]

    class ChargingNeedsType(TypedDict):
        requestedEnergyTransfer: EnergyTransferModeEnumType
        customData: NotRequired[CustomDataType]
        acChargingParameters: NotRequired[ACChargingParametersType]
        dcChargingParameters: NotRequired[DCChargingParametersType]
        departureTime: NotRequired[str]

    class ChargingProfileCriterionType(TypedDict):
        customData: NotRequired[CustomDataType]
        chargingProfilePurpose: NotRequired[ChargingProfilePurposeEnumType]
        stackLevel: NotRequired[int]
        chargingProfileId: NotRequired[list[int]]
        chargingLimitSource: NotRequired[list[ChargingLimitSourceEnumType]]

    class ChargingProfileType(TypedDict):
        id: int
        stackLevel: int
        chargingProfilePurpose: ChargingProfilePurposeEnumType
        chargingProfileKind: ChargingProfileKindEnumType
        chargingSchedule: list[ChargingScheduleType]
        customData: NotRequired[CustomDataType]
        recurrencyKind: NotRequired[RecurrencyKindEnumType]
        validFrom: NotRequired[str]
        validTo: NotRequired[str]
        transactionId: NotRequired[str]

    class ChargingSchedulePeriodType(TypedDict):
        startPeriod: int
        limit: float
        customData: NotRequired[CustomDataType]
        numberPhases: NotRequired[int]
        phaseToUse: NotRequired[int]

    class ChargingScheduleType(TypedDict):
        id: int
        chargingRateUnit: ChargingRateUnitEnumType
        chargingSchedulePeriod: list[ChargingSchedulePeriodType]
        customData: NotRequired[CustomDataType]
        startSchedule: NotRequired[str]
        duration: NotRequired[int]
        minChargingRate: NotRequired[float]
        salesTariff: NotRequired[SalesTariffType]

    class ChargingStationType(TypedDict):
        model: str
        vendorName: str
        customData: NotRequired[CustomDataType]
        serialNumber: NotRequired[str]
        modem: NotRequired[ModemType]
        firmwareVersion: NotRequired[str]

    class ClearChargingProfileType(TypedDict):
        customData: NotRequired[CustomDataType]
        evseId: NotRequired[int]
        chargingProfilePurpose: NotRequired[ChargingProfilePurposeEnumType]
        stackLevel: NotRequired[int]

    class ClearMonitoringResultType(TypedDict):
        status: ClearMonitoringStatusEnumType
        id: int
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class ComponentType(TypedDict):
        name: str
        customData: NotRequired[CustomDataType]
        evse: NotRequired[EVSEType]
        instance: NotRequired[str]

    class ComponentVariableType(TypedDict):
        component: ComponentType
        customData: NotRequired[CustomDataType]
        variable: NotRequired[VariableType]

    class CompositeScheduleType(TypedDict):
        chargingSchedulePeriod: list[ChargingSchedulePeriodType]
        evseId: int
        duration: int
        scheduleStart: str
        chargingRateUnit: ChargingRateUnitEnumType
        customData: NotRequired[CustomDataType]

    class ConsumptionCostType(TypedDict):
        startValue: float
        cost: list[CostType]
        customData: NotRequired[CustomDataType]

    class CostType(TypedDict):
        costKind: CostKindEnumType
        amount: int
        customData: NotRequired[CustomDataType]
        amountMultiplier: NotRequired[int]

    class CustomDataType(TypedDict):
        vendorId: str

    class DCChargingParametersType(TypedDict):
        evMaxCurrent: int
        evMaxVoltage: int
        customData: NotRequired[CustomDataType]
        energyAmount: NotRequired[int]
        evMaxPower: NotRequired[int]
        stateOfCharge: NotRequired[int]
        evEnergyCapacity: NotRequired[int]
        fullSoC: NotRequired[int]
        bulkSoC: NotRequired[int]

    class EVSEType(TypedDict):
        id: int
        customData: NotRequired[CustomDataType]
        connectorId: NotRequired[int]

    class EventDataType(TypedDict):
        eventId: int
        timestamp: str
        trigger: EventTriggerEnumType
        actualValue: str
        component: ComponentType
        eventNotificationType: EventNotificationEnumType
        variable: VariableType
        customData: NotRequired[CustomDataType]
        cause: NotRequired[int]
        techCode: NotRequired[str]
        techInfo: NotRequired[str]
        cleared: NotRequired[bool]
        transactionId: NotRequired[str]
        variableMonitoringId: NotRequired[int]

    class FirmwareType(TypedDict):
        location: str
        retrieveDateTime: str
        customData: NotRequired[CustomDataType]
        installDateTime: NotRequired[str]
        signingCertificate: NotRequired[str]
        signature: NotRequired[str]

    class GetVariableDataType(TypedDict):
        component: ComponentType
        variable: VariableType
        customData: NotRequired[CustomDataType]
        attributeType: NotRequired[AttributeEnumType]

    class GetVariableResultType(TypedDict):
        attributeStatus: GetVariableStatusEnumType
        component: ComponentType
        variable: VariableType
        customData: NotRequired[CustomDataType]
        attributeStatusInfo: NotRequired[StatusInfoType]
        attributeType: NotRequired[AttributeEnumType]
        attributeValue: NotRequired[str]

    class IdTokenInfoType(TypedDict):
        status: AuthorizationStatusEnumType
        customData: NotRequired[CustomDataType]
        cacheExpiryDateTime: NotRequired[str]
        chargingPriority: NotRequired[int]
        language1: NotRequired[str]
        evseId: NotRequired[list[int]]
        groupIdToken: NotRequired[IdTokenType]
        language2: NotRequired[str]
        personalMessage: NotRequired[MessageContentType]

    class IdTokenType(TypedDict):
        idToken: str
        type: IdTokenEnumType
        customData: NotRequired[CustomDataType]
        additionalInfo: NotRequired[list[AdditionalInfoType]]

    class LogParametersType(TypedDict):
        remoteLocation: str
        customData: NotRequired[CustomDataType]
        oldestTimestamp: NotRequired[str]
        latestTimestamp: NotRequired[str]

    class MessageContentType(TypedDict):
        format: MessageFormatEnumType
        content: str
        customData: NotRequired[CustomDataType]
        language: NotRequired[str]

    class MessageInfoType(TypedDict):
        id: int
        priority: MessagePriorityEnumType
        message: MessageContentType
        customData: NotRequired[CustomDataType]
        display: NotRequired[ComponentType]
        state: NotRequired[MessageStateEnumType]
        startDateTime: NotRequired[str]
        endDateTime: NotRequired[str]
        transactionId: NotRequired[str]

    class MeterValueType(TypedDict):
        sampledValue: list[SampledValueType]
        timestamp: str
        customData: NotRequired[CustomDataType]

    class ModemType(TypedDict):
        customData: NotRequired[CustomDataType]
        iccid: NotRequired[str]
        imsi: NotRequired[str]

    class MonitoringDataType(TypedDict):
        component: ComponentType
        variable: VariableType
        variableMonitoring: list[VariableMonitoringType]
        customData: NotRequired[CustomDataType]

    class NetworkConnectionProfileType(TypedDict):
        ocppVersion: OCPPVersionEnumType
        ocppTransport: OCPPTransportEnumType
        ocppCsmsUrl: str
        messageTimeout: int
        securityProfile: int
        ocppInterface: OCPPInterfaceEnumType
        customData: NotRequired[CustomDataType]
        apn: NotRequired[APNType]
        vpn: NotRequired[VPNType]

    class OCSPRequestDataType(TypedDict):
        hashAlgorithm: HashAlgorithmEnumType
        issuerNameHash: str
        issuerKeyHash: str
        serialNumber: str
        responderURL: str
        customData: NotRequired[CustomDataType]

    class RelativeTimeIntervalType(TypedDict):
        start: int
        customData: NotRequired[CustomDataType]
        duration: NotRequired[int]

    class ReportDataType(TypedDict):
        component: ComponentType
        variable: VariableType
        variableAttribute: list[VariableAttributeType]
        customData: NotRequired[CustomDataType]
        variableCharacteristics: NotRequired[VariableCharacteristicsType]

    class SalesTariffEntryType(TypedDict):
        relativeTimeInterval: RelativeTimeIntervalType
        customData: NotRequired[CustomDataType]
        ePriceLevel: NotRequired[int]
        consumptionCost: NotRequired[list[ConsumptionCostType]]

    class SalesTariffType(TypedDict):
        id: int
        salesTariffEntry: list[SalesTariffEntryType]
        customData: NotRequired[CustomDataType]
        salesTariffDescription: NotRequired[str]
        numEPriceLevels: NotRequired[int]

    class SampledValueType(TypedDict):
        value: float
        customData: NotRequired[CustomDataType]
        context: NotRequired[ReadingContextEnumType]
        measurand: NotRequired[MeasurandEnumType]
        phase: NotRequired[PhaseEnumType]
        location: NotRequired[LocationEnumType]
        signedMeterValue: NotRequired[SignedMeterValueType]
        unitOfMeasure: NotRequired[UnitOfMeasureType]

    class SetMonitoringDataType(TypedDict):
        value: float
        type: MonitorEnumType
        severity: int
        component: ComponentType
        variable: VariableType
        customData: NotRequired[CustomDataType]
        id: NotRequired[int]
        transaction: NotRequired[bool]

    class SetMonitoringResultType(TypedDict):
        status: SetMonitoringStatusEnumType
        type: MonitorEnumType
        component: ComponentType
        variable: VariableType
        severity: int
        customData: NotRequired[CustomDataType]
        id: NotRequired[int]
        statusInfo: NotRequired[StatusInfoType]

    class SetVariableDataType(TypedDict):
        attributeValue: str
        component: ComponentType
        variable: VariableType
        customData: NotRequired[CustomDataType]
        attributeType: NotRequired[AttributeEnumType]

    class SetVariableResultType(TypedDict):
        attributeStatus: SetVariableStatusEnumType
        component: ComponentType
        variable: VariableType
        customData: NotRequired[CustomDataType]
        attributeType: NotRequired[AttributeEnumType]
        attributeStatusInfo: NotRequired[StatusInfoType]

    class SignedMeterValueType(TypedDict):
        signedMeterData: str
        signingMethod: str
        encodingMethod: str
        publicKey: str
        customData: NotRequired[CustomDataType]

    class StatusInfoType(TypedDict):
        reasonCode: str
        customData: NotRequired[CustomDataType]
        additionalInfo: NotRequired[str]

    class TransactionType(TypedDict):
        transactionId: str
        customData: NotRequired[CustomDataType]
        chargingState: NotRequired[ChargingStateEnumType]
        timeSpentCharging: NotRequired[int]
        stoppedReason: NotRequired[ReasonEnumType]
        remoteStartId: NotRequired[int]

    class UnitOfMeasureType(TypedDict):
        customData: NotRequired[CustomDataType]
        unit: NotRequired[str]
        multiplier: NotRequired[int]

    class VPNType(TypedDict):
        server: str
        user: str
        password: str
        key: str
        type: VPNEnumType
        customData: NotRequired[CustomDataType]
        group: NotRequired[str]

    class VariableAttributeType(TypedDict):
        customData: NotRequired[CustomDataType]
        type: NotRequired[AttributeEnumType]
        value: NotRequired[str]
        mutability: NotRequired[MutabilityEnumType]
        persistent: NotRequired[bool]
        constant: NotRequired[bool]

    class VariableCharacteristicsType(TypedDict):
        dataType: DataEnumType
        supportsMonitoring: bool
        customData: NotRequired[CustomDataType]
        unit: NotRequired[str]
        minLimit: NotRequired[float]
        maxLimit: NotRequired[float]
        valuesList: NotRequired[str]

    class VariableMonitoringType(TypedDict):
        id: int
        transaction: bool
        value: float
        type: MonitorEnumType
        severity: int
        customData: NotRequired[CustomDataType]

    class VariableType(TypedDict):
        name: str
        customData: NotRequired[CustomDataType]
        instance: NotRequired[str]

    class AuthorizeRequest(TypedDict):
        idToken: IdTokenType
        customData: NotRequired[CustomDataType]
        certificate: NotRequired[str]
        iso15118CertificateHashData: NotRequired[list[OCSPRequestDataType]]

    class AuthorizeResponse(TypedDict):
        idTokenInfo: IdTokenInfoType
        customData: NotRequired[CustomDataType]
        certificateStatus: NotRequired[AuthorizeCertificateStatusEnumType]

    class BootNotificationRequest(TypedDict):
        chargingStation: ChargingStationType
        reason: BootReasonEnumType
        customData: NotRequired[CustomDataType]

    class BootNotificationResponse(TypedDict):
        currentTime: str
        interval: int
        status: RegistrationStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class CancelReservationRequest(TypedDict):
        reservationId: int
        customData: NotRequired[CustomDataType]

    class CancelReservationResponse(TypedDict):
        status: CancelReservationStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class CertificateSignedRequest(TypedDict):
        certificateChain: str
        customData: NotRequired[CustomDataType]
        certificateType: NotRequired[CertificateSigningUseEnumType]

    class CertificateSignedResponse(TypedDict):
        status: CertificateSignedStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class ChangeAvailabilityRequest(TypedDict):
        operationalStatus: OperationalStatusEnumType
        customData: NotRequired[CustomDataType]
        evse: NotRequired[EVSEType]

    class ChangeAvailabilityResponse(TypedDict):
        status: ChangeAvailabilityStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class ClearCacheRequest(TypedDict):
        customData: NotRequired[CustomDataType]

    class ClearCacheResponse(TypedDict):
        status: ClearCacheStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class ClearChargingProfileRequest(TypedDict):
        customData: NotRequired[CustomDataType]
        chargingProfileId: NotRequired[int]
        chargingProfileCriteria: NotRequired[ClearChargingProfileType]

    class ClearChargingProfileResponse(TypedDict):
        status: ClearChargingProfileStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class ClearDisplayMessageRequest(TypedDict):
        id: int
        customData: NotRequired[CustomDataType]

    class ClearDisplayMessageResponse(TypedDict):
        status: ClearMessageStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class ClearVariableMonitoringRequest(TypedDict):
        id: list[int]
        customData: NotRequired[CustomDataType]

    class ClearVariableMonitoringResponse(TypedDict):
        clearMonitoringResult: list[ClearMonitoringResultType]
        customData: NotRequired[CustomDataType]

    class ClearedChargingLimitRequest(TypedDict):
        chargingLimitSource: ChargingLimitSourceEnumType
        customData: NotRequired[CustomDataType]
        evseId: NotRequired[int]

    class ClearedChargingLimitResponse(TypedDict):
        customData: NotRequired[CustomDataType]

    class CostUpdatedRequest(TypedDict):
        totalCost: float
        transactionId: str
        customData: NotRequired[CustomDataType]

    class CostUpdatedResponse(TypedDict):
        customData: NotRequired[CustomDataType]

    class CustomerInformationRequest(TypedDict):
        requestId: int
        report: bool
        clear: bool
        customData: NotRequired[CustomDataType]
        customerCertificate: NotRequired[CertificateHashDataType]
        idToken: NotRequired[IdTokenType]
        customerIdentifier: NotRequired[str]

    class CustomerInformationResponse(TypedDict):
        status: CustomerInformationStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class DataTransferRequest(TypedDict):
        vendorId: str
        customData: NotRequired[CustomDataType]
        messageId: NotRequired[str]
        data: NotRequired[Any]

    class DataTransferResponse(TypedDict):
        status: DataTransferStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]
        data: NotRequired[Any]

    class DeleteCertificateRequest(TypedDict):
        certificateHashData: CertificateHashDataType
        customData: NotRequired[CustomDataType]

    class DeleteCertificateResponse(TypedDict):
        status: DeleteCertificateStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class FirmwareStatusNotificationRequest(TypedDict):
        status: FirmwareStatusEnumType
        customData: NotRequired[CustomDataType]
        requestId: NotRequired[int]

    class FirmwareStatusNotificationResponse(TypedDict):
        customData: NotRequired[CustomDataType]

    class Get15118EVCertificateRequest(TypedDict):
        iso15118SchemaVersion: str
        action: CertificateActionEnumType
        exiRequest: str
        customData: NotRequired[CustomDataType]

    class Get15118EVCertificateResponse(TypedDict):
        status: Iso15118EVCertificateStatusEnumType
        exiResponse: str
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class GetBaseReportRequest(TypedDict):
        requestId: int
        reportBase: ReportBaseEnumType
        customData: NotRequired[CustomDataType]

    class GetBaseReportResponse(TypedDict):
        status: GenericDeviceModelStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class GetCertificateStatusRequest(TypedDict):
        ocspRequestData: OCSPRequestDataType
        customData: NotRequired[CustomDataType]

    class GetCertificateStatusResponse(TypedDict):
        status: GetCertificateStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]
        ocspResult: NotRequired[str]

    class GetChargingProfilesRequest(TypedDict):
        requestId: int
        chargingProfile: ChargingProfileCriterionType
        customData: NotRequired[CustomDataType]
        evseId: NotRequired[int]

    class GetChargingProfilesResponse(TypedDict):
        status: GetChargingProfileStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class GetCompositeScheduleRequest(TypedDict):
        duration: int
        evseId: int
        customData: NotRequired[CustomDataType]
        chargingRateUnit: NotRequired[ChargingRateUnitEnumType]

    class GetCompositeScheduleResponse(TypedDict):
        status: GenericStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]
        schedule: NotRequired[CompositeScheduleType]

    class GetDisplayMessagesRequest(TypedDict):
        requestId: int
        customData: NotRequired[CustomDataType]
        id: NotRequired[list[int]]
        priority: NotRequired[MessagePriorityEnumType]
        state: NotRequired[MessageStateEnumType]

    class GetDisplayMessagesResponse(TypedDict):
        status: GetDisplayMessagesStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class GetInstalledCertificateIdsRequest(TypedDict):
        customData: NotRequired[CustomDataType]
        certificateType: NotRequired[list[GetCertificateIdUseEnumType]]

    class GetInstalledCertificateIdsResponse(TypedDict):
        status: GetInstalledCertificateStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]
        certificateHashDataChain: NotRequired[list[CertificateHashDataChainType]]

    class GetLocalListVersionRequest(TypedDict):
        customData: NotRequired[CustomDataType]

    class GetLocalListVersionResponse(TypedDict):
        versionNumber: int
        customData: NotRequired[CustomDataType]

    class GetLogRequest(TypedDict):
        log: LogParametersType
        logType: LogEnumType
        requestId: int
        customData: NotRequired[CustomDataType]
        retries: NotRequired[int]
        retryInterval: NotRequired[int]

    class GetLogResponse(TypedDict):
        status: LogStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]
        filename: NotRequired[str]

    class GetMonitoringReportRequest(TypedDict):
        requestId: int
        customData: NotRequired[CustomDataType]
        componentVariable: NotRequired[list[ComponentVariableType]]
        monitoringCriteria: NotRequired[list[MonitoringCriterionEnumType]]

    class GetMonitoringReportResponse(TypedDict):
        status: GenericDeviceModelStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class GetReportRequest(TypedDict):
        requestId: int
        customData: NotRequired[CustomDataType]
        componentVariable: NotRequired[list[ComponentVariableType]]
        componentCriteria: NotRequired[list[ComponentCriterionEnumType]]

    class GetReportResponse(TypedDict):
        status: GenericDeviceModelStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class GetTransactionStatusRequest(TypedDict):
        customData: NotRequired[CustomDataType]
        transactionId: NotRequired[str]

    class GetTransactionStatusResponse(TypedDict):
        messagesInQueue: bool
        customData: NotRequired[CustomDataType]
        ongoingIndicator: NotRequired[bool]

    class GetVariablesRequest(TypedDict):
        getVariableData: list[GetVariableDataType]
        customData: NotRequired[CustomDataType]

    class GetVariablesResponse(TypedDict):
        getVariableResult: list[GetVariableResultType]
        customData: NotRequired[CustomDataType]

    class HeartbeatRequest(TypedDict):
        customData: NotRequired[CustomDataType]

    class HeartbeatResponse(TypedDict):
        currentTime: str
        customData: NotRequired[CustomDataType]

    class InstallCertificateRequest(TypedDict):
        certificateType: InstallCertificateUseEnumType
        certificate: str
        customData: NotRequired[CustomDataType]

    class InstallCertificateResponse(TypedDict):
        status: InstallCertificateStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class LogStatusNotificationRequest(TypedDict):
        status: UploadLogStatusEnumType
        customData: NotRequired[CustomDataType]
        requestId: NotRequired[int]

    class LogStatusNotificationResponse(TypedDict):
        customData: NotRequired[CustomDataType]

    class MeterValuesRequest(TypedDict):
        evseId: int
        meterValue: list[MeterValueType]
        customData: NotRequired[CustomDataType]

    class MeterValuesResponse(TypedDict):
        customData: NotRequired[CustomDataType]

    class NotifyChargingLimitRequest(TypedDict):
        chargingLimit: ChargingLimitType
        customData: NotRequired[CustomDataType]
        chargingSchedule: NotRequired[list[ChargingScheduleType]]
        evseId: NotRequired[int]

    class NotifyChargingLimitResponse(TypedDict):
        customData: NotRequired[CustomDataType]

    class NotifyCustomerInformationRequest(TypedDict):
        data: str
        seqNo: int
        generatedAt: str
        requestId: int
        customData: NotRequired[CustomDataType]
        tbc: NotRequired[bool]

    class NotifyCustomerInformationResponse(TypedDict):
        customData: NotRequired[CustomDataType]

    class NotifyDisplayMessagesRequest(TypedDict):
        requestId: int
        customData: NotRequired[CustomDataType]
        messageInfo: NotRequired[list[MessageInfoType]]
        tbc: NotRequired[bool]

    class NotifyDisplayMessagesResponse(TypedDict):
        customData: NotRequired[CustomDataType]

    class NotifyEVChargingNeedsRequest(TypedDict):
        chargingNeeds: ChargingNeedsType
        evseId: int
        customData: NotRequired[CustomDataType]
        maxScheduleTuples: NotRequired[int]

    class NotifyEVChargingNeedsResponse(TypedDict):
        status: NotifyEVChargingNeedsStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class NotifyEVChargingScheduleRequest(TypedDict):
        timeBase: str
        chargingSchedule: ChargingScheduleType
        evseId: int
        customData: NotRequired[CustomDataType]

    class NotifyEVChargingScheduleResponse(TypedDict):
        status: GenericStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class NotifyEventRequest(TypedDict):
        generatedAt: str
        seqNo: int
        eventData: list[EventDataType]
        customData: NotRequired[CustomDataType]
        tbc: NotRequired[bool]

    class NotifyEventResponse(TypedDict):
        customData: NotRequired[CustomDataType]

    class NotifyMonitoringReportRequest(TypedDict):
        requestId: int
        seqNo: int
        generatedAt: str
        customData: NotRequired[CustomDataType]
        monitor: NotRequired[list[MonitoringDataType]]
        tbc: NotRequired[bool]

    class NotifyMonitoringReportResponse(TypedDict):
        customData: NotRequired[CustomDataType]

    class NotifyReportRequest(TypedDict):
        requestId: int
        generatedAt: str
        seqNo: int
        customData: NotRequired[CustomDataType]
        reportData: NotRequired[list[ReportDataType]]
        tbc: NotRequired[bool]

    class NotifyReportResponse(TypedDict):
        customData: NotRequired[CustomDataType]

    class PublishFirmwareRequest(TypedDict):
        location: str
        checksum: str
        requestId: int
        customData: NotRequired[CustomDataType]
        retries: NotRequired[int]
        retryInterval: NotRequired[int]

    class PublishFirmwareResponse(TypedDict):
        status: GenericStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class PublishFirmwareStatusNotificationRequest(TypedDict):
        status: PublishFirmwareStatusEnumType
        customData: NotRequired[CustomDataType]
        location: NotRequired[list[str]]
        requestId: NotRequired[int]

    class PublishFirmwareStatusNotificationResponse(TypedDict):
        customData: NotRequired[CustomDataType]

    class ReportChargingProfilesRequest(TypedDict):
        requestId: int
        chargingLimitSource: ChargingLimitSourceEnumType
        chargingProfile: list[ChargingProfileType]
        evseId: int
        customData: NotRequired[CustomDataType]
        tbc: NotRequired[bool]

    class ReportChargingProfilesResponse(TypedDict):
        customData: NotRequired[CustomDataType]

    class RequestStartTransactionRequest(TypedDict):
        idToken: IdTokenType
        remoteStartId: int
        customData: NotRequired[CustomDataType]
        evseId: NotRequired[int]
        groupIdToken: NotRequired[IdTokenType]
        chargingProfile: NotRequired[ChargingProfileType]

    class RequestStartTransactionResponse(TypedDict):
        status: RequestStartStopStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]
        transactionId: NotRequired[str]

    class RequestStopTransactionRequest(TypedDict):
        transactionId: str
        customData: NotRequired[CustomDataType]

    class RequestStopTransactionResponse(TypedDict):
        status: RequestStartStopStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class ReservationStatusUpdateRequest(TypedDict):
        reservationId: int
        reservationUpdateStatus: ReservationUpdateStatusEnumType
        customData: NotRequired[CustomDataType]

    class ReservationStatusUpdateResponse(TypedDict):
        customData: NotRequired[CustomDataType]

    class ReserveNowRequest(TypedDict):
        id: int
        expiryDateTime: str
        idToken: IdTokenType
        customData: NotRequired[CustomDataType]
        connectorType: NotRequired[ConnectorEnumType]
        evseId: NotRequired[int]
        groupIdToken: NotRequired[IdTokenType]

    class ReserveNowResponse(TypedDict):
        status: ReserveNowStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class ResetRequest(TypedDict):
        type: ResetEnumType
        customData: NotRequired[CustomDataType]
        evseId: NotRequired[int]

    class ResetResponse(TypedDict):
        status: ResetStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class SecurityEventNotificationRequest(TypedDict):
        type: str
        timestamp: str
        customData: NotRequired[CustomDataType]
        techInfo: NotRequired[str]

    class SecurityEventNotificationResponse(TypedDict):
        customData: NotRequired[CustomDataType]

    class SendLocalListRequest(TypedDict):
        versionNumber: int
        updateType: UpdateEnumType
        customData: NotRequired[CustomDataType]
        localAuthorizationList: NotRequired[list[AuthorizationData]]

    class SendLocalListResponse(TypedDict):
        status: SendLocalListStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class SetChargingProfileRequest(TypedDict):
        evseId: int
        chargingProfile: ChargingProfileType
        customData: NotRequired[CustomDataType]

    class SetChargingProfileResponse(TypedDict):
        status: ChargingProfileStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class SetDisplayMessageRequest(TypedDict):
        message: MessageInfoType
        customData: NotRequired[CustomDataType]

    class SetDisplayMessageResponse(TypedDict):
        status: DisplayMessageStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class SetMonitoringBaseRequest(TypedDict):
        monitoringBase: MonitoringBaseEnumType
        customData: NotRequired[CustomDataType]

    class SetMonitoringBaseResponse(TypedDict):
        status: GenericDeviceModelStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class SetMonitoringLevelRequest(TypedDict):
        severity: int
        customData: NotRequired[CustomDataType]

    class SetMonitoringLevelResponse(TypedDict):
        status: GenericStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class SetNetworkProfileRequest(TypedDict):
        configurationSlot: int
        connectionData: NetworkConnectionProfileType
        customData: NotRequired[CustomDataType]

    class SetNetworkProfileResponse(TypedDict):
        status: SetNetworkProfileStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class SetVariableMonitoringRequest(TypedDict):
        setMonitoringData: list[SetMonitoringDataType]
        customData: NotRequired[CustomDataType]

    class SetVariableMonitoringResponse(TypedDict):
        setMonitoringResult: list[SetMonitoringResultType]
        customData: NotRequired[CustomDataType]

    class SetVariablesRequest(TypedDict):
        setVariableData: list[SetVariableDataType]
        customData: NotRequired[CustomDataType]

    class SetVariablesResponse(TypedDict):
        setVariableResult: list[SetVariableResultType]
        customData: NotRequired[CustomDataType]

    class SignCertificateRequest(TypedDict):
        csr: str
        customData: NotRequired[CustomDataType]
        certificateType: NotRequired[CertificateSigningUseEnumType]

    class SignCertificateResponse(TypedDict):
        status: GenericStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class StatusNotificationRequest(TypedDict):
        timestamp: str
        connectorStatus: ConnectorStatusEnumType
        evseId: int
        connectorId: int
        customData: NotRequired[CustomDataType]

    class StatusNotificationResponse(TypedDict):
        customData: NotRequired[CustomDataType]

    class TransactionEventRequest(TypedDict):
        eventType: TransactionEventEnumType
        timestamp: str
        triggerReason: TriggerReasonEnumType
        seqNo: int
        transactionInfo: TransactionType
        customData: NotRequired[CustomDataType]
        meterValue: NotRequired[list[MeterValueType]]
        offline: NotRequired[bool]
        numberOfPhasesUsed: NotRequired[int]
        cableMaxCurrent: NotRequired[int]
        reservationId: NotRequired[int]
        evse: NotRequired[EVSEType]
        idToken: NotRequired[IdTokenType]

    class TransactionEventResponse(TypedDict):
        customData: NotRequired[CustomDataType]
        totalCost: NotRequired[float]
        chargingPriority: NotRequired[int]
        idTokenInfo: NotRequired[IdTokenInfoType]
        updatedPersonalMessage: NotRequired[MessageContentType]

    class TriggerMessageRequest(TypedDict):
        requestedMessage: MessageTriggerEnumType
        customData: NotRequired[CustomDataType]
        evse: NotRequired[EVSEType]

    class TriggerMessageResponse(TypedDict):
        status: TriggerMessageStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class UnlockConnectorRequest(TypedDict):
        evseId: int
        connectorId: int
        customData: NotRequired[CustomDataType]

    class UnlockConnectorResponse(TypedDict):
        status: UnlockStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

    class UnpublishFirmwareRequest(TypedDict):
        checksum: str
        customData: NotRequired[CustomDataType]

    class UnpublishFirmwareResponse(TypedDict):
        status: UnpublishFirmwareStatusEnumType
        customData: NotRequired[CustomDataType]

    class UpdateFirmwareRequest(TypedDict):
        requestId: int
        firmware: FirmwareType
        customData: NotRequired[CustomDataType]
        retries: NotRequired[int]
        retryInterval: NotRequired[int]

    class UpdateFirmwareResponse(TypedDict):
        status: UpdateFirmwareStatusEnumType
        customData: NotRequired[CustomDataType]
        statusInfo: NotRequired[StatusInfoType]

else:

    def __getattr__(name: str) -> Any:
        if name in _CLASSES:
            return dict
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
