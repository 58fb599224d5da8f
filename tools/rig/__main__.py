# SPDX-License-Identifier: Apache-2.0
"""`python -m tools.rig`: the same as `baywatt rig`."""

from __future__ import annotations

import sys

from tools.rig.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
