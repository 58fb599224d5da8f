# SPDX-License-Identifier: Apache-2.0
"""The commissioning process's settings file: port, paths, log."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

__all__ = ["CommissioningConfig"]


class CommissioningConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Relative paths are relative to the working directory."""

    state: str = "/var/lib/baywatt/commissioning"
    """The folder of accounts, label and certificate of the page."""
    factory: str = "/etc/baywatt/station.toml"
    """The factory file, whose `[commissioning]` has the port and, where a label was printed, its password."""
    host: str = "::"
    """The address to listen at; `::`: all, of IPv4, too."""
    names: list[Annotated[str, Meta(pattern=r"^[A-Za-z0-9.-]{1,253}\Z")]] = field(default_factory=list)
    """Further names by which the page is called, besides the host's own and its addresses."""
    hal_socket: str = "/run/baywatt/hal.sock"
    status_socket: str = "/run/baywatt-ocpp/status.sock"
    administration_socket: str = "/run/baywatt-ocpp/administration.sock"
    port: Annotated[int, Meta(ge=0, le=65535)] | None = None
    """Instead of the factory file's; 0: any free one, if possible that of the last run."""
    port_file: str | None = None
    """A file to write pid and port into once we serve."""
    logs: dict[str, str] = field(default_factory=dict)
    """Log files to show, by the name of the process; without any, the journal of the units `baywatt-*`."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_file: str | None = None
