"""Where mail is kept: `interface` says what the protocols may ask, `vault` is how it is done."""
