# SPDX-License-Identifier: Apache-2.0
"""Settings for all tests.

Property tests draw the same examples in every run, so that a failure can be repeated, and have no time limit per
example, as machines differ; `--hypothesis-profile=default` draws others.
"""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
