# SPDX-License-Identifier: Apache-2.0
"""The product under test in the certificate's terms: its answers by id, and the rows of the report.

All data is from the product file (`firmware/product/`), whose fields are the certificate's rows; this module only adds
the certificate's ids.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from firmware import product as products
from firmware.config import load
from firmware.errors import ConfigError
from firmware.factory_settings import FactorySettings
from firmware.product import Product
from tools.conformance.run.catalogue import HOME_PRODUCT
from tools.conformance.run.conditions import Answers

__all__ = ["ProductUnderTest", "Row", "describe", "product_under_test"]


@dataclass(frozen=True)
class Row:
    """One row of the certificate; `answer` is a bool, a number or a text."""

    id: str
    title: str
    answer: Any


@dataclass(frozen=True)
class ProductUnderTest:
    """`reference` is what a factory file names: the product's name, or the path of a product file."""

    name: str
    reference: str
    about: Mapping[str, str]
    tables: Mapping[str, Sequence[Row]]
    limits: Mapping[str, float]
    """Declared performance in seconds, by the rows of `measure.py`."""
    evses: tuple[int, ...] = (1, 2)
    answers: Answers = field(default_factory=dict)


def product_under_test(station_file: Path | None) -> ProductUnderTest:
    """The product that `station_file` names, else the project's own; raises `ConfigError`."""
    reference = HOME_PRODUCT
    if station_file is not None:
        reference = _factory_product(station_file)
        if "/" in reference or reference.endswith(".toml"):
            reference = str((station_file.parent / reference).resolve())
    return describe(products.load(reference), reference)


def _factory_product(station_file: Path) -> str:
    """The product that factory settings name; the error for a product file in their place contains a hint."""
    try:
        return load(station_file, FactorySettings).product
    except ConfigError as error:
        if _is_product(station_file):
            hint = f'name it in factory settings: product = "{station_file.resolve()}"'
            raise ConfigError(f"{station_file}: this is a product file; {hint}") from error
        raise


def _is_product(file: Path) -> bool:
    try:
        products.load(file.resolve())
    except ConfigError:
        return False
    return True


def describe(product: Product, reference: str) -> ProductUnderTest:
    """`product` in the certificate's terms."""
    tables = {
        "Hardware feature set": list(_hardware(product)),
        "Core features": list(_core(product)),
        "Further features": list(_further(product)),
        "Questions for the laboratory": list(_questions(product)),
        "Limits": list(_limits(product)),
    }
    limits = product.limits
    return ProductUnderTest(
        name=Path(reference).stem,
        reference=reference,
        about={"Vendor": product.identity.vendor_name, "Model": product.identity.model},
        tables=tables,
        limits={
            "response": limits.response_s,
            "triggered": limits.triggered_response_s,
            "remote_start": limits.remote_start_s,
            "remote_stop": limits.remote_stop_s,
        },
        evses=tuple(evse.id for evse in product.hardware.evse),
        answers={row.id: row.answer for rows in tables.values() for row in rows},
    )


def _hardware(product: Product) -> Iterator[Row]:
    hardware = product.hardware
    yield Row("HFS-1", "Detachable cable", hardware.detachable_cable)
    yield Row("HFS-2", "Fixed cable", hardware.fixed_cable)
    yield Row("HFS-3", "AC", hardware.ac)
    yield Row("HFS-4", "DC", hardware.dc)
    for phases in (1, 2, 3):
        yield Row(f"HFS-{4 + phases}", f"{phases} phase", phases in hardware.phases)
    yield Row("HFS-8", "EVSEs", len(hardware.evse))
    yield Row("HFS-9", "Communication", ", ".join(hardware.communication))
    yield Row("HFS-10", "RFID readers", hardware.rfid_readers)
    yield Row("HFS-11", "Power level (kW)", hardware.max_power_w / 1000)
    yield Row("HFS-12", "Displays", hardware.displays)


