# SPDX-License-Identifier: Apache-2.0
"""The parts of block L: the table of an update's stages, the update in progress, its conditions, and its workers."""
