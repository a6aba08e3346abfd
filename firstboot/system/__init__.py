"""One module for each program or kernel interface of the machine that Mailstead drives."""
