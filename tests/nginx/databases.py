"""The bytes of databases, changed for a test."""

import ipaddress

import maxminddb

import addresses as a

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


def rerouted(path, source=a.KR, target=a.JP):
    """A database whose tree gives the networks of one country to another's:
    with changes all over it. Of IPv6, with records of 24 bits."""
    data = path.read_bytes()
    with maxminddb.open_database(path) as reader:
        end = 6 * reader.metadata().node_count
        assert reader.metadata().record_size == 24

    def record(address):
        bits, node = f"{int(ipaddress.ip_address(address)):0128b}", 0
        while 6 * node < end:
            where = 6 * node + 3 * int(bits[0])
            node, bits = int.from_bytes(data[where:where + 3], "big"), bits[1:]
        return data[where:where + 3]

    old, new = record(source), record(target)
    tree = (data[where:where + 3] for where in range(0, end, 3))
    return b"".join(new if one == old else one for one in tree) + data[end:]


def padded(data, size):
    """A database with so many bytes more, that nothing points at."""
    at = data.rindex(MARKER)
    return data[:at] + bytes(size) + data[at:]


def replace(path, data):
    """Puts a file in another one's place, as an update should."""
    new = path.with_suffix(".new")
    new.write_bytes(data)
    new.replace(path)
