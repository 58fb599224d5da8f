# SPDX-License-Identifier: Apache-2.0
"""Figures for Prometheus, on the loopback and only if the settings name a port (`docs/metrics.md`)."""

from services.ocpp.metrics.figures import Figures
from services.ocpp.metrics.server import MetricsServer

__all__ = ["Figures", "MetricsServer"]
