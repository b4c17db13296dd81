"""What an uploaded file is, by its content, and what it may be called on disk."""

from __future__ import annotations

from pathlib import PurePosixPath

HEAD_BYTES = 12
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"})
_SUFFIXES = {"JPEG": (".jpg", ".jpeg"), "PNG": (".png",), "HEIC": (".heic", ".heif")}
# a file system takes 255 bytes for a name, and a character is up to four of them
_LONGEST_STEM_BYTES = 180


def kind_of(head: bytes) -> str | None:
    """``JPEG``, ``PNG`` or ``HEIC`` by the first bytes of a file, None for anything else.

    The name is no guide: phones call a HEIC photo .jpg, or send no suffix at all.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS:
        return "HEIC"
    return None


def clean_name(name: str) -> str:
    """A file name as its sender gave it, without folders and control characters, and not too long."""
    bare = "".join(letter for letter in name.replace("\\", "/").rsplit("/", 1)[-1] if letter.isprintable()).strip(". ")
    path = PurePosixPath(bare or "photo")
    stem = path.stem.encode()[:_LONGEST_STEM_BYTES].decode(errors="ignore")
    return f"{stem}{path.suffix[:10]}"


def fitting_name(name: str, kind: str) -> str:
    """A clean name whose suffix says what the file is."""
    path = PurePosixPath(name)
    if path.suffix.lower() in _SUFFIXES[kind]:
        return name
    return f"{path.stem}{_SUFFIXES[kind][0]}"
