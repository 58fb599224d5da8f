# SPDX-License-Identifier: Apache-2.0
"""Whatever a signed-in installer's browser sends: an answer, never a bug."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import inspect

from services.commissioning.routes import ROUTES
from services.commissioning.site import Route
from tests.support.absurd import TEXTS
from tests.support.commissioning import Browser, Served

WITH_BODY = [route for route in ROUTES if route.body is not None and route.path != "/api/session"]
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS, st.text(max_size=40))
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)


def near(kind: inspect.Type) -> st.SearchStrategy[Any]:
    """Values that fit the type, more or less."""
    match kind:
        case inspect.Metadata():
            return near(kind.type)
        case inspect.UnionType():
            return st.one_of(*(near(each) for each in kind.types))
        case inspect.StructType():
            fields = {field.encode_name: near(field.type) | SCALARS for field in kind.fields}
            return st.fixed_dictionaries({}, optional=fields)
        case inspect.ListType():
            return st.lists(near(kind.item_type), max_size=4)
        case inspect.LiteralType():
            return st.sampled_from(kind.values)
        case inspect.EnumType():
            return st.sampled_from([each.value for each in kind.cls])
        case inspect.BoolType():
            return st.booleans()
        case inspect.IntType() | inspect.FloatType():
            return st.integers()
        case _:
            return TEXTS


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.parametrize("route", WITH_BODY, ids=lambda route: f"{route.method} {route.path}")
async def test_whatever_is_sent_is_answered_and_nothing_is_a_bug(
    page: Served, installer: Browser, route: Route, data: st.DataObject
) -> None:
    assert route.body is not None
    content = data.draw(near(inspect.type_info(route.body)) | ANYTHING)
    segment = data.draw(st.sampled_from(["1", "x", "%3Cscript%3E", "..", "%2e%2e", "a" * 300]))
    path = route.path.replace("{slot}", segment).replace("{id}", segment).replace("{fingerprint}", segment)
    answer = await installer.raw(route.method, path, msgspec.json.encode(content))
    assert answer.status in (200, 400, 401, 403, 404, 405, 409, 413, 429, 502, 503), answer.content
