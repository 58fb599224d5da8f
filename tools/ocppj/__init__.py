# SPDX-License-Identifier: Apache-2.0
"""OCPP-J as every bench needs it: frames, and payloads checked against the schemas of the specification.

It shares nothing with the station's own `services/ocpp/rpc`: what checks the station must not repeat its bugs.
"""
