# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the conformance tests: a case of part 6, executed by the runner against a rig of its own."""

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
def tested(product: str) -> ProductUnderTest:
    return describe(products.load(product), product)


@functools.cache
def written(product: str) -> dict[str, tuple[catalogue.Entry, Case]]:
    """The written cases that apply to a product, by id."""
    cases, about = collect(), tested(product)
    entries = [entry for entry in catalogue.load() if catalogue.applicability(entry, about.name, about.answers).applies]
    return {entry.id: (entry, cases[entry.id]) for entry in entries if entry.id in cases}


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., Awaitable[Result]]:
    """Executes the case of this id; `patience` multiplies its time limits.

    The rig's packages are those of the current directory, if there are any.
    """

    async def play(case: str, patience: float, product: str = catalogue.HOME_PRODUCT) -> Result:
        about = tested(product)
        fixtures = Fixtures(
            product=about.reference,
            identity="CP001",
            password="0123456789abcdef",
            evses=about.evses,
            answers=about.answers,
        )
        options = Options(fixtures, patience=patience, logs=tmp_path, durations=tmp_path / "durations.json")
        (result,) = await run([written(product)[case]], options, lambda _: None)
        return result

    return play
