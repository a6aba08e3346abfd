"""Stands in for QEMU: connects its console and control sockets and speaks enough QMP.

The file `behaviour` says what it does: `ok`, `die` (ends at once with a message), `stop` (a KVM
internal error: STOP event, silence), `silent` (no console output).
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

USERNET = (
    "  TCP[HOST_FORWARD]  11       127.0.0.1 {host}       10.0.2.15    {guest}     0     0\r\n"
)


def main() -> None:
    folder = Path(os.environ["FAKE_PROGRAMS"])
    arguments = sys.argv[1:]
    with (folder / "qemu-system-x86_64.calls").open("a") as log:
        log.write(json.dumps(arguments) + "\n")
    told = folder / "behaviour"
    behaviour = told.read_text() if told.exists() else "ok"
    if behaviour == "die":
        sys.exit("fake QEMU does not like its arguments")
    console = connect(arguments, "console")
    control = connect(arguments, "control", "qmp")
    if behaviour == "ok":
        console.sendall(b"\x1b[2J\x1b[01;01HBdsDxe: loading Boot0001\r\n")
    serve(control, console, behaviour)


def connect(arguments: list[str], *names: str) -> socket.socket:
    """Connect to the socket of the character device with one of these names."""
    for argument in arguments:
        options = dict(part.split("=", 1) for part in argument.split(",")[1:] if "=" in part)
        if argument.startswith("socket,") and options.get("id") in names:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(options["path"])
            return connection
    sys.exit(f"no character device {names}")


def serve(control: socket.socket, console: socket.socket, behaviour: str) -> None:
    """Answer QMP commands until `quit` or the end of the connection."""

    def say(message: dict[str, object]) -> None:
        control.sendall(json.dumps(message).encode() + b"\r\n")

    version = {"qemu": {"micro": 0, "minor": 2, "major": 7}, "package": ""}
    say({"QMP": {"version": version, "capabilities": []}})
    for request in requests(control):
        command, given = request["execute"], request.get("arguments", {})
        answer = {"id": request["id"]} if "id" in request else {}
        if command == "nonsense":
            error = {"class": "CommandNotFound", "desc": "no such command"}
            say({"error": error, **answer})
            continue
        if command == "human-monitor-command":
            forwards = [(40025, 25), (40993, 993)]
            text = "".join(USERNET.format(host=host, guest=guest) for host, guest in forwards)
            say({"return": text, **answer})
        else:
            say({"return": {}, **answer})
        if command == "qmp_capabilities" and behaviour == "stop":
            say(event("STOP", {}))
        if command == "system_reset":
            console.sendall(b"BdsDxe: loading again\r\n")
        if command == "device_del":
            say(event("DEVICE_DELETED", {"device": given["id"]}))
        if command in ("quit", "system_powerdown"):
            return


def requests(control: socket.socket) -> Iterator[dict[str, Any]]:
    """Requests as they come; like QEMU, no line ends are needed between them."""
    decoder, pending = json.JSONDecoder(), ""
    while chunk := control.recv(65536):
        pending += chunk.decode()
        while pending:
            try:
                request, end = decoder.raw_decode(pending)
            except ValueError:
                break
            pending = pending[end:].lstrip()
            yield request


def event(name: str, data: dict[str, object]) -> dict[str, object]:
    return {"event": name, "data": data, "timestamp": {"seconds": 0, "microseconds": 0}}


main()
