"""Prints the constants of tim.h as CFFI reads them, and calls the library.

Usage: with_cffi.py CC INCLUDE_DIR LIBRARY
"""

import re
import subprocess
import sys

import cffi

cc, include, library = sys.argv[1:]
header = subprocess.run(
    [cc, "-E", "-x", "c", f"{include}/tim.h"], check=True, stdout=subprocess.PIPE, text=True
).stdout
# CFFI brings the standard types along: only the lines of tim.h itself are declared.
lines, own = [], False
for line in header.splitlines():
    marker = re.match(r'# \d+ "(.*?)"', line)
    if marker:
        own = marker[1].endswith("/tim.h")
    elif own:
        lines.append(line)
ffi = cffi.FFI()
ffi.cdef("\n".join(lines))
tim = ffi.dlopen(library)
for name in sorted(set(re.findall(r"\bTIM_\w+", "\n".join(lines)))):
    print(name, getattr(tim, name))
assert ffi.string(tim.tim_error_name(tim.TIM_ERR_BANNED)) == b"TIM_ERR_BANNED"
