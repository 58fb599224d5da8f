# SPDX-License-Identifier: Apache-2.0
"""Network connection profiles: the configuration slots of B09 and B10.

A changed slot or priority takes effect at the next boot (B10.FR.04): until then the link uses the previous ones.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from firmware.errors import ConfigError
from firmware.factory_settings import NetworkProfile
from firmware.type_words import type_problem
from services.ocpp.key_values import Key, KeyValueStore

if TYPE_CHECKING:
    from firmware.product import Product
    from services.ocpp.messages import NetworkConnectionProfileType

__all__ = ["check", "in_priority", "load", "parse", "store", "trusts_fallback_root"]

_log = logging.getLogger(__name__)


def load(key_values: KeyValueStore, factory: Iterable[NetworkProfile]) -> dict[int, NetworkProfile]:
    """The stored slots, or the factory's if none are stored."""
    stored = key_values.get(Key.NETWORK_PROFILES)
    if stored is None:
        return {profile.slot: profile for profile in factory}
    return {profile.slot: profile for profile in map(_restored, stored) if profile is not None}


def _restored(data: object) -> NetworkProfile | None:
    """A slot accepted by an earlier, less strict firmware must not abort every start of this one."""
    try:
        return msgspec.convert(data, NetworkProfile)
    except msgspec.ValidationError as error:
        _log.error("a stored network profile is unusable: %s", type_problem(error, NetworkProfile, data))
        return None


def store(key_values: KeyValueStore, profiles: dict[int, NetworkProfile]) -> None:
    key_values.put(Key.NETWORK_PROFILES, msgspec.to_builtins(list(profiles.values())))


def in_priority(profiles: dict[int, NetworkProfile], priority: Iterable[str]) -> tuple[NetworkProfile, ...]:
    """The usable slots in the order of NetworkConfigurationPriority."""
    return tuple(profiles[int(slot)] for slot in priority if slot.isdigit() and int(slot) in profiles)


def trusts_fallback_root(key_values: KeyValueStore, profile: NetworkProfile) -> bool:
    """The CSMS that was connected when a root was replaced may still use the previous one (M05.FR.14, M05.FR.16);
    another CSMS must use the new one (M05.FR.15). While that CSMS is unknown, every CSMS may use the previous root."""
    return key_values.get(Key.FALLBACK_ROOT) in (None, profile.url)


def parse(slot: int, data: NetworkConnectionProfileType, product: Product) -> NetworkProfile:
    """The profile of a SetNetworkProfileRequest; raises `ConfigError` with what is wrong (B09.FR.02).

    Its ocppVersion is ignored: the handshake decides on it (part 2, NetworkConnectionProfileType).

    An `apn` is no capability of the station (B09, prerequisite). The modem has one access point, not one for each slot;
    it is set at the station, where a new one is tried and the former returns unless somebody confirms it. A CSMS would
    cut itself off with a wrong one, and its slots could not be dialled in turn (B10.FR.03).
    """
    if data["ocppTransport"] != "JSON":
        raise ConfigError("only JSON is supported")
    if "vpn" in data:
        raise ConfigError("VPN is not supported")
    if "apn" in data:
        raise ConfigError("an APN is set at the station, not over OCPP")
    profile = _profile(slot, data)
    check(profile, product)
    return profile


def check(profile: NetworkProfile, product: Product) -> None:
    """Raises `ConfigError` for a profile that can't be dialled, which would strand the station at its next boot.

    The product file says what the hardware has, so that the answer is the same while the HAL is away.
    """
    interfaces, supported = product.hardware.interfaces, product.features.security_profiles
    if profile.interface not in interfaces:
        raise ConfigError(f"there is no network interface {profile.interface}, only {' and '.join(interfaces)}")
    if profile.security_profile not in (0, *supported):  # C-61
        raise ConfigError(f"security profile {profile.security_profile} is not supported")
    if profile.url.startswith("wss://") != (profile.security_profile >= 2):
        raise ConfigError("the URL's scheme does not match the security profile")
    try:
        parts = urlsplit(profile.url)
        possible = parts.hostname and parts.port != 0
    except ValueError:
        possible = False
    if not possible:
        raise ConfigError("the URL has no host, or an impossible port")
    if "@" in parts.netloc:  # its password would be in reports and logs
        raise ConfigError("expected a URL without user and password: the station has BasicAuthPassword")


def _profile(slot: int, data: NetworkConnectionProfileType) -> NetworkProfile:
    values: dict[str, Any] = {
        "slot": slot,
        "url": data["ocppCsmsUrl"],
        "security_profile": data["securityProfile"],
        "interface": data["ocppInterface"],
        "message_timeout_s": data["messageTimeout"],
    }
    try:
        return msgspec.convert(values, NetworkProfile)
    except msgspec.ValidationError as error:
        raise ConfigError(type_problem(error, NetworkProfile, values)) from error
