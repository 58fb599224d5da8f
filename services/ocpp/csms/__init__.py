# SPDX-License-Identifier: Apache-2.0
"""The connection to the CSMS: dialling, TLS, credentials, back-off, and the WebSocket itself. No block imports it."""
