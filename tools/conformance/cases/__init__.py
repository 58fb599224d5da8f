# SPDX-License-Identifier: Apache-2.0
"""The test cases: one or more modules `<block>_<topic>.py` for each functional block. Every module here is imported."""
