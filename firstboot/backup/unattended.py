"""The restore that a seed asks for, where nobody is there to answer questions."""

from __future__ import annotations

from firstboot.backup.credentials import typed
from firstboot.backup.opening import Repository, open_repository
from firstboot.backup.plan import Plan
from firstboot.backup.restore import choose_snapshot, prepare_restore
from firstboot.backup.staging import SETTINGS
from firstboot.base.backupplaces import kind_of
from firstboot.base.change import Change, change_settings
from firstboot.base.errors import MachineError
from firstboot.base.paths import Paths
from firstboot.base.progress import Report
from firstboot.base.restorewish import RestoreOrder
from firstboot.system.maintenance import maintenance


def fetch_ordered(paths: Paths, order: RestoreOrder, report: Report) -> Plan:
    """Stage what `order` asks for; the machine puts it in place next.

    Interrupted, the same call goes on with what was fetched. Raises a MailsteadError when the place
    cannot be reached or entered, the code does not open it, or the backup is not for this machine.
    """
    wish = order.restore
    credentials = typed(kind_of(wish.repository), wish.credentials)
    repository = Repository(wish.repository, wish.code.encode(), credentials)

    def keep_network(_plan: Plan) -> None:
        if order.network is not None:
            # The place of the old machine may have had other addresses, and another interface.
            value = order.network.model_dump(mode="python", exclude_unset=True)
            staged = paths.staging / SETTINGS
            change_settings(staged, [Change(("network",), value)], lock=paths.settings_lock)

    with (
        maintenance(paths.maintenance_lock, "a restore", MachineError),
        open_repository(paths, repository) as found,
    ):
        restic = found.entered()
        snapshot = choose_snapshot(restic.snapshots(), wish.snapshot)
        return prepare_restore(restic, snapshot, paths, before=keep_network, report=report)
