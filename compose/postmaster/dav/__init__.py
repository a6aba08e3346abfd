"""Calendars and contacts: CalDAV and CardDAV by Radicale, kept by the mail store."""
