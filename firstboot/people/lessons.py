"""What somebody has taught the spam filter, forgotten with her: it is in Redis, by her id.

The service `learned` keeps it (docs/transport.md, What people teach).
"""

from __future__ import annotations

import hashlib

SERVICE = "learned"

# All keys that begin with her prefix; and by what it is known that a message was learned before,
# which does not tell whose it is.
_FORGET = """
local cursor = "0"
repeat
  local found = redis.call("SCAN", cursor, "MATCH", ARGV[1] .. "*", "COUNT", 1000)
  cursor = found[1]
  for _, key in ipairs(found[2]) do redis.call("DEL", key) end
until cursor == "0"
redis.call("SREM", "BAYES_SPAM_keys", ARGV[1])
redis.call("SREM", "BAYES_HAM_keys", ARGV[1])
for _, key in ipairs(redis.call("KEYS", "learned_ids*")) do redis.call("DEL", key) end
return "OK"
"""


def prefix_of(address: str) -> str:
    """Return how Rspamd's keys of a person begin, by the main address (docs/vault.md, ID)."""
    return f"RS{hashlib.sha256(address.lower().encode()).hexdigest()[:32]}"


def forget(address: str) -> tuple[tuple[str, ...], ...]:
    """Return the commands, to be run in the container, that forget somebody, also on the disk.

    Each prints OK.
    """
    evaluate = ("redis-cli", "EVAL", _FORGET, "0", prefix_of(address))
    return (evaluate, ("redis-cli", "SAVE"))
