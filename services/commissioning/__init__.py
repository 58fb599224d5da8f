# SPDX-License-Identifier: Apache-2.0
"""The commissioning page's server: what installers and scripts set and see of the station, over HTTPS."""
