"""`python -m tools`: where tools/forge continues inside its virtual environment."""

from tools.cli import main

main()
