# SPDX-License-Identifier: Apache-2.0
"""Each fault of `mutations.toml` is put into a copy of the station, and the conformance cases must detect it.

The runner is that of the checkout; rig and station are started from the copy. A fault is detected only if its case
fails by the check in the table: a station that does not start, or a broken case, proves nothing. The cases must pass
without a fault in the same kind of copy.
"""

from __future__ import annotations

import compileall
import contextlib
import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from tools.conformance.run.catalogue import HOME_PRODUCT
from tools.conformance.run.results import Outcome, Result

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("firmware", "hal", "drivers", "services", "tools")

PATIENCE = 3.0
"""For cases that must pass: machines that run tests may be slow."""
NO_PATIENCE = 1.0
"""For cases that must fail, possibly by a timeout."""

NO_CHECK = (
    "the case is broken",
    "the manual action failed",
    "the rig did not start",
    "not done within",
)
"""Failures that are not those of a check."""

with_a_rig = [pytest.mark.conformance, pytest.mark.mutation, pytest.mark.timeout(300)]


class Mutation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of the table; the comment at its head explains the fields."""

    fault: str
    file: str
    old: str
    new: str
    case: str
    breaks: str
    product: str = HOME_PRODUCT

    def __str__(self) -> str:
        return f"{self.case}: {self.fault}"

    def apply(self, station: Path) -> None:
        """Put the fault into the packages in `station`; the replacement must be possible once and give valid Python."""
        path = station / self.file
        text = path.read_text()
        places = text.count(self.old)
        assert places == 1, f"{self.file} has {self.old!r} in {places} places, not in one: choose other text for {self}"
        faulty = text.replace(self.old, self.new)
        compile(faulty, path, "exec")
        path.write_text(faulty)


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    mutation: tuple[Mutation, ...]


MUTATIONS = msgspec.toml.decode(Path(__file__).with_name("mutations.toml").read_bytes(), type=_Table).mutation
CASES = sorted({(mutation.case, mutation.product) for mutation in MUTATIONS})


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unchanged packages with byte code, for copying."""
    station = tmp_path_factory.mktemp("station")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, station / package, ignore=shutil.ignore_patterns("__pycache__"))
        compileall.compile_dir(station / package, quiet=1)
    return station


@pytest.fixture
def station(compiled: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the packages, from which the rigs of the test are started.

    The files keep their times, so that their byte code stays valid.
    """
    copy = shutil.copytree(compiled, tmp_path / "station")
    with contextlib.chdir(copy):
        yield copy
    shutil.rmtree(copy)  # pytest keeps the files of tests, and these are large


@pytest.mark.parametrize("mutation", MUTATIONS, ids=str)
def test_a_fault_is_one_replacement(mutation: Mutation, tmp_path: Path) -> None:
    (tmp_path / mutation.file).parent.mkdir(parents=True)
    shutil.copy(ROOT / mutation.file, tmp_path / mutation.file)
    mutation.apply(tmp_path)


@pytest.mark.parametrize("mutation", [pytest.param(each, marks=with_a_rig) for each in MUTATIONS], ids=str)
async def test_a_fault_is_detected(
    mutation: Mutation, station: Path, play: Callable[[str, float, str], Awaitable[Result]]
) -> None:
    mutation.apply(station)
    result = await play(mutation.case, NO_PATIENCE, mutation.product)
    failures = [str(failure) for failure in result.failures]
    assert result.outcome is Outcome.FAILED, f"{mutation.case} does not detect that the station {mutation.fault}"
    assert not [line for line in failures if any(text in line for text in NO_CHECK)], result.log
    assert any(mutation.breaks in line for line in failures), "\n".join(failures)


@pytest.mark.parametrize(("case", "product"), [pytest.param(*case, marks=with_a_rig) for case in CASES])
async def test_without_a_fault_the_case_passes(
    case: str, product: str, station: Path, play: Callable[[str, float, str], Awaitable[Result]]
) -> None:
    result = await play(case, PATIENCE, product)
    assert result.outcome is Outcome.PASSED, f"{result.line()}\nThe conversation is in {result.log}"
