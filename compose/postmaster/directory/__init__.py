"""Service `directory`: domains, people, aliases; lookups for Postfix, logins for everybody."""
