"""Stands in for swtpm: notes its argv and stays until it is ended."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

with (Path(os.environ["FAKE_PROGRAMS"]) / "swtpm.calls").open("a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\n")
signal.pause()
