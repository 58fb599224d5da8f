# SPDX-License-Identifier: Apache-2.0
"""`python -m tools.conformance` is `baywatt conformance`."""

from __future__ import annotations

import sys

from tools.conformance.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
