"""The POP3 server: RFC 1939 with CAPA, SASL PLAIN, PIPELINING, RESP-CODES and UIDL.

`connection` reads commands and answers them, `commands` holds the functions found by their names,
`maildrop` is the inbox as it was at the login, `wire` writes messages as POP3 wants them.
"""
