# SPDX-License-Identifier: Apache-2.0
"""Typed keys of every variable that the code reads or writes: `model.get(keys.HEARTBEAT_INTERVAL)` is an int.

A key names component, variable and instance; where the component exists for each EVSE or connector, these are given
with the call. Variables that only some products have are marked: read them with `model.find`.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from msgspec import Struct
from msgspec.structs import force_setattr

from services.ocpp.device_model.values import DataType
from services.ocpp.device_model.variable import Address

__all__ = ["Key"]

T_co = TypeVar("T_co", covariant=True)


class Key(Struct, Generic[T_co], frozen=True):
    """A variable by name; `T_co` is the type of its value."""

    component: str
    variable: str
    data_type: DataType
    instance: str = ""
    component_instance: str = ""
    folded: tuple[str, str, str, str] = ("", "", "", "")
    """Component, its instance, variable, its instance, in lower case; made of the names, as is `station`."""
    station: Address = Address("", "", 0, 0, "", "")

    def __post_init__(self) -> None:
        names = (self.component, self.component_instance, self.variable, self.instance)
        folded = tuple(name.lower() for name in names)
        force_setattr(self, "folded", folded)
        force_setattr(self, "station", Address(folded[0], folded[1], 0, 0, folded[2], folded[3]))

    def at(self, evse: int, connector: int) -> Address:
        """The folded address."""
        if not evse:
            return self.station
        component, component_instance, variable, instance = self.folded
        return Address(component, component_instance, evse, connector, variable, instance)

    def names(self, address: Address) -> bool:
        """Is this the variable at `address` (folded), on any EVSE and connector?"""
        return self.folded == (address.component, address.component_instance, address.variable, address.instance)


def _bool(component: str, variable: str, component_instance: str = "") -> Key[bool]:
    return Key(component, variable, DataType.BOOLEAN, component_instance=component_instance)


def _int(component: str, variable: str, instance: str = "") -> Key[int]:
    return Key(component, variable, DataType.INTEGER, instance)


def _decimal(component: str, variable: str, component_instance: str = "") -> Key[float]:
    return Key(component, variable, DataType.DECIMAL, component_instance=component_instance)


def _string(component: str, variable: str) -> Key[str]:
    return Key(component, variable, DataType.STRING)


def _option(component: str, variable: str) -> Key[str]:
    return Key(component, variable, DataType.OPTION_LIST)


def _members(component: str, variable: str) -> Key[tuple[str, ...]]:
    return Key(component, variable, DataType.MEMBER_LIST)


def _sequence(component: str, variable: str) -> Key[tuple[str, ...]]:
    return Key(component, variable, DataType.SEQUENCE_LIST)


# Charging infrastructure; part 2, 2.13.
STATION_AVAILABILITY_STATE = _option("ChargingStation", "AvailabilityState")
"""Derived from those of the EVSEs."""
AVAILABILITY_STATE = _option("EVSE", "AvailabilityState")
CONNECTOR_AVAILABILITY_STATE = _option("Connector", "AvailabilityState")
MODEL = _string("ChargingStation", "Model")
VENDOR_NAME = _string("ChargingStation", "VendorName")
SERIAL_NUMBER = _string("ChargingStation", "SerialNumber")
FIRMWARE_VERSION = _string("Controller", "FirmwareVersion")
STATION_POWER = _decimal("ChargingStation", "Power")
POWER = _decimal("EVSE", "Power")
ALLOW_RESET = _bool("EVSE", "AllowReset")
CONNECTOR_TYPE = _string("Connector", "ConnectorType")
ALLOW_NEW_SESSIONS_PENDING_FIRMWARE_UPDATE = _bool("ChargingStation", "AllowNewSessionsPendingFirmwareUpdate")
"""Not every product has it (C-20)."""

# Communication; part 2, 2.1 and part 4, 8.
ACTIVE_NETWORK_PROFILE = _int("OCPPCommCtrlr", "ActiveNetworkProfile")
"""0: none yet."""
FILE_TRANSFER_PROTOCOLS = _members("OCPPCommCtrlr", "FileTransferProtocols")
HEARTBEAT_INTERVAL = _int("OCPPCommCtrlr", "HeartbeatInterval")
MESSAGE_TIMEOUT = _int("OCPPCommCtrlr", "MessageTimeout", "Default")
MESSAGE_ATTEMPTS = _int("OCPPCommCtrlr", "MessageAttempts", "TransactionEvent")
MESSAGE_ATTEMPT_INTERVAL = _int("OCPPCommCtrlr", "MessageAttemptInterval", "TransactionEvent")
NETWORK_CONFIGURATION_PRIORITY = _sequence("OCPPCommCtrlr", "NetworkConfigurationPriority")
NETWORK_PROFILE_CONNECTION_ATTEMPTS = _int("OCPPCommCtrlr", "NetworkProfileConnectionAttempts")
OFFLINE_THRESHOLD = _int("OCPPCommCtrlr", "OfflineThreshold")
QUEUE_ALL_MESSAGES = _bool("OCPPCommCtrlr", "QueueAllMessages")
RESET_RETRIES = _int("OCPPCommCtrlr", "ResetRetries")
RETRY_BACK_OFF_RANDOM_RANGE = _int("OCPPCommCtrlr", "RetryBackOffRandomRange")
RETRY_BACK_OFF_REPEAT_TIMES = _int("OCPPCommCtrlr", "RetryBackOffRepeatTimes")
RETRY_BACK_OFF_WAIT_MINIMUM = _int("OCPPCommCtrlr", "RetryBackOffWaitMinimum")
WEB_SOCKET_PING_INTERVAL = _int("OCPPCommCtrlr", "WebSocketPingInterval")

# The manufacturer's; docs/ocpp-log.md.
MESSAGE_LOG_ENABLED = _bool("MessageLogCtrlr", "Enabled")
"""Not every product has it: then only trouble is written."""

# Time; part 2, 2.1.24 to 2.1.32.
DATE_TIME: Key[float] = Key("ClockCtrlr", "DateTime", DataType.DATE_TIME)
"""Seconds since 1970; `model.provide` gives it a source."""
TIME_ZONE = _string("ClockCtrlr", "TimeZone")
"""Of the IANA database; empty: UTC. Not every product has it."""
TIME_SOURCE = _sequence("ClockCtrlr", "TimeSource")
TIME_ADJUSTMENT_REPORTING_THRESHOLD = _int("ClockCtrlr", "TimeAdjustmentReportingThreshold")

# The device model's own limits; part 2, 2.1.16 to 2.1.23.
ITEMS_GET_REPORT = _int("DeviceDataCtrlr", "ItemsPerMessage", "GetReport")
ITEMS_GET_VARIABLES = _int("DeviceDataCtrlr", "ItemsPerMessage", "GetVariables")
ITEMS_SET_VARIABLES = _int("DeviceDataCtrlr", "ItemsPerMessage", "SetVariables")
BYTES_GET_REPORT = _int("DeviceDataCtrlr", "BytesPerMessage", "GetReport")
BYTES_GET_VARIABLES = _int("DeviceDataCtrlr", "BytesPerMessage", "GetVariables")
BYTES_SET_VARIABLES = _int("DeviceDataCtrlr", "BytesPerMessage", "SetVariables")
CONFIGURATION_VALUE_SIZE = _int("DeviceDataCtrlr", "ConfigurationValueSize")

# Security; part 2, 2.2.
BASIC_AUTH_PASSWORD = _string("SecurityCtrlr", "BasicAuthPassword")
IDENTITY = _string("SecurityCtrlr", "Identity")
ORGANIZATION_NAME = _string("SecurityCtrlr", "OrganizationName")
CERTIFICATE_ENTRIES = _int("SecurityCtrlr", "CertificateEntries")
SECURITY_PROFILE = _int("SecurityCtrlr", "SecurityProfile")
ADDITIONAL_ROOT_CERTIFICATE_CHECK = _bool("SecurityCtrlr", "AdditionalRootCertificateCheck")
CERT_SIGNING_WAIT_MINIMUM = _int("SecurityCtrlr", "CertSigningWaitMinimum")
"""Not every product has this and the next (AS-3)."""
CERT_SIGNING_REPEAT_TIMES = _int("SecurityCtrlr", "CertSigningRepeatTimes")
ALLOW_CSMS_TLS_WILDCARDS = _bool("SecurityCtrlr", "AllowCSMSTLSWildcards")
"""Not every product has it: then no wildcards (part 2, erratum 2.62)."""
ALLOW_SECURITY_PROFILE_DOWNGRADE = _bool("SecurityCtrlr", "AllowSecurityProfileDowngrade")
"""Not every product has it: then no downgrade (A05.FR.10)."""

# Authorization; part 2, 2.3.
AUTHORIZE_REMOTE_START = _bool("AuthCtrlr", "AuthorizeRemoteStart")
LOCAL_AUTHORIZE_OFFLINE = _bool("AuthCtrlr", "LocalAuthorizeOffline")
LOCAL_PRE_AUTHORIZE = _bool("AuthCtrlr", "LocalPreAuthorize")
MASTER_PASS_GROUP_ID = _string("AuthCtrlr", "MasterPassGroupId")
"""Empty: no master pass."""
OFFLINE_TX_FOR_UNKNOWN_ID_ENABLED = _bool("AuthCtrlr", "OfflineTxForUnknownIdEnabled")
"""Not every product has it (C-02)."""
DISABLE_REMOTE_AUTHORIZATION = _bool("AuthCtrlr", "DisableRemoteAuthorization")
"""Not every product has it (C-58)."""

# Authorization cache; part 2, 2.4. Not every product has one (C-49).
AUTH_CACHE_ENABLED = _bool("AuthCacheCtrlr", "Enabled")
AUTH_CACHE_AVAILABLE = _bool("AuthCacheCtrlr", "Available")
AUTH_CACHE_LIFE_TIME = _int("AuthCacheCtrlr", "LifeTime")
AUTH_CACHE_STORAGE = _int("AuthCacheCtrlr", "Storage")
AUTH_CACHE_DISABLE_POST_AUTHORIZE = _bool("AuthCacheCtrlr", "DisablePostAuthorize")

# Transactions; part 2, 2.6.
EV_CONNECTION_TIME_OUT = _int("TxCtrlr", "EVConnectionTimeOut")
MAX_ENERGY_ON_INVALID_ID = _int("TxCtrlr", "MaxEnergyOnInvalidId")
STOP_TX_ON_EV_SIDE_DISCONNECT = _bool("TxCtrlr", "StopTxOnEVSideDisconnect")
STOP_TX_ON_INVALID_ID = _bool("TxCtrlr", "StopTxOnInvalidId")
TX_START_POINT = _members("TxCtrlr", "TxStartPoint")
TX_STOP_POINT = _members("TxCtrlr", "TxStopPoint")

# Metering; part 2, 2.7.
SAMPLED_TX_STARTED_MEASURANDS = _members("SampledDataCtrlr", "TxStartedMeasurands")
SAMPLED_TX_UPDATED_INTERVAL = _int("SampledDataCtrlr", "TxUpdatedInterval")
SAMPLED_TX_UPDATED_MEASURANDS = _members("SampledDataCtrlr", "TxUpdatedMeasurands")
SAMPLED_TX_ENDED_INTERVAL = _int("SampledDataCtrlr", "TxEndedInterval")
SAMPLED_TX_ENDED_MEASURANDS = _members("SampledDataCtrlr", "TxEndedMeasurands")
ALIGNED_INTERVAL = _int("AlignedDataCtrlr", "Interval")
ALIGNED_MEASURANDS = _members("AlignedDataCtrlr", "Measurands")
ALIGNED_TX_ENDED_INTERVAL = _int("AlignedDataCtrlr", "TxEndedInterval")
ALIGNED_TX_ENDED_MEASURANDS = _members("AlignedDataCtrlr", "TxEndedMeasurands")
ALIGNED_SEND_DURING_IDLE = _bool("AlignedDataCtrlr", "SendDuringIdle")
"""Not every product has it (C-28)."""

# Physical components, written by hardware.py.
ENERGY_IMPORT_REGISTER = _decimal("FiscalMetering", "EnergyImportRegister")
CONNECTED_EV_AVAILABLE = _bool("ConnectedEV", "Available")
CONTACTOR_ACTIVE = _bool("PowerContactor", "Active")
RETENTION_LOCK_ACTIVE = _bool("EVRetentionLock", "Active")
EMERGENCY_STOP_ACTIVE = _bool("EmergencyStopSensor", "Active")
CASE_ACCESS_ACTIVE = _bool("CaseAccessSensor", "Active")


def problem(component: str) -> Key[bool]:
    """Whether a component has a problem that matters; every physical component has this variable."""
    return _bool(component, "Problem")


def data_link_active(interface: str) -> Key[bool]:
    """Whether a network interface, by its OCPP name, has a link."""
    return _bool("DataLink", "Active", interface)


def data_link_signal(interface: str) -> Key[float]:
    """The strength of a radio link in dBm; -140 without a signal."""
    return _decimal("DataLink", "SignalStrength", interface)
