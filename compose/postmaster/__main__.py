"""Entry point of `python -m postmaster`."""

from postmaster.cli import cli

if __name__ == "__main__":
    cli(prog_name="postmaster")
