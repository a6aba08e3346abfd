"""The IMAP engine: RFC 3501 and RFC 9051 with the extensions that `capability` names.

`server` listens, `reader` frames commands, `grammar` reads them, `registry` finds the function for
a name, `commands` holds those functions, `session` is what a connection knows, `view` is the
selected folder with its sequence numbers, `fetch` and `search` are the two big commands.
"""
