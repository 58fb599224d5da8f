# SPDX-License-Identifier: Apache-2.0
"""The scripted CSMS: WebSocket endpoints, answers, file servers, and the transcript of the conversation."""
