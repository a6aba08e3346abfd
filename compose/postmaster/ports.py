"""The ports of our own services inside their containers, where they are not the protocol's own."""

from __future__ import annotations

SOCKETMAP, AUTH, QUERY, POLICY, SELF_SERVICE = 4000, 4001, 4002, 4004, 4005
LMTP, IMAPS, POP3S, DESK, EXPORT = 24, 993, 995, 4003, 4006
DAV, ADMIN = 5232, 5233
