# SPDX-License-Identifier: Apache-2.0
"""`baywatt image`: build a firmware image from a checkout, sign it, and check whether a station would accept it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from firmware import product
from firmware.clock import SystemClock
from firmware.errors import BaywattError, ImageError
from firmware.update import signing
from firmware.update.image import check_allowed
from firmware.version import VERSION
from tools.arguments import Parser
from tools.image import build

__all__ = ["main", "parser"]


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, 1 if the image or an input of it is invalid, 2 for a bad argument."""
    args = parser().parse_args(argv)
    try:
        args.run(args)
    except UnicodeDecodeError:
        print(f"baywatt image {args.verb}: a file is not text in UTF-8", file=sys.stderr)
        return 1
    except (BaywattError, ValueError) as error:
        print(f"baywatt image {args.verb}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"baywatt image {args.verb}: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    top = Parser(prog="baywatt image", description=__doc__)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    make = verbs.add_parser("build", help="build an unsigned image of a checkout's version tree")
    make.add_argument("--checkout", type=Path, default=Path(), metavar="DIR", help="default: the working directory")
    make.add_argument("--product", default="c7am-400-cc", help="the product whose firmware family the image is for")
    make.add_argument("--version", help="the version of the image (default: the checkout's)")
    make.add_argument("--min-version", default="0.0.0", help="the oldest version that it may replace (default: 0.0.0)")
    make.add_argument("out", type=Path, metavar="IMAGE")
    make.set_defaults(run=_build)
    sign = verbs.add_parser("sign", help="embed a signature, and print what an UpdateFirmwareRequest needs")
    sign.add_argument("--certificate", type=Path, required=True, metavar="PEM", help="firmware signing certificate")
    sign.add_argument("--key", type=Path, required=True, metavar="PEM", help="its private key")
    sign.add_argument("--out", type=Path, metavar="IMAGE", help="default: the image itself")
    sign.add_argument("image", type=Path, metavar="IMAGE")
    sign.set_defaults(run=_sign)
    verify = verbs.add_parser("verify", help="check whether a station would accept an image")
    verify.add_argument("--root", type=Path, required=True, action="append", metavar="PEM", help="manufacturer root")
    verify.add_argument("--product", default="c7am-400-cc")
    verify.add_argument("--running", default=VERSION, help="the station's version (default: this checkout's)")
    verify.add_argument("image", type=Path, metavar="IMAGE")
    verify.set_defaults(run=_verify)
    return top


def _build(args: argparse.Namespace) -> None:
    manifest = build.build(
        args.checkout, args.out, product_name=args.product, version=args.version, min_version=args.min_version
    )
    size = args.out.stat().st_size
    print(f"{args.out}: {manifest.family} {manifest.version}, {len(manifest.files)} files, {size} bytes, not signed")


def _sign(args: argparse.Namespace) -> None:
    out = args.out or args.image
    build.sign(args.image, out, certificate=args.certificate, key=args.key)
    print(json.dumps(build.request_fields(out, certificate=args.certificate, key=args.key), indent=1))


def _verify(args: argparse.Namespace) -> None:
    manifest, embedded, _digest = build.read(args.image)
    if embedded is None:
        raise ImageError("the image is not signed")
    roots = [path.read_bytes() for path in args.root]
    signing.check_signer(embedded.certificate, roots, utc=SystemClock().utc())
    signing.verify_digest(signing.load_certificate(embedded.certificate), embedded.signature, embedded.digest)
    loaded = product.load(args.product)
    check_allowed(
        manifest,
        family=loaded.identity.firmware_family,
        running=args.running,
        rollback=loaded.limits.firmware_rollback,
    )
    print(f"{args.image}: {manifest.family} {manifest.version}, {len(manifest.files)} files, signature good")


if __name__ == "__main__":
    sys.exit(main())
