"""`mailstead vault`: a person's mail checked, taken out, brought in, with their password.

All of it speaks IMAP to this machine's own mail store, as any mail program could. So only one
program ever has a vault open, quota and limits hold, and nothing here knows a key.
"""
