# SPDX-License-Identifier: Apache-2.0
"""The test cases, a module or more for each functional block: `<block>_<topic>.py`. Every module here is imported."""
