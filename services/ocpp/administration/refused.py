# SPDX-License-Identifier: Apache-2.0
"""Why a command is not carried out."""

from __future__ import annotations

from firmware.contract.administration import Problem
from firmware.errors import BaywattError

__all__ = ["CommandRefused"]


class CommandRefused(BaywattError):
    """The answer is `refused` with this problem and a sentence for a person."""

    def __init__(self, problem: Problem, detail: str = "") -> None:
        super().__init__(f"{problem.value}: {detail}")
        self.problem = problem
        self.detail = detail
