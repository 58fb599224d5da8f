# SPDX-License-Identifier: Apache-2.0
"""Whether a product's features, hardware and device model are consistent.

The code reads whichever is nearest. If they differed, a station would advertise what it does not do, or do what the
CSMS can't see.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from firmware.product.model import Evse, Product, VariableRow

__all__ = ["contradictions"]

_ADVERTISED: Sequence[tuple[str, str]] = (
    ("auth_cache", "AuthCacheCtrlr.Available"),
    ("auth_cache", "AuthCacheCtrlr.Enabled"),
    ("auth_cache_life_time", "AuthCacheCtrlr.LifeTime"),
    ("auth_cache_policies", "AuthCacheCtrlr.Policy"),
    ("auth_cache_disable_post_authorize", "AuthCacheCtrlr.DisablePostAuthorize"),
    ("offline_unknown_ids", "AuthCtrlr.OfflineTxForUnknownIdEnabled"),
    ("disable_remote_authorization", "AuthCtrlr.DisableRemoteAuthorization"),
    ("max_energy_on_invalid_id", "TxCtrlr.MaxEnergyOnInvalidId"),
    ("sessions_pending_firmware_update", "ChargingStation.AllowNewSessionsPendingFirmwareUpdate"),
    ("queue_all_messages", "OCPPCommCtrlr.QueueAllMessages"),
    ("time_offset", "ClockCtrlr.TimeOffset"),
    ("time_zone", "ClockCtrlr.TimeZone"),
    ("send_during_idle", "AlignedDataCtrlr.SendDuringIdle"),
    ("signed_meter_values", "SampledDataCtrlr.SignReadings"),
    ("certificate_signed_timeout", "SecurityCtrlr.CertSigningWaitMinimum"),
    ("certificate_signed_timeout", "SecurityCtrlr.CertSigningRepeatTimes"),
    ("minimum_status_duration", "EVSE.MinimumStatusDuration"),
    ("local_auth_list", "LocalAuthListCtrlr.Available"),
    ("reservation", "ReservationCtrlr.Available"),
    ("smart_charging", "SmartChargingCtrlr.Available"),
    ("iso15118", "ISO15118Ctrlr.ContractValidationOffline"),
    ("device_management", "MonitoringCtrlr.Available"),
)
"""A feature, and a variable that exists if, and only if, the feature is on."""

_LISTED: Sequence[tuple[str, str]] = (
    ("tx_start_points", "TxCtrlr.TxStartPoint"),
    ("tx_stop_points", "TxCtrlr.TxStopPoint"),
    ("time_sources", "ClockCtrlr.TimeSource"),
    ("sampled_started_measurands", "SampledDataCtrlr.TxStartedMeasurands"),
    ("sampled_updated_measurands", "SampledDataCtrlr.TxUpdatedMeasurands"),
    ("sampled_ended_measurands", "SampledDataCtrlr.TxEndedMeasurands"),
    ("aligned_measurands", "AlignedDataCtrlr.Measurands"),
    ("aligned_ended_measurands", "AlignedDataCtrlr.TxEndedMeasurands"),
    ("auth_cache_policies", "AuthCacheCtrlr.Policy"),
)
"""A list among the features, and the variable whose `values` it is."""

_BOTH_WAYS: Sequence[tuple[str, str, str]] = (
    ("TxCtrlr.StopTxOnEVSideDisconnect", "end_authorization_on_unplug", "keep_authorization_on_unplug"),  # C-06
    ("OCPPCommCtrlr.UnlockOnEVSideDisconnect", "unlock_on_ev_side_disconnect", "keep_locked_on_ev_side_disconnect"),
    ("AuthCtrlr.AuthorizeRemoteStart", "authorize_remote_start", "remote_start_without_authorize"),  # C-48
)
"""A variable, and the features for its values true and false: it is writable if, and only if, both are on."""

_WRITABLE: Sequence[tuple[str, str]] = (
    ("tx_start_point_writable", "TxCtrlr.TxStartPoint"),  # C-51
    ("tx_stop_point_writable", "TxCtrlr.TxStopPoint"),  # C-52
)
"""A feature that says whether the CSMS may set the variable."""

_ON = {True: "on", False: "off"}


def contradictions(product: Product) -> Iterator[str]:
    """Yield each contradiction as `table.key: what is wrong`."""
    rows = {f"{row.component}.{row.variable}": row for row in product.device_model.variables}
    yield from _advertised(product, rows)
    yield from _listed(product, rows)
    yield from _writable(product, rows)
    yield from _hardware(product)


def _advertised(product: Product, rows: dict[str, VariableRow]) -> Iterator[str]:
    for feature, name in _ADVERTISED:
        there = bool(getattr(product.features, feature))
        if there != (name in rows):
            lack = "has no" if there else "has"
            yield f"features.{feature}: switched {_ON[there]}, but the device model {lack} {name}"


def _listed(product: Product, rows: dict[str, VariableRow]) -> Iterator[str]:
    lists = {(f"features.{feature}", name): getattr(product.features, feature) for feature, name in _LISTED}
    slots = [str(slot) for slot in range(1, product.limits.network_slots + 1)]
    lists["limits.network_slots", "OCPPCommCtrlr.NetworkConfigurationPriority"] = slots
    for (place, name), listed in lists.items():
        if name in rows and rows[name].values != listed:
            yield f"{place}: {', '.join(listed)}; but the values of {name}: {', '.join(rows[name].values)}"


def _writable(product: Product, rows: dict[str, VariableRow]) -> Iterator[str]:
    features = product.features
    for name, on, off in _BOTH_WAYS:
        possible = {"true": getattr(features, on), "false": getattr(features, off)}
        switched = f"features.{on}: switched {_ON[possible['true']]}, {off}: {_ON[possible['false']]}"
        if name in rows and _is_writable(rows[name]) != all(possible.values()):
            yield f"{switched}, but {name} is {rows[name].mutability}"
        elif name in rows and not possible.get(rows[name].value):
            yield f"{switched}, but {name} is {rows[name].value or 'empty'}"
    for feature, name in _WRITABLE:
        there = getattr(features, feature)
        if name in rows and _is_writable(rows[name]) != there:
            yield f"features.{feature}: switched {_ON[there]}, but {name} is {rows[name].mutability}"


def _is_writable(row: VariableRow) -> bool:
    return row.mutability != "ReadOnly"


def _hardware(product: Product) -> Iterator[str]:
    yield from _interfaces(product)
    for row, evse in _rows_of_evses(product, "EVSE.Power"):
        if row.max != evse.max_power_w:
            yield f"hardware.evse {evse.id}: max_power_w is {evse.max_power_w}, but the max of EVSE.Power is {row.max}"
    for row, evse in _rows_of_evses(product, "Connector.ConnectorType"):
        for connector in evse.connector:
            if row.connector in (connector.id, "each") and row.value != connector.type:
                place = f"hardware.evse {evse.id}: connector {connector.id}"
                yield f"{place} is a {connector.type}, but Connector.ConnectorType says {row.value}"


def _interfaces(product: Product) -> Iterator[str]:
    interfaces, communication = product.hardware.interfaces, product.hardware.communication
    there = ", ".join(sorted(interfaces))
    links = [
        row.component_instance
        for row in product.device_model.variables
        if f"{row.component}.{row.variable}" == "DataLink.Active"
    ]
    if sorted(links) != sorted(interfaces):
        yield f"hardware.interfaces: {there}; but DataLink.Active is there for {', '.join(sorted(links)) or 'none'}"
    kinds = {"Wired" if each == "Ethernet" else "Wireless" for each in communication}
    if {name[:-1] for name in interfaces} != kinds:
        yield f"hardware.interfaces: {there}; but hardware.communication: {', '.join(communication)}"


def _rows_of_evses(product: Product, name: str) -> Iterator[tuple[VariableRow, Evse]]:
    for row in product.device_model.variables:
        for evse in product.hardware.evse:
            if f"{row.component}.{row.variable}" == name and row.evse in (evse.id, "each"):
                yield row, evse
