# SPDX-License-Identifier: Apache-2.0
"""What axe-core finds on a page that keeps people from using it (WCAG 2.2, levels A and AA)."""

from __future__ import annotations

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

__all__ = ["barriers"]

_SERIOUS = {"serious", "critical"}
_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], "resultTypes": ["violations"]}


async def barriers(page: Page) -> list[str]:
    """One line for each element with a serious or critical violation: rule, element, what is wrong."""
    results = await Axe().run(page, options=_RULES)
    return [
        f"{violation['id']}: {node['target'][0]}: {node['failureSummary']}"
        for violation in results.response["violations"]
        if violation["impact"] in _SERIOUS
        for node in violation["nodes"]
    ]
