"""Boots disk images under QEMU: the harness of `forge boot`, `forge try` and the boot tests."""

from tools.vm.accelerator import Accelerator, find_accelerator
from tools.vm.disk import Disk
from tools.vm.evidence import keep_evidence
from tools.vm.hardware import Drive, Hardware
from tools.vm.ledger import reap_leftovers
from tools.vm.machine import Machine
from tools.vm.network import NamespaceNetwork, UserNetwork

__all__ = [
    "Accelerator",
    "Disk",
    "Drive",
    "Hardware",
    "Machine",
    "NamespaceNetwork",
    "UserNetwork",
    "find_accelerator",
    "keep_evidence",
    "reap_leftovers",
]
