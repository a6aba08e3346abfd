"""All pages, one module each; those with a name in the menu stand in its order."""

from __future__ import annotations

from postmaster.admin.page import Page
from postmaster.admin.pages import (
    administrator,
    app_passwords,
    audit,
    delete_account,
    domains,
    forgotten,
    forwarding,
    language,
    mail_log,
    overview,
    password,
    people,
    queue,
    recovery_code,
    sealed_mail,
    second_factor,
    second_step,
    sessions,
    sign_in,
    storage,
    tokens,
)

PAGES: tuple[Page, ...] = (
    *overview.PAGES,
    *app_passwords.PAGES,
    *forwarding.PAGES,
    *password.PAGES,
    *recovery_code.PAGES,
    *second_factor.PAGES,
    *sealed_mail.PAGES,
    *storage.PAGES,
    *delete_account.PAGES,
    *sessions.PAGES,
    *sign_in.PAGES,
    *second_step.PAGES,
    *forgotten.PAGES,
    *language.PAGES,
    *administrator.PAGES,
    *people.PAGES,
    *domains.PAGES,
    *queue.PAGES,
    *mail_log.PAGES,
    *audit.PAGES,
    *tokens.PAGES,
)

MENU = tuple((page.path, page.menu) for page in PAGES if page.menu and not page.administrator)
ADMINISTRATOR_MENU = tuple(
    (page.path, page.menu) for page in PAGES if page.menu and page.administrator
)
