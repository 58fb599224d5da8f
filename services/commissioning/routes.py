# SPDX-License-Identifier: Apache-2.0
"""Every operation of the API."""

from __future__ import annotations

from services.commissioning.api import (
    certificates,
    hardware,
    log,
    maintenance,
    messages,
    network,
    session,
    settings,
    status,
    users,
    wizard,
)
from services.commissioning.site import Route

__all__ = ["ROUTES"]

ROUTES: list[Route] = [
    *session.ROUTES,
    *status.ROUTES,
    *wizard.ROUTES,
    *settings.ROUTES,
    *certificates.ROUTES,
    *hardware.ROUTES,
    *network.ROUTES,
    *messages.ROUTES,
    *log.ROUTES,
    *maintenance.ROUTES,
    *users.ROUTES,
]
