# SPDX-License-Identifier: Apache-2.0
"""When a kiosk browser is taken for dead, and what follows. Pure; the page sends a heartbeat every 2 s."""

from __future__ import annotations

__all__ = ["MOST_RESTARTS", "SILENT_S", "START_S", "BrowserWatch"]

SILENT_S = 10.0
"""Without a heartbeat for this long, a browser that has shown the page is restarted."""
START_S = 30.0
"""How long a browser may take to show the page, unless it is set: on a slow board it starts in 10 to 20 s."""
MOST_RESTARTS = 3
"""After as many in vain the display counts as lost."""
RETRY_S = 60.0
"""From then on it is restarted this often: it may recover by itself."""
WELL_S = 60.0
"""A browser that has shown the page for this long may fail anew."""


class BrowserWatch:
    """`can_restart`: False where nothing can restart the browser; then the first silence is a loss."""

    def __init__(self, now: float, *, can_restart: bool, start_s: float = START_S) -> None:
        self._can_restart = can_restart
        self._start_s = start_s
        self._heard_at = now
        self._patience_s = start_s
        self._restarts = 0
        self._well_since: float | None = None
        self.lost: str | None = None
        """Why the display is lost; None while it is not."""

    def beat(self, now: float) -> None:
        self._heard_at, self._patience_s, self.lost = now, SILENT_S, None
        if self._well_since is None:
            self._well_since = now
        elif now - self._well_since >= WELL_S:
            self._restarts = 0

    def check(self, now: float) -> bool:
        """Whether the browser has to be restarted now."""
        if now - self._heard_at < self._patience_s:
            return False
        silent_s = self._patience_s
        self._heard_at, self._well_since = now, None
        if not self._can_restart:
            self.lost = f"no browser shows the page for {silent_s:g} s"
            return False
        self._restarts += 1
        if self._restarts > MOST_RESTARTS:
            self.lost = f"no browser shows the page, also after {MOST_RESTARTS} restarts"
        self._patience_s = self._start_s if self._restarts <= MOST_RESTARTS else RETRY_S
        return True
