"""Who lives in the stack of the tests."""

from __future__ import annotations

from tools.stack.example import ADA, Example, Person

GRACE = Person("grace@example.com", "Grace Hopper")
# Her password is guessed until it is locked, so no other test may need her.
JOAN = Person("joan@example.com", "Joan Clarke")
# Nobody logs in to her mailbox but the one test that needs it locked, without a wait for that.
VERA = Person("vera@example.com", "Vera Rubin")
# Whoever steals her password sends as much as the limits let through.
HEDY = Person("hedy@example.com", "Hedy Lamarr", aliases=("lamarr@example.com",))
# Her password changes, on the web pages.
MARY = Person("mary@example.com", "Mary Somerville")
EXAMPLE = Example("mail.example.com", "example.com", people=(ADA, GRACE, JOAN, VERA, HEDY, MARY))
CANARY = f"canary@{EXAMPLE.hostname}"
# Somebody elsewhere (RFC 2606); nothing may ever be sent there through us.
STRANGER = "stranger@example.org"
