# SPDX-License-Identifier: Apache-2.0
"""Which cases apply to a product, and how they are run, measured and reported."""
