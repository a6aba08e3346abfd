"""Feature: the DNS records that the settings ask for; shown, exported, checked and published."""
