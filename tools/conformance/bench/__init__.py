# SPDX-License-Identifier: Apache-2.0
"""What a test case holds in its hands: expectations, part 6's reusable states, and the station under test."""