_CORE: Sequence[tuple[str, str, str]] = (
    ("C-01", "Offline authorization", "offline_authorization"),
    ("C-02", "Offline authorization for unknown ids", "offline_unknown_ids"),
    ("C-03", "MaxEnergyOnInvalidId", "max_energy_on_invalid_id"),
    ("C-04", "MinimumStatusDuration", "minimum_status_duration"),
    ("C-06.1", "Keep authorization when the cable is unplugged at the EV", "keep_authorization_on_unplug"),
    ("C-06.2", "End authorization when the cable is unplugged at the EV", "end_authorization_on_unplug"),
    ("C-07", "Master pass with UI", "master_pass_with_ui"),
    ("C-08", "Master pass without UI", "master_pass_without_ui"),
    ("C-12.1", "Unlock on EV-side disconnect", "unlock_on_ev_side_disconnect"),
    ("C-12.2", "Keep locked on EV-side disconnect", "keep_locked_on_ev_side_disconnect"),
    ("C-13", "Reset per EVSE", "reset_per_evse"),
    ("C-14", "CustomerInformation by customerIdentifier", "customer_by_identifier"),
    ("C-20", "New sessions pending a firmware update", "sessions_pending_firmware_update"),
    ("C-21", "QueueAllMessages", "queue_all_messages"),
    ("C-25", "TimeOffset", "time_offset"),
    ("C-26", "TimeZone", "time_zone"),
    ("C-28", "SendDuringIdle", "send_during_idle"),
    ("C-42", "Signed meter values", "signed_meter_values"),
    ("C-43", "Install firmware with ongoing transaction", "install_firmware_during_transaction"),
    ("C-47", "Default reconnection after profiles failed", "reconnect_by_default_after_profiles"),
    ("C-48.1", "AuthorizeRemoteStart true", "authorize_remote_start"),
    ("C-48.2", "AuthorizeRemoteStart false", "remote_start_without_authorize"),
    ("C-49", "Authorization cache", "auth_cache"),
    ("C-51", "TxStartPoint writable", "tx_start_point_writable"),
    ("C-52", "TxStopPoint writable", "tx_stop_point_writable"),
    ("C-53", "AuthCacheLifeTime", "auth_cache_life_time"),
    ("C-56", "SummaryInventory", "summary_inventory"),
    ("C-57", "Cancel an ongoing log upload", "cancel_log_upload"),
    ("C-58", "DisableRemoteAuthorization", "disable_remote_authorization"),
    ("C-59", "AuthCacheDisablePostAuthorize", "auth_cache_disable_post_authorize"),
    ("C-60", "Cancel an ongoing firmware update", "cancel_firmware_update"),
)

_TX_START = ("EVConnected", "Authorized", "DataSigned", "PowerPathClosed", "EnergyTransfer", "ParkingBayOccupancy")
_TX_STOP = ("EVConnected", "Authorized", "PowerPathClosed", "EnergyTransfer", "ParkingBayOccupancy")
_TRIGGERS = (
    "MeterValues",
    "TransactionEvent",
    "LogStatusNotification",
    "FirmwareStatusNotification",
    "StatusNotification",
    "BootNotification",
)
_START_TOKENS = {
    "C-30": "ISO14443",
    "C-31": "ISO15693",
    "C-32": "KeyCode",
    "C-33": "Local",
    "C-34": "MacAddress",
    "C-35": "NoAuthorization",
}
_STOP_TOKENS = {"C-70": "ISO14443", "C-71": "ISO15693", "C-72": "KeyCode", "C-75": "NoAuthorization"}
_REMOTE_TOKENS = {"C-36": "ISO14443", "C-37": "ISO15693", "C-38": "Central", "C-39": "NoAuthorization"}


def _core(product: Product) -> Iterator[Row]:
    features = product.features
    for number, title, name in _CORE:
        yield Row(number, title, getattr(features, name))
    for place, point in enumerate(_TX_START, 1):
        yield Row(f"C-09.{place}", f"TxStartPoint {point}", point in features.tx_start_points)
    for place, point in enumerate(_TX_STOP, 1):
        yield Row(f"C-10.{place}", f"TxStopPoint {point}", point in features.tx_stop_points)
    yield Row("C-23", "Time sources", ", ".join(features.time_sources))
    for place, message in enumerate(_TRIGGERS, 1):
        yield Row(f"C-29.{place}", f"TriggerMessage {message}", message in features.trigger_messages)
    for title, table, supported in (
        ("Local start with", _START_TOKENS, features.start_tokens),
        ("Local stop with", _STOP_TOKENS, features.stop_tokens),
        ("Remote start with", _REMOTE_TOKENS, features.remote_start_tokens),
    ):
        for number, token in table.items():
            yield Row(number, f"{title} {token}", token in supported)
    yield from _metering(product)
    yield Row("C-41", "Cipher suites", ", ".join(features.cipher_suites))
    yield Row("C-54", "Authorization cache policies", ", ".join(features.auth_cache_policies))
    yield Row("C-61", "Security profile 1", 1 in features.security_profiles)


