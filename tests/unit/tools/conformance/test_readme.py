# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from pathlib import Path

import tools.conformance

ROOT = Path(tools.conformance.__file__).parent


def test_the_table_of_modules_names_every_module() -> None:
    table = (ROOT / "README.md").read_text().partition("## Where things are")[2].partition("## ")[0]
    named: set[str] = set()
    for row in re.findall(r"^\| (.*?) \|", table, re.MULTILINE):
        folder = ""
        for path in re.findall(r"`([^`<]+\.py)`", row):
            folder = path.rpartition("/")[0] or folder
            named.add(f"{folder}/{path.rpartition('/')[2]}".lstrip("/"))
    modules = {str(path.relative_to(ROOT)) for path in ROOT.glob("**/*.py") if path.parent.name != "cases"}
    assert named == {path for path in modules if not path.endswith(("__init__.py", "__main__.py"))}
