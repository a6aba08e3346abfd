"""`python -m tools`: where tools/forge continues inside its virtual environment."""

import sys

# What is imported from here on is compiled once, and not each time; not beside the sources.
sys.pycache_prefix, sys.dont_write_bytecode = f"{sys.prefix}/compiled", False

from tools.cli import main  # noqa: E402

main()
