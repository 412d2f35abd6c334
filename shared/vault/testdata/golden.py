"""Makes golden.json: fitvault's sealed pieces by an implementation that shares no
code with it, written from the format in ../doc.go and from RFC 9180 and RFC 5869.

    python golden.py > golden.json      (needs the package cryptography)

The output is the same each time: every random choice is fixed here. The file is
committed and stays as it is while version 1 can be read.
"""

import base64
import hashlib
import hmac
import json
import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def fixed(name, size=32):
    return hashlib.sha256(b"fitvault golden " + name.encode()).digest()[:size]


def private(name):
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    return ec.derive_private_key(int.from_bytes(fixed(name), "big") % (order - 1) + 1, ec.SECP256R1())


def point(key):
    return key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def spki(key):
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def pkcs8(key):
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def hmac_sha256(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()


# RFC 5869


def extract(salt, secret):
    return hmac_sha256(salt or bytes(32), secret)


def expand(prk, info, size):
    out, block, counter = b"", b"", 1
    while len(out) < size:
        block = hmac_sha256(prk, block + info + bytes([counter]))
        out, counter = out + block, counter + 1
    return out[:size]


# RFC 9180, 4 and 5.1: base mode


def labeled_extract(suite, salt, label, secret):
    return extract(salt, b"HPKE-v1" + suite + label + secret)


def labeled_expand(suite, prk, label, info, size):
    return expand(prk, size.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, size)


def hpke_export(recipient, ephemeral, info, exporter_context, size):
    kem = b"KEM" + (0x0010).to_bytes(2, "big")
    shared = ephemeral.exchange(ec.ECDH(), recipient.public_key())
    prk = labeled_extract(kem, b"", b"eae_prk", shared)
    shared = labeled_expand(kem, prk, b"shared_secret", point(ephemeral) + point(recipient), 32)

    suite = b"HPKE" + b"".join(n.to_bytes(2, "big") for n in (0x0010, 0x0001, 0xFFFF))
    context = (
        b"\x00" + labeled_extract(suite, b"", b"psk_id_hash", b"") + labeled_extract(suite, b"", b"info_hash", info)
    )
    prk = labeled_extract(suite, shared, b"secret", b"")
    exporter = labeled_expand(suite, prk, b"exp", context, 32)
    return labeled_expand(suite, exporter, b"sec", exporter_context, size)


# ../doc.go


def lp(*fields):
    return b"".join(len(f).to_bytes(4, "big") + f for f in fields)


def seal(place, key_id, recipient, writer_id, writer, ephemeral, nonce, plaintext):
    version, suite, encapsulation = b"\x01", b"\x01", point(ephemeral)
    header = lp(
        version,
        suite,
        place["Deployment"].encode(),
        place["Table"].encode(),
        place["Owner"].encode(),
        key_id.encode(),
        encapsulation,
        writer_id.encode(),
        place["Day"].encode(),
        place["ID"].encode(),
    )
    exported = hpke_export(recipient, ephemeral, b"fitvault/v1/hpke", b"fitvault/v1/exported", 32)
    key = expand(extract(writer, exported), b"fitvault/v1/block-key" + hashlib.sha256(header).digest(), 32)
    stored = (
        version
        + suite
        + bytes([len(key_id)])
        + key_id.encode()
        + bytes([len(writer_id)])
        + writer_id.encode()
        + encapsulation
    )
    return stored + nonce + AESGCM(key).encrypt(nonce, plaintext, header)


def sub_key(key, label):
    return expand(extract(b"", key), label, 32)


def main():
    owner, enrol, service = private("owner"), private("enrol"), fixed("service key")
    key_id, writer_id = "k7pq2vx4", "writer#2026-05"
    name = "abcdefghijklmnopqrstuvwx23"
    statement = lp(
        b"fitvault/v1/enrolment",
        b"fitvault",
        name.encode(),
        key_id.encode(),
        spki(owner),
        (1777872300).to_bytes(8, "big"),
    )
    places = [
        (
            {"Deployment": "fitvault", "Table": "Readings", "Owner": name, "Day": "2026-05-04", "ID": "0f3c9a"},
            b'{"heart_rate":71.236548917}',
        ),
        (
            {"Deployment": "fitvault", "Table": "Documents", "Owner": name, "Day": "", "ID": "recording#5f"},
            "∅ and every byte: ".encode() + bytes(range(256)),
        ),
        ({"Deployment": "fitvault", "Table": "Readings", "Owner": name, "Day": "2026-05-04", "ID": "empty"}, b""),
    ]
    manifest = sub_key(service, b"fitvault/v1/manifest-id")
    manifest_id = hmac_sha256(manifest, lp(name.encode(), b"app", b"", b"readings", b"key-1")).hex()
    context = lp(b"readings", name.encode())
    page = sub_key(
        sub_key(service, b"fitvault/v1/page-token"), b"fitvault/v1/page-token-key" + hashlib.sha256(context).digest()
    )
    token = fixed("page nonce", 12) + AESGCM(page).encrypt(fixed("page nonce", 12), b"2026-05-04", context)

    json.dump(
        {
            "key_id": key_id,
            "private_key": pkcs8(owner).hex(),
            "public_key": spki(owner).hex(),
            "writer_key_id": writer_id,
            "writer_key": fixed("writer key").hex(),
            "enrol_public_key": spki(enrol).hex(),
            "statement": statement.hex(),
            "signature": enrol.sign(statement, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)).hex(),
            "at": 1777872300,
            "pieces": [
                {
                    "place": place,
                    "plaintext": plaintext.hex(),
                    "sealed": seal(
                        place,
                        key_id,
                        owner,
                        writer_id,
                        fixed("writer key"),
                        private("ephemeral"),
                        fixed(place["ID"], 12),
                        plaintext,
                    ).hex(),
                }
                for place, plaintext in places
            ],
            "service_key": service.hex(),
            "manifest_parts": [name, "app", "", "readings", "key-1"],
            "manifest_id": manifest_id,
            "body": b"[]".hex(),
            "body_mac": hmac_sha256(sub_key(service, b"fitvault/v1/body-mac"), lp(manifest_id.encode(), b"[]")).hex(),
            "page_context": context.hex(),
            "page_plaintext": b"2026-05-04".hex(),
            "page_token": base64.urlsafe_b64encode(token).rstrip(b"=").decode(),
        },
        sys.stdout,
        indent=1,
    )
    print()


main()
