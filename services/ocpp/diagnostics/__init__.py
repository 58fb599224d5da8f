# SPDX-License-Identifier: Apache-2.0
"""The parts of block N that take time: archiving the logs and uploading the archive."""
