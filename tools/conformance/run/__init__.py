# SPDX-License-Identifier: Apache-2.0
"""Selects the cases that apply to a product, runs them, measures and reports."""
