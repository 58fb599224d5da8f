# SPDX-License-Identifier: Apache-2.0
"""Executes cases of part 6 by the runner, each against a rig of its own."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from firmware import product as products
from tools.conformance.bench.bench import Fixtures
from tools.conformance.run import catalogue
from tools.conformance.run.product import ProductUnderTest, describe
from tools.conformance.run.registry import Case, collect
from tools.conformance.run.results import Result
from tools.conformance.run.runner import Options, run


@functools.cache
def product_under_test(product: str) -> ProductUnderTest:
    return describe(products.load(product), product)


@functools.cache
def applicable(product: str) -> dict[str, tuple[catalogue.Entry, Case]]:
    """The implemented cases that apply to a product, by id."""
    cases, about = collect(), product_under_test(product)
    entries = [entry for entry in catalogue.load() if catalogue.applicability(entry, about.name, about.answers).applies]
    return {entry.id: (entry, cases[entry.id]) for entry in entries if entry.id in cases}


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., Awaitable[Result]]:
    """Execute the case with this id; `patience` multiplies its time limits.

    The rig's packages are those of the current directory, if it has any.
    """

    async def play(case: str, patience: float, product: str = catalogue.HOME_PRODUCT) -> Result:
        about = product_under_test(product)
        fixtures = Fixtures(
            product=about.reference,
            identity="CP001",
            password="0123456789abcdef",
            evses=about.evses,
            answers=about.answers,
        )
        options = Options(fixtures, patience=patience, logs=tmp_path, durations=tmp_path / "durations.json")
        (result,) = await run([applicable(product)[case]], options, lambda _: None)
        return result

    return play
