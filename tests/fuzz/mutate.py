"""Changes to bytes and text that know nothing of a format but its likely weak places."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

# Bytes with a meaning somewhere: signs of text formats, ends of lines, ends of ranges, byte order marks, magic numbers.
PIECES = [
    *(bytes([byte]) for byte in b"\0\x01\x7f\x80\xff\t\n\r ,;:\"'#-+._%&*!|>@`~=<?{}[]()\\/09aeNn"),
    *(b"\r\n", b"\n\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\xc3\xa9", b"\xed\xa0\x80", b"\xc2\x85", b"\xe2\x80\xa8"),
    *(b"\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\x1f\x8b", b"PK\3\4", b"PK\1\2", b"PK\5\6"),
    *(b"nan", b"inf", b"-inf", b"1e999", b"1_000", b"0x10", b"1,5", b"99999999999999999999", b"True", b"None", b"null"),
]


def pick_text(rng: Random, *choices: Sequence[str]) -> str:
    """One of all that stands in the lists."""
    return rng.choice([word for words in choices for word in words])


def bytes_changed(rng: Random, content: bytes, most: int = 4) -> bytes:
    """Up to `most` changes: bits flipped, bytes set, put in, taken out, repeated, moved, or the end cut off."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, most)):
        at = rng.randint(0, len(changed))
        length = rng.choice((1, 1, 1, 2, 4, 8, 16, 64))
        match rng.randrange(8):
            case 0 if at < len(changed):
                changed[at] ^= 1 << rng.randrange(8)
            case 1 if at < len(changed):
                changed[at] = rng.randrange(256)
            case 2:
                changed[at:at] = rng.choice(PIECES)
            case 3:
                piece = rng.choice(PIECES)
                changed[at : at + len(piece)] = piece
            case 4:
                del changed[at : at + length]
            case 5:
                changed[at:at] = changed[at : at + length] * rng.choice((1, 1, 2, 50))
            case 6:
                start = rng.randint(0, len(changed))
                changed[at:at] = changed[start : start + length]
            case _ if rng.random() < 0.3:
                del changed[at:]
    return bytes(changed)


def mostly_as_it_is(rng: Random, content: bytes) -> bytes:
    """The content; in one case of four with bytes changed as well."""
    return bytes_changed(rng, content, 2) if rng.random() < 0.25 else content
