"""The administrator: whoever may use the machine's menu."""
