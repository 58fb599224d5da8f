# SPDX-License-Identifier: Apache-2.0
"""Libraries that are imported without the metadata of packages work as usual afterwards, and so does that module."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIBRARIES = {"websockets": "services.ocpp.csms", "can": "drivers.can"}


def printed(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize(("library", "package"), LIBRARIES.items())
def test_the_metadata_is_not_loaded(library: str, package: str) -> None:
    code = f"import {package}, sys; print('{library}' in sys.modules, 'importlib.metadata' in sys.modules)"
    assert printed(code) == "True False"


@pytest.mark.parametrize("package", LIBRARIES.values())
def test_the_metadata_can_be_read_afterwards(package: str) -> None:
    code = f"import {package}; from importlib.metadata import version; print(version('msgspec') > '0')"
    assert printed(code) == "True"


@pytest.mark.parametrize(("library", "package"), LIBRARIES.items())
def test_what_is_loaded_already_stays(library: str, package: str) -> None:
    for first in ("importlib.metadata", library):
        code = f"import sys, {first} as module; import {package}; print(sys.modules['{first}'] is module)"
        assert printed(code) == "True"


def test_the_interfaces_of_python_can_are_there() -> None:
    assert (
        printed("import drivers.can, can; print({'socketcan', 'slcan', 'virtual'} <= can.VALID_INTERFACES)") == "True"
    )
