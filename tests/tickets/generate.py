#!/usr/bin/env python3
"""Prints tickets of the PyPI package tls-sig-api-v2 as JSON lines.

Each line has: package, version, sdk_app_id, user_id, issued_s, expire_s, userbuf (base64 or
null), user_sig. For every user id and every --expire there is one ticket without and one with
userbuf.
"""

import argparse
import base64
import importlib.metadata
import json
import sys
import time
import types

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--packages", metavar="DIR", required=True, help="where tests/tickets/install put them")
parser.add_argument("--time", metavar="SECONDS", type=int, help="issue at this Unix time, not now")
parser.add_argument("--expire", metavar="SECONDS", type=int, action="append", help="lifetime; may be repeated; default 86400")
parser.add_argument("sdk_app_id", type=int)
parser.add_argument("key_file")
parser.add_argument("user_id", nargs="+")
args = parser.parse_args()

python_dir = args.packages + "/python"
sys.path.insert(0, python_dir)
import TLSSigAPIv2  # noqa: E402

(version,) = {
    package.version
    for package in importlib.metadata.distributions(path=[python_dir])
    if package.metadata["Name"].replace("_", "-") == "tls-sig-api-v2"
}
now = int(time.time()) if args.time is None else args.time
# The package reads the clock itself: it gets one that stands still.
TLSSigAPIv2.time = types.SimpleNamespace(time=lambda: now)

with open(args.key_file, encoding="utf-8", newline="") as file:
    key = file.read().removesuffix("\n").removesuffix("\r")
api = TLSSigAPIv2.TLSSigAPIv2(args.sdk_app_id, key)

for user_id in args.user_id:
    for expire in args.expire or [86400]:
        for userbuf in (None, f"room of {user_id}".encode()):
            if userbuf is None:
                user_sig = api.gen_sig(user_id, expire)
            else:
                user_sig = api.gen_sig_with_userbuf(user_id, expire, userbuf)
            print(json.dumps({
                "package": "pypi tls-sig-api-v2",
                "version": version,
                "sdk_app_id": args.sdk_app_id,
                "user_id": user_id,
                "issued_s": now,
                "expire_s": expire,
                "userbuf": userbuf and base64.b64encode(userbuf).decode(),
                "user_sig": user_sig,
            }))
