# SPDX-License-Identifier: Apache-2.0
"""What the pages of displays, commissioning and benches share: files that each server offers below `/look/`.

look.css       the colours by day and by night, and the parts that all pages have
dom.js         makes elements; texts are only ever texts
messages.js    the list of messages between station and CSMS, with messages.css
use_cases.js   the use cases in which each message appears
icon.svg

and, for the servers themselves:

web_files.py   which file has which address, and how long a browser may keep it
"""

from pathlib import Path

__all__ = ["LOOK"]

LOOK = Path(__file__).parent
"""The folder; only files with the endings of web pages in it are for browsers."""
