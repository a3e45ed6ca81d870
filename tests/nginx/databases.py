"""The bytes of databases, changed for a test."""

MARKER = b"\xab\xcd\xefMaxMind.com"


def built(data, epoch):
    """A database as if it had been built at another time."""
    at = data.rindex(b"\x4bbuild_epoch") + 12
    assert data[at:at + 2] == b"\x04\x02"  # a uint64, written in four bytes
    return data[:at + 2] + epoch.to_bytes(4, "big") + data[at + 6:]


def retyped(data, old, new):
    """A database as if it were of another type."""
    old, new = (bytes([0x40 + len(word)]) + word.encode() for word in (old, new))
    assert data.count(old) == 1
    return data.replace(old, new)


def moved(data, new, old=b"KR"):
    """A database in which a country has another code."""
    assert b"\x42" + old in data
    return data.replace(b"\x42" + old, b"\x42" + new)


def padded(data, size):
    """A database with so many bytes more, that nothing points at."""
    at = data.rindex(MARKER)
    return data[:at] + bytes(size) + data[at:]


def replace(path, data):
    """Puts a file in another one's place, as an update should."""
    new = path.with_suffix(".new")
    new.write_bytes(data)
    new.replace(path)
