# SPDX-License-Identifier: Apache-2.0
"""`python -m services.ocpp --config FILE`: the OCPP service."""

from __future__ import annotations

import gc
import sys


def main(argv: list[str] | None = None) -> int:
    gc.disable()  # until `Lifecycle.ready`: nothing of what is imported is garbage
    try:
        from services.ocpp.process import run

        return run(sys.argv[1:] if argv is None else argv)
    finally:
        gc.enable()


if __name__ == "__main__":
    sys.exit(main())
