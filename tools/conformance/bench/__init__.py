# SPDX-License-Identifier: Apache-2.0
"""What test cases are written with: expectations, part 6's reusable states, and the station under test."""
