# SPDX-License-Identifier: Apache-2.0
"""The first start of a station: its factory settings are checked and taken over, once.

A factory file may bring nothing that a CSMS could not set. The values of `[[variable]]` are checked where they are
applied (`device_model.build`), certificates where they are installed (`certificates.factory`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from firmware.errors import ConfigError
from services.ocpp import network_profiles
from services.ocpp.certificates import factory as factory_certificates
from services.ocpp.device_model import keys
from services.ocpp.device_model.build import address_of
from services.ocpp.device_model.values import Refusal, parse
from services.ocpp.key_values import Key

if TYPE_CHECKING:
    from firmware.factory_settings import FactorySettings, NetworkProfile
    from firmware.product import Product
    from services.ocpp.certificates import CertificateStore
    from services.ocpp.device_model import DeviceModel
    from services.ocpp.device_model.variable import Address, Variable
    from services.ocpp.key_values import KeyValueStore

__all__ = ["check", "take_over"]


def take_over(
    settings: FactorySettings,
    product: Product,
    *,
    where: str,
    model: DeviceModel,
    key_values: KeyValueStore,
    certificates: CertificateStore,
) -> None:
    """Store the factory settings; from the second start on they are ignored. Raises `ConfigError` with the place."""
    if key_values.get(Key.FIRST_START_DONE):
        return
    check(settings, product, model.variables, where)
    model.put(keys.IDENTITY, settings.identity)
    if settings.basic_auth_password is not None:
        model.put(keys.BASIC_AUTH_PASSWORD, settings.basic_auth_password)
    if settings.network_profile:
        model.put(keys.SECURITY_PROFILE, settings.network_profile[0].security_profile)  # A00.FR.004
    if settings.network_profile and not _sets_priority(settings):
        slots = tuple(str(profile.slot) for profile in settings.network_profile)
        model.put(keys.NETWORK_CONFIGURATION_PRIORITY, slots)
    factory_certificates.install(certificates, settings.certificates)
    key_values.put(Key.FIRST_START_DONE, True)


def check(settings: FactorySettings, product: Product, variables: Mapping[Address, Variable], where: str) -> None:
    """Raises `ConfigError` with the place. `variables` are the product's, with the factory's values."""
    if settings.basic_auth_password is not None:
        try:
            parse(settings.basic_auth_password, variables[keys.BASIC_AUTH_PASSWORD.station].kind)  # A00.FR.205
        except Refusal as refusal:
            raise ConfigError(f"{where}: basic_auth_password: {refusal.text}") from refusal
    seen: set[Address] = set()
    for number, row in enumerate(settings.variable, 1):
        address = address_of(row)
        if address.folded() in seen:
            raise ConfigError(f"{where}: variable {number} ({address}): given twice")
        seen.add(address.folded())
    for profile in settings.network_profile:
        _check_profile(profile, product, f"{where}: network_profile: slot {profile.slot}")
    if _sets_priority(settings):
        given = {str(profile.slot) for profile in settings.network_profile}
        priority = variables[keys.NETWORK_CONFIGURATION_PRIORITY.station].actual.text.split(",")
        if empty := [slot for slot in priority if slot not in given]:  # B10.FR.01
            raise ConfigError(f"{where}: NetworkConfigurationPriority: no profile in slot {', '.join(empty)}")


def _sets_priority(settings: FactorySettings) -> bool:
    """Whether the file has a value for NetworkConfigurationPriority."""
    return any(keys.NETWORK_CONFIGURATION_PRIORITY.names(address_of(row).folded()) for row in settings.variable)


def _check_profile(profile: NetworkProfile, product: Product, place: str) -> None:
    """The rules for a SetNetworkProfileRequest hold for the factory, too: B09.FR.02, B09.FR.05."""
    if profile.slot > product.limits.network_slots:
        raise ConfigError(f"{place}: this product has slots 1 to {product.limits.network_slots}")
    try:
        network_profiles.check(profile, product)
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from error
