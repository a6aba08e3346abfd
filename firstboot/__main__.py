"""`python3 -m firstboot` is the command `mailstead`."""

from firstboot.cli import main

if __name__ == "__main__":
    main()
