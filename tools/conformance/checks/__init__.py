# SPDX-License-Identifier: Apache-2.0
"""What is checked: payloads, whole conversations, and the variables that a report must have."""
