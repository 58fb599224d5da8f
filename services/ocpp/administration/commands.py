# SPDX-License-Identifier: Apache-2.0
"""Each command of the administration socket: what answers it.

What carries them out is imported with the first command that needs it: most starts need none of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.contract import administration as contract
from firmware.contract.administration import Command, CommandRefused, Problem
from services.ocpp.administration.units import Shell, Units

if TYPE_CHECKING:
    from services.ocpp.administration.connection_test import Trial
    from services.ocpp.administration.server import Answer, Client

__all__ = ["Commands"]

_MAX_VALUES = 100


class Commands:
    """Carries out commands; `publish` is called after each unit of work."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._units = Units(shell)
        self._subscribers: set[Client] = set()
        self._followers: set[Client] = set()
        self._testing = False

    def execute(self, client: Client, command: Command) -> Answer:
        """The result; raises `CommandRefused`."""
        from services.ocpp.administration import certificates, restarts, settings

        units = self._units
        match command:
            case contract.GetVariables():
                return self._get_variables(command)
            case contract.SetVariables():
                return self._set_variables(command)
            case contract.Subscribe():
                self._subscribe(client)
            case contract.GetStation():
                return settings.station_info(units)
            case contract.SetIdentity():
                settings.set_identity(units, command)
            case contract.SetProduct():
                settings.set_product(units, command)
            case contract.ListProfiles():
                return settings.profiles(units)
            case contract.SetProfile():
                settings.set_profile(units, command)
            case contract.SetPriority():
                settings.set_priority(units, command)
            case contract.TestConnection():
                return self._test_connection(command)
            case contract.ListCertificates():
                return certificates.listed(units)
            case contract.InstallRoot():
                certificates.install_root(units, command)
            case contract.MakeSigningRequest():
                return certificates.make_signing_request(units)
            case contract.InstallChain():
                certificates.install_chain(units, command)
            case contract.DeleteCertificate():
                certificates.delete(units, command)
            case contract.FollowMessages():
                self._follow_messages(client)
            case contract.MakeBundle():
                return self._make_bundle(client)
            case contract.ReadBundle():
                return self._shell.bundles.read(client, command.offset)
            case contract.Restart():
                restarts.restart(units, command)
            case contract.FactoryReset():
                restarts.factory_reset(units, command)
        return None

    # --- variables ----------------------------------------------------------------------------------

    def _get_variables(self, command: contract.GetVariables) -> contract.Variables:
        from services.ocpp.administration import variables

        if command.start < 0:
            raise CommandRefused(Problem.BAD_REQUEST, "`start` is a number from 0")
        return variables.page(self._units.context.model, command.start)

    def _set_variables(self, command: contract.SetVariables) -> contract.SetResults:
        from services.ocpp.administration import variables

        if not 1 <= len(command.values) <= _MAX_VALUES:
            raise CommandRefused(Problem.BAD_REQUEST, f"expected 1 to {_MAX_VALUES} values, got {len(command.values)}")
        response = self._units.request("SetVariables", variables.set_variables_request(command.values))
        return contract.SetResults(variables.set_results(command.values, response))

    def _subscribe(self, client: Client) -> None:
        if client not in self._subscribers:
            self._subscribers.add(client)
            client.closed.append(lambda: self._subscribers.discard(client))

    # --- messages and logs -----------------------------------------------------------------------------

    def _follow_messages(self, client: Client) -> None:
        if client in self._followers:
            return
        from services.ocpp.administration.live_messages import Follower, last_written

        messages = self._shell.messages
        written = last_written(messages.paths)
        follower = Follower(client, self._shell.formatter(), messages.in_memory(), written=written)
        messages.follow(follower.add)
        self._followers.add(client)
        client.closed += [
            lambda: messages.unfollow(follower.add),
            lambda: self._followers.discard(client),
            follower.close,
        ]

    def _make_bundle(self, client: Client) -> Answer:
        from services.ocpp.administration.bundle import content_of

        content = self._units.unit(lambda station, now: content_of(station.context, now))
        self._shell.bundles.take(client)
        return self._shell.bundles.make(client, content)

    # --- connection test ------------------------------------------------------------------------------

    def _test_connection(self, command: contract.TestConnection) -> Answer:
        from services.ocpp.administration import trials

        planned = trials.plan(self._units, command)
        if isinstance(planned, contract.ConnectionTest):
            return planned
        if self._testing:
            raise CommandRefused(Problem.BUSY, "another connection test is running")
        self._testing = True
        return self._run(planned)

    async def _run(self, trial: Trial) -> contract.ConnectionTest:
        try:
            return await self._shell.tester.run(trial)
        finally:
            self._testing = False

    def publish(self) -> None:
        """Send what has changed in this unit of work."""
        station = self._shell.station
        if station is None:
            return
        model = station.context.model
        changed, model.changed = model.changed, set()
        if changed and self._subscribers:
            from services.ocpp.administration import variables

            for message in variables.changes(model, changed):
                for client in tuple(self._subscribers):
                    client.send(message)
