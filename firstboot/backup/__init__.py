"""Encrypted backups and what becomes of them: a recovery kit, a restore."""
