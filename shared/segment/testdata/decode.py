"""Decodes blocks, one a line in hexadecimal, into JSON, one array of documents a
line, by an implementation that shares no code with fitvault, written from the
format in ../doc.go. The standard library is all it needs.
"""

import datetime
import json
import re
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
        assert outer.take(1) == b"\x02"
        n, size = outer.uvarint(), outer.uvarint()
        inflate = zlib.decompressobj(-15)
        self.text = Reader(inflate.decompress(outer.take(size)))
        assert inflate.eof and not inflate.unused_data
        self.columns = Reader(block[outer.at :])
        self.documents = self.tables(n) if n else []
        for reader in (self.text, self.columns):
            assert reader.at == len(reader.data)

    def tables(self, n):
        count, order = self.text.uvarint(), []
        while count > 1 and len(order) < n:
            table = self.text.uvarint()
            order += [table] * self.text.uvarint()
        order = order or [0] * n
        assert len(order) == n
        shapes = [self.sized() for _ in range(count)]
        tables = [iter(self.table(shape, order.count(i))) for i, shape in enumerate(shapes)]
        return [next(tables[i]) for i in order]

    def table(self, shape, n):
        """The pieces between the holes, and what stands in each hole."""
        pieces, columns, last = [], [], 0
        for string in re.finditer(r'"(?:[^"\\]|\\.)*"', shape):
            text = string.group()
            if text[1:2] != "#" or shape[string.end() : string.end() + 1] == ":":  # a name
                continue
            pieces.append(shape[last : string.start()])
            last = string.end()
            if text in ('"#0"', '"#1"'):
                columns.append(self.column(n, text == '"#0"'))
                pieces.append(len(columns) - 1)
            else:
                assert text[2:3] == "#"
                pieces.append('"' + text[2:])
        pieces.append(shape[last:])
        return ["".join(p if isinstance(p, str) else columns[p][i] for p in pieces) for i in range(n)]

    def column(self, n, is_number):
        kind = self.columns.take(1)[0]
        if kind == 0:
            values = [self.sized()] * n
        elif kind == 1:
            values = [self.text.take(length).decode("utf-8") for length in self.ints(n)]
        elif kind == 2:
            assert is_number
            scale = self.columns.uvarint()
            values = [decimal(units, scale) for units in self.ints(n)]
        elif kind == 3:
            scale = self.columns.uvarint()
            instants, zones, digits = self.ints(n), self.ints(n), self.ints(n)
            values = [moment(i, scale, z, d) for i, z, d in zip(instants, zones, digits, strict=True)]
        else:
            assert kind == 4
            texts = [self.columns.take(16).hex() for _ in range(n)]
            values = ["-".join((t[:8], t[8:12], t[12:16], t[16:20], t[20:])) for t in texts]
        return values if is_number else [quoted(v) for v in values]

    def ints(self, n):
        order = self.columns.take(1)[0]
        if order == 3:
            return [zigzag(self.columns.uvarint())] * n
        values = [zigzag(self.columns.uvarint()) for _ in range(order)]
        bits = Bits(self.columns)
        for at in range(order, n):
            if (at - order) % 64 == 0:
                k = bits.take(6)
            values.append(0 if k == 63 else zigzag(bits.rice(k)))
        assert bits.rest == 0
        for first in reversed(range(order)):
            for i in range(first + 1, n):
                values[i] = signed(values[i] + values[i - 1])
        return values

    def sized(self):
        return self.text.take(self.text.uvarint()).decode("utf-8")


class Bits:
    def __init__(self, reader):
        self.reader, self.rest, self.n = reader, 0, 0

    def take(self, n):
        while self.n < n:
            self.rest, self.n = self.rest << 8 | self.reader.take(1)[0], self.n + 8
        self.n -= n
        value = self.rest >> self.n
        self.rest &= (1 << self.n) - 1
        return value

    def rice(self, k):
        ones = 0
        while ones < 24 and self.take(1):
            ones += 1
        return self.take(64) if ones == 24 else ones << k | self.take(k)


def zigzag(z):
    return signed((z >> 1) ^ -(z & 1))


def signed(value):
    value &= MASK
    return value - (1 << 64) if value >> 63 else value


def quoted(text):
    return json.dumps(text)


for line in sys.stdin:
    print("[" + ",".join(Block(bytes.fromhex(line)).documents) + "]")