def _metering(product: Product) -> Iterator[Row]:
    features = product.features
    yield Row("C-40", "Meter values", bool(features.sampled_ended_measurands))
    yield Row("C-40.1", "SampledDataTxStarted measurands", ", ".join(features.sampled_started_measurands))
    yield Row("C-40.2", "SampledDataTxUpdated measurands", ", ".join(features.sampled_updated_measurands))
    yield Row("C-40.3", "SampledDataTxEnded measurands", ", ".join(features.sampled_ended_measurands))
    yield Row("C-40.4", "Aligned measurands", ", ".join(features.aligned_measurands))
    yield Row("C-40.5", "Aligned measurands at the end", ", ".join(features.aligned_ended_measurands))


def _further(product: Product) -> Iterator[Row]:
    features = product.features
    yield Row("AS-2", "AdditionalRootCertificateCheck", features.additional_root_certificate_check)
    yield Row("AS-3", "CertificateSigned time-out and repeat", features.certificate_signed_timeout)
    yield Row("R", "Reservation", features.reservation)
    yield Row("DM", "Advanced device management", features.device_management)
    yield Row("profile-local-authorization-list-management", "Local authorization list", features.local_auth_list)
    yield Row("UI", "Advanced user interface", features.user_interface)
    yield Row("profile-smart-charging", "Smart charging", features.smart_charging)
    yield Row("profile-iso-15118-support", "ISO 15118 support", features.iso15118)
    only_mode_1_2 = not (product.hardware.dc or product.lab.mode_3_charging)
    yield Row("subtype-mode-1-2-only", "Mode 1/2-only charging station", only_mode_1_2)


_LAB: Sequence[tuple[str, str, str]] = (
    ("AQ-1", "Last CSMS root can be removed", "last_csms_root_removable"),
    ("AQ-2", "Cable lock before authorization", "cable_locked_before_authorization"),
    ("AQ-3", "Last station certificate can be removed", "last_station_certificate_removable"),
    ("AQ-4", "Unsupported number of phases", "unsupported_number_of_phases"),
    ("AQ-5", "Hard-wired monitors", "hard_wired_monitors"),
    ("AQ-6", "Pre-configured monitors", "preconfigured_monitors"),
    ("AQ-7", "Download firmware during a transaction", "download_firmware_during_transaction"),
    ("AQ-8", "EVSE is selected before authorization", "evse_selected_before_authorization"),
    ("AQ-9", "IEC 61851-1 charging", "mode_3_charging"),
    ("AQ-10", "Delta monitor on BasicAuthPassword", "password_delta_monitor"),
    ("AQ-11", "Combined station certificate", "combined_station_certificate"),
    ("AQ-18", "Mechanised connector lock on the station side", "mechanised_connector_lock"),
)


def _questions(product: Product) -> Iterator[Row]:
    for number, title, name in _LAB:
        yield Row(number, title, getattr(product.lab, name))


_ORS: Sequence[tuple[str, str, str]] = (
    ("ORS-1", "ItemsPerMessage GetReport", "items_get_report"),
    ("ORS-2", "ItemsPerMessage GetVariables", "items_get_variables"),
    ("ORS-3", "ItemsPerMessage SetVariables", "items_set_variables"),
    ("ORS-4", "BytesPerMessage GetReport", "bytes_get_report"),
    ("ORS-5", "BytesPerMessage GetVariables", "bytes_get_variables"),
    ("ORS-6", "BytesPerMessage SetVariables", "bytes_set_variables"),
    ("ORS-11", "HeartbeatInterval, shortest (s)", "heartbeat_min_s"),
    ("ORS-12", "HeartbeatInterval, longest (s)", "heartbeat_max_s"),
    ("ORS-14", "WebSocketPingInterval, shortest (s)", "ping_min_s"),
    ("ORS-15", "WebSocketPingInterval, longest (s)", "ping_max_s"),
    ("ORS-16", "WebSocketPingInterval, default (s)", "ping_default_s"),
    ("ORS-17", "CertificateEntries", "certificate_entries"),
    ("ORS-18", "MaxCertificateChainSize", "certificate_chain_bytes"),
    ("ORS-24", "File transfer", "file_transfer"),
)


def _limits(product: Product) -> Iterator[Row]:
    values = msgspec.structs.asdict(product.limits)
    for number, title, name in _ORS:
        value = values[name]
        yield Row(number, title, ", ".join(value) if isinstance(value, list) else value)
