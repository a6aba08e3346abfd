"""All tests; `tools/forge test` runs them, each suite by its folder."""
