# SPDX-License-Identifier: Apache-2.0
"""Identity, product, network profiles: what the station will be from its next start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from firmware import product as products
from firmware.contract import administration as contract
from firmware.contract.administration import CommandRefused, Problem
from firmware.errors import ConfigError, StorageError
from services.ocpp.administration import variables
from services.ocpp.administration.units import Units, refuse
from services.ocpp.context import DISK_FULL
from services.ocpp.device_model import Refusal, keys
from services.ocpp.device_model.values import parse
from services.ocpp.signals import SecurityEvent

if TYPE_CHECKING:
    from services.ocpp.device_model import DeviceModel
    from services.ocpp.station import Station

__all__ = [
    "check_identity",
    "profile_request",
    "profiles",
    "set_identity",
    "set_priority",
    "set_product",
    "set_profile",
    "station_info",
]


def station_info(units: Units) -> contract.StationInfo:
    model, product = units.context.model, units.shell.product
    return contract.StationInfo(
        identity=units.shell.identity,
        next_identity=model.get(keys.IDENTITY),
        product=product.in_force,
        next_product=product.next,
        products=products.names(),
        firmware_version=model.get(keys.FIRMWARE_VERSION),
        serial_number=units.context.serial_number,
        password_is_set=bool(model.get(keys.BASIC_AUTH_PASSWORD)),
    )


def check_identity(model: DeviceModel, identity: str) -> None:
    """Raises `CommandRefused`."""
    try:
        parse(identity, replace(model.variables[keys.IDENTITY.station].kind, required=True))
    except Refusal as refusal:
        raise CommandRefused(Problem.BAD_REQUEST, refusal.text) from refusal


def set_identity(units: Units, command: contract.SetIdentity) -> None:
    def work(station: Station, now: float) -> None:
        context = station.context
        check_identity(context.model, command.identity)
        former = context.model.get(keys.IDENTITY)
        context.model.put(keys.IDENTITY, command.identity)
        if not context.kept(lambda: context.model.put(keys.IDENTITY, former)):
            raise CommandRefused(Problem.STORAGE, DISK_FULL["additionalInfo"])
        station.on_security_event(SecurityEvent("ReconfigurationOfSecurityParameters", "identity"), now)

    units.unit(work)


def set_product(units: Units, command: contract.SetProduct) -> None:
    """A product is refused here if the service could not start with it."""
    if command.product not in products.names():
        raise CommandRefused(Problem.NOT_FOUND, f"installed products: {', '.join(products.names())}")
    try:
        units.context.model.check_factory(products.load(command.product))
    except ConfigError as error:
        raise CommandRefused(Problem.REFUSED, str(error)) from error
    try:
        units.shell.product.choose(command.product)
    except StorageError as error:
        raise CommandRefused(Problem.STORAGE, str(error)) from error


def profiles(units: Units) -> contract.Profiles:
    context = units.context
    product, registration = context.product, context.registration
    return contract.Profiles(
        profiles=[
            contract.Profile(
                slot=slot,
                url=each.url,
                security_profile=each.security_profile,
                interface=each.interface,
                message_timeout_s=each.message_timeout_s,
            )
            for slot, each in sorted(context.profiles.items())
        ],
        priority=[int(slot) for slot in context.model.get(keys.NETWORK_CONFIGURATION_PRIORITY) if slot.isdigit()],
        slots=product.limits.network_slots,
        interfaces=list(product.hardware.interfaces),
        connected=registration.slot if registration.link_up else None,
    )


def profile_request(profile: contract.Profile) -> dict[str, Any]:
    """The SetNetworkProfileRequest that fills this slot."""
    return {
        "configurationSlot": profile.slot,
        "connectionData": {
            "ocppVersion": "OCPP20",
            "ocppTransport": "JSON",
            "ocppCsmsUrl": profile.url,
            "messageTimeout": profile.message_timeout_s,
            "securityProfile": profile.security_profile,
            "ocppInterface": profile.interface,
        },
    }


def set_profile(units: Units, command: contract.SetProfile) -> None:
    response = units.request("SetNetworkProfile", profile_request(command.profile))
    if response["status"] != "Accepted":
        refuse(response)


def set_priority(units: Units, command: contract.SetPriority) -> None:
    key = keys.NETWORK_CONFIGURATION_PRIORITY
    value = contract.NewValue(key.component, key.variable, ",".join(map(str, command.slots)))
    (result,) = variables.set_results([value], units.request("SetVariables", variables.set_variables_request([value])))
    if result.status not in ("Accepted", "RebootRequired"):
        full = result.reason == DISK_FULL["reasonCode"]
        raise CommandRefused(Problem.STORAGE if full else Problem.REFUSED, result.detail or result.status)
