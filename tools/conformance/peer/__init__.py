# SPDX-License-Identifier: Apache-2.0
"""The CSMS that the station talks to: WebSocket endpoints, answers, file servers, and the transcript of it all."""
