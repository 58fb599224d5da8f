# SPDX-License-Identifier: Apache-2.0
"""`baywattctl`: what a technician at a station asks its processes."""
