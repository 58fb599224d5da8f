# SPDX-License-Identifier: Apache-2.0
"""The connection to the CSMS: dialling, TLS, credentials, back-off, and the WebSocket itself. No block imports it."""

from firmware.light_imports import without_package_metadata

with without_package_metadata("websockets"):
    import websockets.version  # noqa: F401
