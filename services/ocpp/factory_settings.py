# SPDX-License-Identifier: Apache-2.0
"""Factory settings beside the product: what no CSMS could set, no factory file may bring either.

The values of `[[variable]]` are checked where they are applied (`device_model.build`), certificates where they are
installed (`certificates.factory`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from firmware.errors import ConfigError
from services.ocpp import network_profiles
from services.ocpp.device_model import keys
from services.ocpp.device_model.build import address_of
from services.ocpp.device_model.values import Refusal, parse

if TYPE_CHECKING:
    from firmware.config import FactorySettings, NetworkProfile
    from firmware.product import Product
    from services.ocpp.device_model.keys import Key
    from services.ocpp.device_model.variable import Address, Variable

__all__ = ["check", "gives"]


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
    if gives(settings, keys.NETWORK_CONFIGURATION_PRIORITY):
        given = {str(profile.slot) for profile in settings.network_profile}
        priority = variables[keys.NETWORK_CONFIGURATION_PRIORITY.station].actual.text.split(",")
        if empty := [slot for slot in priority if slot not in given]:  # B10.FR.01
            raise ConfigError(f"{where}: NetworkConfigurationPriority: no profile in slot {', '.join(empty)}")


def gives(settings: FactorySettings, key: Key[Any]) -> bool:
    """Whether the file has a value for this variable."""
    return any(key.names(address_of(row).folded()) for row in settings.variable)


def _check_profile(profile: NetworkProfile, product: Product, place: str) -> None:
    """As the CSMS's would be: B09.FR.02, B09.FR.05."""
    if profile.slot > product.limits.network_slots:
        raise ConfigError(f"{place}: this product has slots 1 to {product.limits.network_slots}")
    if profile.security_profile not in (0, *product.features.security_profiles):  # C-61
        raise ConfigError(f"{place}: this product has no security profile {profile.security_profile}")
    try:
        network_profiles.check(profile)
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from error
