"""QR codes, as pictures within the page: nothing is fetched for them."""

from __future__ import annotations


def picture_of(text: str) -> str:
    """Return the QR code of a text as a `data:` address of an SVG, with its quiet zone."""
    # Only who makes an app password needs it.
    import segno  # noqa: PLC0415

    code = segno.make(text, error="m", micro=False)
    return str(code.svg_data_uri(scale=4, border=4, dark="#000", light="#fff"))
