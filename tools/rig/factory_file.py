# SPDX-License-Identifier: Apache-2.0
"""Factory settings files for the stations of tests and benchmarks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from tools.rig.settings_file import to_toml

__all__ = ["RETRY_AFTER_1_S", "Variables", "factory_file"]

Variables: TypeAlias = Mapping[tuple[str, ...], str]
"""Value by component, variable and, if it has one, the variable's instance."""

RETRY_AFTER_1_S: Variables = {
    ("OCPPCommCtrlr", "RetryBackOffWaitMinimum"): "1",
    ("OCPPCommCtrlr", "RetryBackOffRandomRange"): "0",
}


def factory_file(
    url: str,
    *,
    identity: str = "CP001",
    password: str | None = "0123456789abcdef",
    profile: Mapping[str, Any] | None = None,
    variables: Variables | None = None,
    **settings: Any,
) -> str:
    """A file with one network profile, which leads to `url`.

    `profile` are further keys of that profile, `settings` further keys and tables of the file.
    """
    return to_toml(
        {
            "identity": identity,
            "basic_auth_password": password,
            "network_profile": [{"slot": 1, "url": url, **(profile or {})}],
            "variable": [_variable(*name, value=value) for name, value in (variables or {}).items()],
            **settings,
        }
    )


def _variable(component: str, variable: str, instance: str | None = None, *, value: str) -> dict[str, str | None]:
    return {"component": component, "variable": variable, "instance": instance, "value": value}
