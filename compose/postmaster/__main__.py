"""Entry point of `python -m postmaster`; keeps the health check free of heavy imports."""

import sys

from postmaster import health


def main() -> None:
    """Run the command line; `health SERVICE` is answered before click or a service is loaded.

    The container engine runs the health check every few seconds on a small machine.
    """
    arguments = sys.argv[1:]
    if arguments[:1] == ["health"] and len(arguments) == 2 and arguments[1] in health.CHECKS:
        sys.exit(health.run(arguments[1]))
    from postmaster.cli import cli  # noqa: PLC0415 - see above

    cli(prog_name="postmaster")


if __name__ == "__main__":
    main()
