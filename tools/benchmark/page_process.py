# SPDX-License-Identifier: Apache-2.0
"""`python -m tools.benchmark.page_process PERIOD_S --config FILE`: the commissioning page, with an update so often.

The page's own process sends one a second at most; an hour of them in a minute needs another period.
"""

from __future__ import annotations

import sys

from services.commissioning import service
from services.commissioning.__main__ import main

if __name__ == "__main__":
    service.STATUS_S = service.IDLE_STATUS_S = float(sys.argv[1])
    sys.exit(main(sys.argv[2:]))
