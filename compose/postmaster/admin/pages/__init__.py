"""All pages, one module each; those with a name in the menu stand in its order."""

from __future__ import annotations

from postmaster.admin.page import Page
from postmaster.admin.pages import (
    app_passwords,
    forgotten,
    language,
    overview,
    password,
    recovery_code,
    sealed_mail,
    sessions,
    sign_in,
)

PAGES: tuple[Page, ...] = (
    *overview.PAGES,
    *app_passwords.PAGES,
    *password.PAGES,
    *recovery_code.PAGES,
    *sealed_mail.PAGES,
    *sessions.PAGES,
    *sign_in.PAGES,
    *forgotten.PAGES,
    *language.PAGES,
)

MENU = tuple((page.path, page.menu) for page in PAGES if page.menu)
