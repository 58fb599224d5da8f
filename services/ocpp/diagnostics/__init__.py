# SPDX-License-Identifier: Apache-2.0
"""The parts of block N: the documents and files of a log upload, and the worker that uploads them."""
