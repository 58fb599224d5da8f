# SPDX-License-Identifier: Apache-2.0
"""`python -m tools.csms`: the same as `baywatt csms`."""

from __future__ import annotations

import sys

from tools.csms.cli import main

if __name__ == "__main__":
    sys.exit(main())
