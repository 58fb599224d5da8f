# SPDX-License-Identifier: Apache-2.0
"""What holds for every test.

Property tests draw the same examples in every run, so that a red test is red again, and have no time limit per
example, as machines differ; `--hypothesis-profile=default` searches further afield.
"""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
