# SPDX-License-Identifier: Apache-2.0
"""The parts of block L: the update that is in progress, and the workers that download, verify and install it."""
