# SPDX-License-Identifier: Apache-2.0
"""Whom file servers are certified by: the CSMS's roots (N01.FR.15), and the operating system's (N01.FR.16), because the
storage is often a cloud service and no part of the CSMS."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterable

__all__ = ["file_server_context"]

_log = logging.getLogger(__name__)


def file_server_context(csms_roots: Iterable[str]) -> ssl.SSLContext:
    """TLS 1.2 or newer, host names checked. `csms_roots` are PEM texts; one that is none is passed over. Blocks."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for pem in csms_roots:
        try:
            context.load_verify_locations(cadata=pem)
        except (ssl.SSLError, ValueError) as error:
            _log.warning("a CSMS root is not usable for file transfers: %s", getattr(error, "reason", None) or "no PEM")
    return context
