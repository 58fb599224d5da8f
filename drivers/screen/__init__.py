# SPDX-License-Identifier: Apache-2.0
"""Displays that the charger drives itself: a web page in a kiosk browser, and the words of all displays.

`languages/`  what displays say, a file for each language
`page/`       the web page: rendering apart from transport, so that other pages can show a display, too
"""

from pathlib import Path

__all__ = ["PAGE"]

PAGE = Path(__file__).parent / "page"
"""The folder of the web page; `render.js`, `paint.js`, `icons.js` and `display.css` need nothing of the charger."""
