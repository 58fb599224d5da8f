# SPDX-License-Identifier: Apache-2.0
"""What conformance tests start from: a case of part 6, played by the runner against a rig of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tools.conformance import catalogue
from tools.conformance.bench import Facts
from tools.conformance.product import Tested, product_under_test
from tools.conformance.registry import Case, collect
from tools.conformance.results import Result
from tools.conformance.runner import Options, run


@pytest.fixture(scope="session")
def product() -> Tested:
    return product_under_test(None)


@pytest.fixture(scope="session")
def written(product: Tested) -> dict[str, tuple[catalogue.Entry, Case]]:
    """The cases that apply and can be played, by id."""
    cases = collect()
    entries = [entry for entry in catalogue.load() if catalogue.rule(entry, product.name, product.answers).applies]
    return {entry.id: (entry, cases[entry.id]) for entry in entries if entry.id in cases}


@pytest.fixture
def play(
    product: Tested, written: dict[str, tuple[catalogue.Entry, Case]], tmp_path: Path
) -> Callable[[str, float], Awaitable[Result]]:
    """Plays the case of this id; `patience` multiplies its time limits. The rig's packages are those of the current
    directory, if there are any."""
    facts = Facts(
        product=product.reference,
        identity="CP001",
        password="0123456789abcdef",
        evses=product.evses,
        answers=product.answers,
    )

    async def play(case: str, patience: float) -> Result:
        options = Options(facts, patience=patience, logs=tmp_path, durations=tmp_path / "durations.json")
        (result,) = await run([written[case]], options, lambda _: None)
        return result

    return play
