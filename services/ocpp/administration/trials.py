# SPDX-License-Identifier: Apache-2.0
"""The command `test_connection`: what is to be tried, and how far the test may go."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from firmware.contract import administration as contract
from firmware.contract.administration import CommandRefused, Problem
from firmware.errors import ConfigError
from services.ocpp import network_profiles
from services.ocpp.administration.connection_test import Trial, of_connection
from services.ocpp.administration.settings import check_identity, profile_request
from services.ocpp.administration.units import Units
from services.ocpp.rpc.validation import check_request

if TYPE_CHECKING:
    from firmware.factory_settings import NetworkProfile
    from services.ocpp.blocks.provisioning import Provisioning

__all__ = ["plan"]


def plan(units: Units, command: contract.TestConnection) -> Trial | contract.ConnectionTest:
    """What to try; or the result, if that is known without dialling. Raises `CommandRefused`."""
    context = units.context
    profile = _profile(units, command)
    if command.identity is not None:
        check_identity(context.model, command.identity)
    registration = context.registration
    connected = registration.link_up and command.identity in (None, units.shell.identity)
    replaced = (command.identity, command.basic_auth_password) != (None, None)
    if connected and not replaced and profile == _connected(units):
        return of_connection(profile, units.shell.identity, registration.status)
    boot = cast("Provisioning", units.station.block("B")).boot_request("Unknown")
    return Trial(
        profile=profile,
        identity=command.identity,
        basic_auth_password=command.basic_auth_password,
        boot=None if connected and not command.disturb else boot,
        link_up=context.hal.links.get(profile.interface, True),
    )


def _connected(units: Units) -> NetworkProfile | None:
    """The profile of the present connection, as it was at the start."""
    slot = units.context.registration.slot
    return next((each for each in units.shell.tester.profiles if each.slot == slot), None)


def _profile(units: Units, command: contract.TestConnection) -> NetworkProfile:
    if (command.slot is None) == (command.profile is None):
        raise CommandRefused(Problem.BAD_REQUEST, "expected a slot or a profile, and only one of them")
    if command.profile is None:
        stored = units.context.profiles.get(command.slot or 0)
        if stored is None:
            raise CommandRefused(Problem.NOT_FOUND, f"no profile in slot {command.slot}")
        return stored
    request = profile_request(command.profile)
    violation = check_request("SetNetworkProfile", request)
    if violation is not None:
        raise CommandRefused(Problem.BAD_REQUEST, violation.description)
    try:
        return network_profiles.parse(command.profile.slot, request["connectionData"], units.context.product)
    except ConfigError as error:
        raise CommandRefused(Problem.REFUSED, str(error)) from error
