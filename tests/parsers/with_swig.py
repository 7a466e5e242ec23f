"""Prints the constants of tim.h as SWIG's module has them, and calls the library.

Usage: with_swig.py DIR_OF_THE_MODULE
"""

import sys

sys.path.insert(0, sys.argv[1])
import tim_swig

for name in dir(tim_swig):
    value = getattr(tim_swig, name)
    if name.startswith("TIM_") and isinstance(value, int):
        print(name, value)
assert tim_swig.tim_error_name(tim_swig.TIM_ERR_BANNED) == "TIM_ERR_BANNED"
