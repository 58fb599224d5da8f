# SPDX-License-Identifier: Apache-2.0
"""The OCPP service's settings file: paths, sockets, log."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from firmware.update.factory import SlotsSettings

__all__ = ["ServiceConfig"]


class ServiceConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Relative paths are relative to the working directory."""

    factory: str = "/etc/baywatt/station.toml"
    database: str = "/var/lib/baywatt/ocpp/station.db"
    certificates: str = "/var/lib/baywatt/ocpp/certificates"
    hal_socket: str = "/run/baywatt/hal.sock"
    status_socket: str = "/run/baywatt-ocpp/status.sock"
    administration_socket: str = "/run/baywatt-ocpp/administration.sock"
    administration_group: str = "baywatt-admin"
    """Its members may administer the station, besides root and our own user; "": nobody else."""
    slots: SlotsSettings | None = None
    """Where updates are installed; without it the station can't be updated over OCPP."""
    images: str = "/var/lib/baywatt/ocpp/firmware"
    """The folder of an image between its download and its installation."""
    bind_links: bool = False
    """Open each connection over the interface of its network profile, whatever the default route is."""
    metrics_port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    """The port on the loopback at which Prometheus reads figures (docs/metrics.md); without it there is none."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_file: str | None = None
