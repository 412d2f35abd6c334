"""Decodes blocks, one a line in hexadecimal, into JSON, one array of documents a
line, by an implementation that shares no code with fitvault, written from the
format in ../doc.go. The standard library is all it needs.
"""

import datetime
import json
import sys
import zlib

MASK = (1 << 64) - 1


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        assert 0 <= n <= len(self.data) - self.at
        self.at += n
        return self.data[self.at - n : self.at]

    def uvarint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value


def decimal(units, scale):
    digits = str(abs(units)).rjust(scale + 1, "0")
    whole, fraction = (digits[:-scale], digits[-scale:].rstrip("0")) if scale else (digits, "")
    return ("-" if units < 0 else "") + whole + ("." + fraction if fraction else "")


def moment(units, scale, zone, digits):
    minutes = zone - 1441 if zone > 1 else 0
    seconds, fraction = divmod(units, 10**scale)
    local = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds + 60 * minutes)
    fraction = (str(fraction).rjust(scale, "0") if scale else "").ljust(9, "0")
    assert not fraction[digits:].strip("0")
    if zone < 2:
        suffix = ("Z", "-00:00")[zone]
    else:
        suffix = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
    return local.isoformat() + ("." + fraction[:digits] if digits else "") + suffix


class Block:
    def __init__(self, block):
        outer = Reader(block)
        assert outer.take(1) == b"\x01"
        n, size = outer.uvarint(), outer.uvarint()
        inflate = zlib.decompressobj(-15)
        self.body = Reader(inflate.decompress(outer.take(size)))
        assert inflate.eof and not inflate.unused_data
        self.uuids = Reader(block[outer.at :])
        self.documents = self.column(n)
        for reader in (self.body, self.uuids):
            assert reader.at == len(reader.data)

    def column(self, n):
        if n == 0:
            return []
        bits = self.body.uvarint()
        present = [t for t in range(10) if bits >> t & 1]
        assert bits < 1 << 10 and present
        tags = self.body.take(n) if len(present) > 1 else present * n
        values = {t: iter(self.tagged(t, tags.count(t))) for t in present}
        return [next(values[t]) for t in tags]

    def tagged(self, tag, n):
        if tag <= 2:
            return [("null", "false", "true")[tag]] * n
        if tag == 3:
            scale = self.body.uvarint()
            return [decimal(units, scale) for units in self.ints(n)]
        if tag == 4:
            return self.strings(n, self.texts)
        if tag == 5:
            return [quoted(s) for s in self.strings(n, self.texts)]
        if tag == 6:
            scale = self.body.uvarint()
            instants, zones, digits = self.ints(n), self.ints(n), self.ints(n)
            return [quoted(moment(i, scale, z, d)) for i, z, d in zip(instants, zones, digits, strict=False)]
        if tag == 7:
            return [quoted(s) for s in self.strings(n, self.uuid_texts)]
        if tag == 8:
            lengths = self.ints(n)
            elements = iter(self.column(sum(lengths)))
            return ["[" + ",".join(next(elements) for _ in range(length)) + "]" for length in lengths]
        names = self.texts(self.body.uvarint())
        shapes = [[self.body.uvarint() for _ in range(self.body.uvarint())] for _ in range(self.body.uvarint())]
        objects = [shapes[self.body.uvarint() if len(shapes) > 1 else 0] for _ in range(n)]
        columns = [iter(self.column(sum(name in shape for shape in objects))) for name in range(len(names))]
        return [
            "{" + ",".join(quoted(names[name]) + ":" + next(columns[name]) for name in shape) + "}" for shape in objects
        ]

    def ints(self, n):
        values, last = [], 0
        for _ in range(n):
            z = self.body.uvarint()
            last = last + ((z >> 1) ^ -(z & 1)) & MASK
            values.append(last - (1 << 64) if last >> 63 else last)
        return values

    def strings(self, n, read):
        distinct, which, stood = self.body.uvarint(), [], 0
        for _ in range(n):
            back = 0 if distinct == n else stood and 1 if distinct == 1 else self.body.uvarint()
            which.append(stood - back)
            stood += back == 0
        assert stood == distinct
        texts = read(distinct)
        return [texts[w] for w in which]

    def texts(self, n):
        lengths = [self.body.uvarint() for _ in range(n)]
        return [self.body.take(length).decode("utf-8") for length in lengths]

    def uuid_texts(self, n):
        texts = [self.uuids.take(16).hex() for _ in range(n)]
        return ["-".join((t[:8], t[8:12], t[12:16], t[16:20], t[20:])) for t in texts]


def quoted(text):
    return json.dumps(text)


for line in sys.stdin:
    print("[" + ",".join(Block(bytes.fromhex(line)).documents) + "]")
