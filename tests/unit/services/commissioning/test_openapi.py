# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document is that of the routes, and says what programs need."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest

from services.commissioning.app import OPENAPI
from services.commissioning.routes import ROUTES
from tools.generate.openapi import document, text


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return document(ROUTES)


def test_the_file_is_the_one_that_the_routes_make() -> None:
    assert OPENAPI.read_text(encoding="utf-8") == text(), "run: python -m tools.generate.openapi"


def test_every_operation_has_a_name_of_its_own(made: dict[str, Any]) -> None:
    names = Counter(operation["operationId"] for path in made["paths"].values() for operation in path.values())
    assert len(names) == len(ROUTES)
    assert set(names.values()) == {1}


def test_every_reference_leads_to_a_shape(made: dict[str, Any]) -> None:
    wanted = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(made)))
    assert wanted == set(made["components"]["schemas"])
