"""One page of PDF, written directly: text in three fonts that every reader has, bars and frames.

Ubuntu's libraries for that would add 45 to 100 MB to the slot. What is written is PDF 1.4; section
numbers are those of ISO 32000-1:2008.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

# A4 in points of 1/72 inch.
WIDTH, HEIGHT = 595, 842
# Of the standard fonts (9.6.2.2), which need not be in the file. The keys are names in it.
PLAIN, BOLD, FIXED = "F1", "F2", "F3"
_FONTS = {PLAIN: "Helvetica", BOLD: "Helvetica-Bold", FIXED: "Courier-Bold"}
# Widths of the characters from blank to ~, in thousandths of the size: Adobe's font metrics.
_FIXED_WIDTH = 600
_PLAIN_WIDTHS = (
    *(278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278),
    *(556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556),
    *(1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778),
    *(667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556),
    *(333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556),
    *(556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584),
)
_BOLD_WIDTHS = (
    *(278, 333, 474, 556, 556, 889, 722, 238, 333, 333, 389, 584, 278, 333, 278, 278),
    *(556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 333, 333, 584, 584, 584, 611),
    *(975, 722, 722, 722, 722, 667, 611, 778, 722, 278, 556, 722, 611, 833, 722, 778),
    *(667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 333, 278, 333, 584, 556),
    *(333, 556, 611, 556, 611, 556, 333, 611, 611, 278, 278, 556, 278, 889, 611, 611),
    *(611, 611, 389, 556, 333, 611, 556, 778, 556, 556, 500, 389, 280, 389, 584),
)


@dataclass
class Page:
    """A page that is drawn on. Lengths are points; x counts from the left, y from the top."""

    title: str
    _drawn: list[str] = field(default_factory=list, init=False)

    def text(
        self, x: float, y: float, text: str, *, font: str = PLAIN, size: float, grey: float = 0.0
    ) -> None:
        """Write one line whose baseline is at y; `grey` is from 0, black, to 1, white (9.4)."""
        place = f"{x:.2f} {HEIGHT - y:.2f} Td"
        self._drawn.append(f"BT {grey:g} g /{font} {size:g} Tf {place} ({_escaped(text)}) Tj ET")

    def bar(self, x: float, y: float, width: float, height: float, *, grey: float = 0.0) -> None:
        """Fill a rectangle, of which x and y are the left upper corner (8.5)."""
        place = f"{x:.3f} {HEIGHT - y - height:.3f} {width:.3f} {height:.3f}"
        self._drawn.append(f"{grey:g} g {place} re f")

    def frame(self, x: float, y: float, width: float, height: float, *, line: float) -> None:
        """Draw a rectangle's edge, `line` thick."""
        place = f"{x:.2f} {HEIGHT - y - height:.2f} {width:.2f} {height:.2f}"
        self._drawn.append(f"0 G {line:g} w {place} re S")

    def dump(self) -> bytes:
        """The file: header, objects, their table, and where that is (7.5)."""
        parts, offsets = [b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"], []
        for number, body in enumerate(self._objects(), start=1):
            offsets.append(sum(map(len, parts)))
            parts.append(b"%d 0 obj\n%b\nendobj\n" % (number, body))
        table = sum(map(len, parts))
        count = len(offsets) + 1
        entries = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
        parts.append(b"xref\n0 %d\n0000000000 65535 f \n%b" % (count, entries))
        parts.append(b"trailer\n<< /Size %d /Root 1 0 R /Info 5 0 R >>\n" % count)
        parts.append(b"startxref\n%d\n%%%%EOF\n" % table)
        return b"".join(parts)

    def _objects(self) -> Iterator[bytes]:
        """Catalogue, pages, page, content, information, fonts: objects 1 to 8 (7.7)."""
        content = "\n".join(self._drawn).encode("cp1252")
        first = 6
        fonts = " ".join(f"/{key} {first + n} 0 R" for n, key in enumerate(_FONTS))
        yield b"<< /Type /Catalog /Pages 2 0 R >>"
        yield b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
        yield (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {WIDTH} {HEIGHT}] /Contents 4 0 R "
            f"/Resources << /Font << {fonts} >> >> >>"
        ).encode()
        yield b"<< /Length %d >>\nstream\n%b\nendstream" % (len(content), content)
        yield f"<< /Title ({_escaped(self.title)}) /Producer (Mailstead) >>".encode("cp1252")
        for name in _FONTS.values():
            kind = "/Type /Font /Subtype /Type1"
            yield f"<< {kind} /BaseFont /{name} /Encoding /WinAnsiEncoding >>".encode()


def text_width(text: str, *, font: str = PLAIN, size: float) -> float:
    """How wide a line is. A character that is not in ASCII counts as wide as the widest."""
    if font == FIXED:
        return len(text) * _FIXED_WIDTH * size / 1000
    widths = _PLAIN_WIDTHS if font == PLAIN else _BOLD_WIDTHS
    known = (ord(character) - 0x20 for character in text)
    return sum(widths[n] if 0 <= n < len(widths) else max(widths) for n in known) * size / 1000


def wrap(text: str, *, width: float, font: str = PLAIN, size: float) -> list[str]:
    """Lines of at most `width`, broken at blanks, and within a word that alone is wider."""
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if text_width(longer, font=font, size=size) <= width:
            line = longer
            continue
        lines += [line] if line else []
        *whole, line = _pieces(word, width, font, size)
        lines += whole
    return [*lines, line]


def _pieces(word: str, width: float, font: str, size: float) -> Iterator[str]:
    piece = ""
    for character in word:
        if piece and text_width(piece + character, font=font, size=size) > width:
            yield piece
            piece = ""
        piece += character
    yield piece


def _escaped(text: str) -> str:
    """A string (7.3.4.2) in WinAnsiEncoding (annex D); what that lacks becomes a question mark."""
    known = text.encode("cp1252", "replace").decode("cp1252")
    for special in "\\()":
        known = known.replace(special, f"\\{special}")
    return "".join(character if character.isprintable() else "?" for character in known)
