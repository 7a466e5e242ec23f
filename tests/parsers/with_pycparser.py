"""Prints the constants and functions of tim.h as pycparser reads them.

Usage: with_pycparser.py CC INCLUDE_DIR
"""

import subprocess
import sys

import pycparser_fake_libc
from pycparser import c_ast, c_parser

cc, include = sys.argv[1:]
# pycparser's documented recipe: the compiler's preprocessor, and stand-ins for the system's headers.
text = subprocess.run(
    [cc, "-E", "-nostdinc", "-I", pycparser_fake_libc.directory, "-I", include, "-include", "tim.h"]
    + ["-x", "c", "/dev/null"],
    check=True,
    stdout=subprocess.PIPE,
    text=True,
).stdout
for node in c_parser.CParser().parse(text, "tim.h").ext:
    if isinstance(node, c_ast.Decl) and isinstance(node.type, c_ast.FuncDecl):
        print("function", node.name)
    elif isinstance(node, c_ast.Decl) and isinstance(node.type, c_ast.Enum):
        assert node.type.name is None, node.type.name
        for constant in node.type.values.enumerators:
            print(constant.name, int(constant.value.value, 0))
