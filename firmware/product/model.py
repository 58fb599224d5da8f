# SPDX-License-Identifier: Apache-2.0
"""The shape of a product file.

The identifier in a comment or docstring (C-01, AS-2, AQ-1, ORS-1, HFS-1) is a row of the certificate, defined in
part 5 of OCPP 2.0.1. Every choice must be made in the file: there are no defaults that a product could inherit
unnoticed.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from firmware.factory_settings import Interface

__all__ = [
    "AttributeRow",
    "Connector",
    "DeviceModel",
    "Evse",
    "Features",
    "Hardware",
    "Identity",
    "LabAnswers",
    "Limits",
    "Mutability",
    "OptionalTrigger",
    "Product",
    "VariableRow",
]

Mutability = Literal["ReadOnly", "WriteOnly", "ReadWrite"]
Positive = Annotated[int, Meta(ge=1)]
Name = Annotated[str, Meta(min_length=1, max_length=50)]
Instance = Annotated[str, Meta(max_length=50)]
TxPoint = Literal["ParkingBayOccupancy", "EVConnected", "Authorized", "DataSigned", "PowerPathClosed", "EnergyTransfer"]
TokenType = Literal["ISO14443", "ISO15693", "KeyCode", "Local", "MacAddress", "NoAuthorization", "Central", "eMAID"]

OptionalTrigger = Literal[
    "MeterValues",
    "TransactionEvent",
    "LogStatusNotification",
    "FirmwareStatusNotification",
    "StatusNotification",
    "BootNotification",
]
"""C-29: messages that a station need not send when they are triggered."""


class Identity(Struct, frozen=True, forbid_unknown_fields=True):
    """How the station introduces itself (BootNotification)."""

    model: Annotated[str, Meta(min_length=1, max_length=20)]
    vendor_name: Annotated[str, Meta(min_length=1, max_length=50)]
    firmware_family: Annotated[str, Meta(min_length=1, max_length=50)]
    """The family that a firmware image must name to be accepted."""


class Connector(Struct, frozen=True, forbid_unknown_fields=True):
    """A cable or socket; `type` is a ConnectorEnumType."""

    id: Positive
    type: str
    max_voltage_v: Positive
    min_voltage_v: Positive
    max_current_a: Positive


class Evse(Struct, frozen=True, forbid_unknown_fields=True):
    id: Positive
    max_power_w: Positive
    connector: Annotated[list[Connector], Meta(min_length=1)]


class Hardware(Struct, frozen=True, forbid_unknown_fields=True):
    """HFS rows."""

    detachable_cable: bool  # HFS-1
    fixed_cable: bool  # HFS-2
    ac: bool  # HFS-3
    dc: bool  # HFS-4
    phases: list[Literal[1, 2, 3]]  # HFS-5 to HFS-7
    evse: Annotated[list[Evse], Meta(min_length=1)]  # HFS-8
    communication: list[Literal["LTE", "Ethernet", "WiFi"]]  # HFS-9
    interfaces: Annotated[list[Interface], Meta(min_length=1)]
    """The OCPP names of the network interfaces that the board has, whether or not they have a link now."""
    rfid_readers: Annotated[int, Meta(ge=0)]  # HFS-10
    max_power_w: Positive  # HFS-11; shared by the EVSEs
    displays: Annotated[int, Meta(ge=0)]  # HFS-12


class Features(Struct, frozen=True, forbid_unknown_fields=True):
    """Optional features of OCPP (part 5, section 3.1)."""

    offline_authorization: bool  # C-01
    offline_unknown_ids: bool  # C-02
    max_energy_on_invalid_id: bool  # C-03
    minimum_status_duration: bool  # C-04
    keep_authorization_on_unplug: bool  # C-06.1
    end_authorization_on_unplug: bool  # C-06.2
    master_pass_with_ui: bool  # C-07
    master_pass_without_ui: bool  # C-08
    tx_start_points: list[TxPoint]  # C-09
    tx_stop_points: list[TxPoint]  # C-10
    unlock_on_ev_side_disconnect: bool  # C-12.1
    keep_locked_on_ev_side_disconnect: bool  # C-12.2
    reset_per_evse: bool  # C-13
    customer_by_identifier: bool  # C-14
    sessions_pending_firmware_update: bool  # C-20
    queue_all_messages: bool  # C-21
    time_sources: list[
        Literal["Heartbeat", "NTP", "GPS", "RealTimeClock", "MobileNetwork", "RadioTimeTransmitter"]
    ]  # C-23
    time_offset: bool  # C-25
    time_zone: bool  # C-26
    send_during_idle: bool  # C-28
    trigger_messages: list[OptionalTrigger]  # C-29
    start_tokens: list[TokenType]  # C-30 to C-35
    stop_tokens: list[TokenType]  # C-70 to C-75
    remote_start_tokens: Annotated[
        list[Literal["ISO14443", "ISO15693", "Central", "NoAuthorization"]], Meta(min_length=1)
    ]  # C-36 to C-39
    sampled_started_measurands: list[str]  # C-40.1
    sampled_updated_measurands: list[str]  # C-40.2
    sampled_ended_measurands: list[str]  # C-40.3
    aligned_measurands: list[str]  # C-40.4
    aligned_ended_measurands: list[str]  # C-40.5
    cipher_suites: list[str]  # C-41
    signed_meter_values: bool  # C-42
    install_firmware_during_transaction: bool  # C-43
    reconnect_by_default_after_profiles: bool  # C-47
    authorize_remote_start: bool  # C-48.1
    remote_start_without_authorize: bool  # C-48.2
    auth_cache: bool  # C-49
    tx_start_point_writable: bool  # C-51
    tx_stop_point_writable: bool  # C-52
    auth_cache_life_time: bool  # C-53
    auth_cache_policies: list[Literal["LRU", "LFU", "FIFO", "CUSTOM"]]  # C-54
    summary_inventory: bool  # C-56
    cancel_log_upload: bool  # C-57
    disable_remote_authorization: bool  # C-58
    auth_cache_disable_post_authorize: bool  # C-59
    cancel_firmware_update: bool  # C-60
    security_profiles: list[Literal[1, 2, 3]]  # C-61
    additional_root_certificate_check: bool  # AS-2
    certificate_signed_timeout: bool  # AS-3
    reservation: bool  # R-
    device_management: bool  # DM-; monitoring and custom reports
    local_auth_list: bool  # LA-
    user_interface: bool  # UI-; display messages, tariff and cost
    smart_charging: bool
    iso15118: bool


class LabAnswers(Struct, frozen=True, forbid_unknown_fields=True):
    """AQ rows: further questions of a test laboratory."""

    last_csms_root_removable: bool  # AQ-1
    cable_locked_before_authorization: bool  # AQ-2
    last_station_certificate_removable: bool  # AQ-3; by other means than OCPP
    unsupported_number_of_phases: bool  # AQ-4
    hard_wired_monitors: bool  # AQ-5
    preconfigured_monitors: bool  # AQ-6
    download_firmware_during_transaction: bool  # AQ-7
    evse_selected_before_authorization: bool  # AQ-8
    mode_3_charging: bool  # AQ-9; IEC 61851-1
    password_delta_monitor: bool  # AQ-10
    combined_station_certificate: bool  # AQ-11
    mechanised_connector_lock: bool  # AQ-18; on the station's side


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """ORS rows and other bounds; the variables of the device model refer to them (`@limits.…`)."""

    items_get_report: Positive  # ORS-1
    items_get_variables: Positive  # ORS-2
    items_set_variables: Positive  # ORS-3
    bytes_get_report: Positive  # ORS-4
    bytes_get_variables: Positive  # ORS-5
    bytes_set_variables: Positive  # ORS-6
    heartbeat_min_s: Positive  # ORS-11
    heartbeat_max_s: Positive  # ORS-12
    ping_min_s: Annotated[int, Meta(ge=0)]  # ORS-14
    ping_max_s: Positive  # ORS-15
    ping_default_s: Annotated[int, Meta(ge=0)]  # ORS-16
    certificate_entries: Positive  # ORS-17
    certificate_chain_bytes: Annotated[int, Meta(ge=1, le=10000)]  # ORS-18
    file_transfer: list[Literal["FTP", "FTPS", "HTTP", "HTTPS", "SFTP"]]  # ORS-24
    network_slots: Annotated[int, Meta(ge=2)]  # B09.FR.06
    commissioning_port: Annotated[int, Meta(ge=1, le=65535)]
    response_s: float  # declared performance: the answer to a request
    triggered_response_s: float
    remote_start_s: float
    remote_stop_s: float
    schedule_days: Positive
    """How far ahead an accepted request may be scheduled."""
    transfer_retries: Annotated[int, Meta(ge=0, le=100)]
    """How often a request may have a failed download or upload repeated."""
    transfer_hours: Positive
    """How long the intervals between these attempts may be in all."""
    firmware_rollback: bool
    """An image that is older than the running one may be installed."""


class AttributeRow(Struct, frozen=True, forbid_unknown_fields=True):
    """A further attribute of a variable, besides Actual."""

    type: Literal["Target", "MinSet", "MaxSet"]
    value: str = ""
    mutability: Mutability = "ReadWrite"


class VariableRow(Struct, frozen=True, forbid_unknown_fields=True):
    """One variable of the device model; type and unit come from the standard if it has the variable.

    `value`, `values`, `min` and `max` may be references like `@limits.ping_max_s` or `@features.tx_start_points`;
    they are resolved by `load`.
    """

    component: Name
    variable: Name
    value: str = ""
    component_instance: Instance = ""
    instance: Instance = ""
    evse: Annotated[int, Meta(ge=1)] | Literal["each"] | None = None
    """An EVSE, or each; `connector` likewise, within that EVSE."""
    connector: Annotated[int, Meta(ge=1)] | Literal["each"] | None = None
    mutability: Mutability = "ReadOnly"
    type: Literal["string", "decimal", "integer", "dateTime", "boolean", "OptionList", "SequenceList", "MemberList"] | (
        None
    ) = None
    unit: Annotated[str, Meta(max_length=16)] | None = None
    min: float | None = None
    max: float | None = None
    """Of texts and lists: the maximum number of characters."""
    values: list[str] = field(default_factory=list)
    format: Literal["password", "identifier", "time_zone", "time_offset", "name"] | None = None
    required: bool = False
    """An empty text or list is refused."""
    persistent: bool = False
    """Survives a restart although the CSMS can't write it; variables that it can write always do."""
    constant: bool = False
    reboot: bool = False
    """A new value is accepted, and takes effect after a reboot."""
    secret: bool = False
    """Never in a log."""
    attributes: list[AttributeRow] = field(default_factory=list)


class DeviceModel(Struct, frozen=True, forbid_unknown_fields=True):
    """Every variable that this product has."""

    variables: list[VariableRow]


class Product(Struct, frozen=True, forbid_unknown_fields=True):
    """A product file, whole."""

    identity: Identity
    hardware: Hardware
    features: Features
    lab: LabAnswers
    limits: Limits
    device_model: DeviceModel
