"""Where things are on the appliance, in one value that tests can move elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    """The appliance's own files: `share` is in the slot, `state` lasts, `runtime` does not."""

    settings: Path = Path("/state/settings.yaml")
    state_partition: Path = Path("/state")
    state: Path = Path("/state/mail")
    runtime: Path = Path("/run/mailstead")
    share: Path = Path("/usr/share/mailstead")
    etc: Path = Path("/etc")
    networkd: Path = Path("/run/systemd/network")
    esp: Path = Path("/efi")
    firmware: Path = Path("/sys/firmware")

    @classmethod
    def below(cls, root: Path) -> Paths:
        """The same layout below another root directory."""
        return cls(**{f.name: root / str(f.default).lstrip("/") for f in fields(cls)})

    @classmethod
    def of_stack(cls, home: Path) -> Paths:
        """Of a stack without a machine (`tools/forge stack`), as far as it has such things."""
        return cls(
            settings=home / "settings.yaml",
            state_partition=home,
            state=home / "state",
            runtime=home / "run",
            share=home / "share",
        )

    @property
    def efivars(self) -> Path:
        """UEFI's variables, as files."""
        return self.firmware / "efi/efivars"

    @property
    def loading(self) -> Path:
        """Stands while container images are being loaded."""
        return self.state_partition / "loading"

    @property
    def stack(self) -> Path:
        """The rendered stack, made anew on each boot."""
        return self.runtime / "stack"

    @property
    def compose_file(self) -> Path:
        return self.stack / "compose.yaml"

    @property
    def release(self) -> Path:
        return self.share / "release.json"

    @property
    def archive(self) -> Path:
        """The container images as an OCI archive."""
        return self.share / "containers.tar"

    @property
    def templates(self) -> Path:
        return self.share / "compose"

    @property
    def services(self) -> Path:
        return self.templates / "services.yaml"

    @property
    def certificate(self) -> Path:
        """The certificate that the services show, without key and authorities."""
        return self.stack / "certificate.pem"

    @property
    def tls(self) -> Path:
        """Certificates and their keys, and what it takes to get new ones."""
        return self.state / "tls"

    @property
    def renewal(self) -> Path:
        """What became of the attempts to renew the certificate."""
        return self.tls / "renewal.json"

    @property
    def lego(self) -> Path:
        """The account at a certificate authority, and what it gave last."""
        return self.tls / "lego"

    @property
    def certificate_lock(self) -> Path:
        """Held by whoever gets or installs a certificate."""
        return self.runtime / "certificate.lock"

    @property
    def firewall(self) -> Path:
        """The rules of the firewall as they were applied."""
        return self.runtime / "firewall"

    @property
    def release_keys(self) -> Path:
        """The public keys of those whose releases this slot accepts."""
        return self.share / "release-keys.json"

    @property
    def state_format(self) -> Path:
        """The format of all that is in the state, one integer; written by setup."""
        return self.state_partition / "format"

    @property
    def notices(self) -> Path:
        """Mail to the owner that is not sent yet."""
        return self.state_partition / "notices"

    @property
    def alarms(self) -> Path:
        """What the services want their owner to know."""
        return self.state / "directory/alarms"

    @property
    def backup(self) -> Path:
        """What backups keep: what opens them, and what became of them."""
        return self.state_partition / "backup"

    @property
    def backup_password(self) -> Path:
        """The machine's own password for its repositories, made once."""
        return self.backup / "password"

    @property
    def recovery_code(self) -> Path:
        """The code on the recovery kit, which opens the repositories, too."""
        return self.backup / "recovery.json"

    @property
    def restore(self) -> Path:
        """A restore on its way; gone when all is in place."""
        return self.state_partition / "restore"

    @property
    def restore_plan(self) -> Path:
        """What the next start puts in place; there only when all of it is staged and verified."""
        return self.restore / "plan.json"

    @property
    def staged_snapshot(self) -> Path:
        """The id of the snapshot that the staging area is from."""
        return self.restore / "snapshot"

    @property
    def staging(self) -> Path:
        """What was fetched of a snapshot, as it will lie below the state."""
        return self.restore / "new"

    @property
    def restored_over(self) -> Path:
        """What a restore has replaced, until it is done."""
        return self.restore / "old"

    @property
    def restored_folder(self) -> Path:
        """A mail folder's vault of that time, until it is handed over."""
        return self.restore / "folder"

    @property
    def restored_folders(self) -> Path:
        """Mail folders out of backups, which wait for the logins of those whose they are."""
        return self.state / "mailstore" / "restored"

    @property
    def held_settings(self) -> Path:
        """The settings from before a restore, while it is being put in place."""
        return self.restore / "settings.yaml"

    @property
    def backup_credentials(self) -> Path:
        """What it takes to get in at each target, a file a target."""
        return self.backup / "credentials"

    @property
    def backup_history(self) -> Path:
        """What became of the backups and their test restores."""
        return self.backup / "history.json"

    @property
    def backup_schedule(self) -> Path:
        """When the next backup by itself is due, and when the owner was last warned."""
        return self.backup / "schedule.json"

    @property
    def backup_hashes(self) -> Path:
        """Hashes of files that have not changed since."""
        return self.backup / "hashes.json"

    @property
    def backup_staging(self) -> Path:
        """What a backup is made of while it is made: links to files, and copies of logs."""
        return self.backup / "staging"

    @property
    def backup_scratch(self) -> Path:
        """Where a sample is restored to be compared."""
        return self.backup / "scratch"

    @property
    def backup_temporary(self) -> Path:
        """Encrypted parts of a backup on their way."""
        return self.backup / "temporary"

    @property
    def backup_cache(self) -> Path:
        """restic's cache, encrypted as its repositories are."""
        return self.backup / "cache"

    @property
    def maintenance_lock(self) -> Path:
        """Held by whatever must be alone: an upgrade, a backup."""
        return self.runtime / "maintenance.lock"

    @property
    def settings_lock(self) -> Path:
        """Keeps apart two that change the settings."""
        return self.runtime / "settings.lock"

    @property
    def people_lock(self) -> Path:
        """Keeps apart two that tell the services who there is."""
        return self.runtime / "people.lock"

    @property
    def audit(self) -> Path:
        """Who changed what, the oldest first."""
        return self.state_partition / "audit.jsonl"

    @property
    def audit_lock(self) -> Path:
        """Keeps apart two that write in it."""
        return self.runtime / "audit.lock"

    @property
    def administration(self) -> Path:
        """The socket on which the container `admin` asks; its folder is mounted there."""
        return self.runtime / "administration" / "socket"

    @property
    def web_sessions(self) -> Path:
        """Administrators who are signed in to the web pages, by hashes."""
        return self.runtime / "administration-sessions.json"

    @property
    def web_tries(self) -> Path:
        """Wrong tries of the administrator's password by web since the start, a file a place."""
        return self.runtime / "administration-tries"

    @property
    def api_tokens(self) -> Path:
        """Tokens of programs that use the API, by hashes."""
        return self.state_partition / "api-tokens.json"

    @property
    def api_tokens_lock(self) -> Path:
        """Keeps apart two that change them."""
        return self.runtime / "api-tokens.lock"

    @property
    def api_tries(self) -> Path:
        """Wrong tokens of the API since the start, a file a place."""
        return self.runtime / "api-tries"

    @property
    def administrator_tries(self) -> Path:
        """Wrong tries of the administrator's password since the start."""
        return self.runtime / "administrator-tries.json"

    @property
    def ssh_host_keys(self) -> Path:
        """What the SSH server shows to prove that it is this machine, made once."""
        return self.state_partition / "ssh"

    @property
    def ssh(self) -> Path:
        """What the SSH server reads, there only while SSH is on."""
        return self.runtime / "ssh"

    @property
    def reset_mark(self) -> Path:
        """Names the state that the next start erases; on the EFI system partition."""
        return self.esp / "mailstead-reset"

    @property
    def updates(self) -> Path:
        """What upgrades keep: their history, and what they have fetched so far."""
        return self.state_partition / "updates"

    @property
    def downloads(self) -> Path:
        """Transfers on their way, each named by the hash that it must have."""
        return self.updates / "download"

    @property
    def ready(self) -> Path:
        """The parts of a slot, assembled and verified, where systemd-sysupdate takes them from."""
        return self.updates / "ready"

    @property
    def update_history(self) -> Path:
        return self.updates / "history.json"

    @property
    def draft(self) -> Path:
        """What was answered so far of a setup that is not finished."""
        return self.state_partition / "setup" / "draft.json"

    @property
    def given(self) -> Path:
        """What a seed holds that leaves questions open."""
        return self.runtime / "setup" / "given.json"

    @property
    def invitation(self) -> Path:
        """How a browser finds the web wizard, for the consoles to show."""
        return self.runtime / "setup" / "invitation.json"

    @property
    def handed(self) -> Path:
        """Settings from somebody who answered all questions; a place for a seed like others."""
        return self.runtime / "handed" / "mailstead.yaml"

    @property
    def progress(self) -> Path:
        """The lines that `boot`, `start` and `gate` of this start have written on the console."""
        return self.runtime / "progress"

    @property
    def update_schedule(self) -> Path:
        """When the next automatic upgrade is due."""
        return self.updates / "schedule.json"

    @property
    def last_failure(self) -> Path:
        """Why a version on trial did not work, left by it for the version before it."""
        return self.updates / "last-failure"
