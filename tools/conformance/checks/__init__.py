# SPDX-License-Identifier: Apache-2.0
"""The checks: of payloads, of whole conversations, and the variables that a report must have."""
