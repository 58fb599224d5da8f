# SPDX-License-Identifier: Apache-2.0
"""The preconditions of a case, and the factory file with which the rig fulfils them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["BASE_VARIABLES", "Preconditions", "VariableRef", "factory_toml", "variable_ref"]

BASE_VARIABLES: Mapping[str, str] = {
    "TxCtrlr.EVConnectionTimeOut": "8",
    "OCPPCommCtrlr.RetryBackOffWaitMinimum": "1",
    "OCPPCommCtrlr.RetryBackOffRandomRange": "0",
    "OCPPCommCtrlr.RetryBackOffRepeatTimes": "2",
}
"""Values that keep a run short; the `Preconditions.variables` of a case override them."""


@dataclass(frozen=True)
class Preconditions:
    """The state of the station when a case begins.

    `variables` are factory values (`"TxCtrlr.EVConnectionTimeOut": "3"`); `mutability` overrides that of a variable;
    `security_profile` is the one of the first connection; with `updates` the station trusts the roots `t.manufacturer`
    and, with any security profile, `t.csms_root`, which signs for file servers; `power` False leaves the station off
    until the case switches it on; `speed` is how much faster than in reality cars charge.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    mutability: Mapping[str, str] = field(default_factory=dict)
    security_profile: int = 1
    updates: bool = False
    message_timeout_s: int = 30
    power: bool = True
    speed: float = 1.0


@dataclass(frozen=True)
class VariableRef:
    """A variable of the device model.

    Written `Component.Variable`; an EVSE's is `EVSE@1.AvailabilityState`, a connector's
    `Connector@1/2.Available`, an instance's `OCPPCommCtrlr.MessageAttempts[TransactionEvent]`.
    """

    component: str
    variable: str
    instance: str = ""
    component_instance: str = ""
    evse: int | None = None
    connector: int | None = None

    def payload(self) -> dict[str, Any]:
        """`component` and `variable` of a message."""
        component: dict[str, Any] = {"name": self.component}
        if self.component_instance:
            component["instance"] = self.component_instance
        if self.evse is not None:
            component["evse"] = {"id": self.evse}
            if self.connector is not None:
                component["evse"]["connectorId"] = self.connector
        variable = {"name": self.variable} | ({"instance": self.instance} if self.instance else {})
        return {"component": component, "variable": variable}


def variable_ref(text: str) -> VariableRef:
    """Reads `TxCtrlr.TxStartPoint`, `EVSE@1.Power`, `Connector@1/1.Available`, `A[i].B[j]`."""
    component, _, variable = text.partition(".")
    variable, _, instance = variable.rstrip("]").partition("[")
    component, _, place = component.partition("@")
    component, _, component_instance = component.rstrip("]").partition("[")
    evse, _, connector = place.partition("/")
    return VariableRef(
        component,
        variable,
        instance,
        component_instance,
        int(evse) if evse else None,
        int(connector) if connector else None,
    )


def factory_toml(
    preconditions: Preconditions,
    *,
    identity: str,
    product: str,
    password: str,
    url: str,
    certificates: Mapping[str, str | list[str]],
) -> str:
    """The rig's factory settings for these preconditions, connecting to `url`."""
    lines = [
        f"identity = {_toml(identity)}",
        f"product = {_toml(product)}",
        f"basic_auth_password = {_toml(password)}",
        "[[network_profile]]",
        "slot = 1",
        f"url = {_toml(url)}",
        f"security_profile = {preconditions.security_profile}",
        'interface = "Wired0"',
        f"message_timeout_s = {preconditions.message_timeout_s}",
        "[commissioning]",
        "port = 0",
        "[rig]",
        f"speed = {preconditions.speed}",
    ]
    if certificates:
        lines += ["[certificates]", *(f"{name} = {_toml(value)}" for name, value in certificates.items())]
    for name, value in {**BASE_VARIABLES, **preconditions.variables}.items():
        lines += _variable(variable_ref(name), value, preconditions.mutability.get(name))
    return "\n".join(lines) + "\n"


def _variable(ref: VariableRef, value: str, mutability: str | None) -> list[str]:
    fields: dict[str, Any] = {
        "component": ref.component,
        "variable": ref.variable,
        "instance": ref.instance or None,
        "component_instance": ref.component_instance or None,
        "evse": ref.evse,
        "connector": ref.connector,
        "value": value,
        "mutability": mutability,
    }
    return ["[[variable]]", *(f"{key} = {_toml(item)}" for key, item in fields.items() if item is not None)]


def _toml(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
