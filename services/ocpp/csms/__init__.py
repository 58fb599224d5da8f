# SPDX-License-Identifier: Apache-2.0
"""The connection to the CSMS: dialling, TLS, credentials, back-off, and the WebSocket itself. No block imports it."""

from services.ocpp.csms import websockets_light as websockets_light
