# SPDX-License-Identifier: Apache-2.0
"""The insulation monitor of one EVSE: settles after it is switched on, tests itself on request.

A real self test takes up to 30 s and settling about 10 s; here both are short, so that a bench session starts in
seconds. The rules hold: no valid reading while settling or testing, and no passed test without voltage.
"""

from __future__ import annotations

from dataclasses import dataclass

from hal.ports import InsulationReading

__all__ = ["Monitor"]

SETTLE_S = 0.3
SELF_TEST_S = 0.8
TEST_NEEDS_V = 50.0


@dataclass(slots=True)
class Monitor:
    """State of one monitor; `resistance_kohm` is the real resistance of the EVSE and its car to earth."""

    resistance_kohm: float = 20_000.0
    active: bool = False
    passed: bool | None = None
    _on_s: float = 0.0
    _testing_s: float | None = None

    def enable(self, active: bool) -> None:
        if active and not self.active:
            self._on_s = 0.0
        self.active = active
        if not active:
            self.passed = None
            self._testing_s = None

    def start_self_test(self) -> None:
        if self.active:
            self.passed = None
            self._testing_s = 0.0

    def step(self, dt: float, voltage_v: float) -> None:
        if not self.active:
            return
        self._on_s += dt
        if self._testing_s is not None:
            self._testing_s += dt
            if self._testing_s >= SELF_TEST_S:
                self._testing_s = None
                self.passed = voltage_v >= TEST_NEEDS_V

    def reading(self, mono_s: float) -> InsulationReading:
        valid = self.active and self._on_s >= SETTLE_S and self._testing_s is None
        return InsulationReading(
            mono_s=mono_s,
            resistance_kohm=round(self.resistance_kohm, 1) if valid else 0.0,
            valid=valid,
            self_test_passed=self.passed,
        )
