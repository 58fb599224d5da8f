# SPDX-License-Identifier: Apache-2.0
"""Firmware updates, below OCPP: images, their signers, which may be installed, and the slots for them.

    image.py           the file format: strict reader, writer
    version.py         versions and their order
    signing.py         signing certificates and signatures
    factory.py         the slots that the settings name
    slots.py           what a board's slots must offer (`Slots`)
    slot_directory.py  two version trees in a directory, with a boot counter: laptops, benches, plain Linux machines
    rauc.py            RAUC over D-Bus: boards
    simulated.py       a slot directory whose next installation can be made to fail

An image is installed only after its signature was verified, and is hashed again as it is written into a slot: the
slot becomes bootable only if that hash is the signed one.
"""
