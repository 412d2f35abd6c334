"""The root that trackers are made with, and the certificate by which they know the service's signing key.

The root's key is kept offline: whoever has it can be the service to every tracker that was made with it.
"""

import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from launcher import certificates, stackfile
from launcher.progress import Trouble

ROOT_DAYS = 20 * 365  # a tracker's life
DAYS = 400
RENEW_DAYS = 30


def make_root(folder: Path) -> None:
    """Makes a root's key and certificate, `root.key` and `root.pem`. One that is there stays."""
    if (folder / "root.key").exists():
        raise Trouble(f"{folder} has a root already; trackers were made with it.")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fitvault pairing root")])
    root = (
        certificates.builder(name, name, key.public_key(), ROOT_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(certificates.usage(key_cert_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "root.pem").write_text(certificates.pem(root))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    stackfile.write_private(folder / "root.key", private.decode())


def issue(folder: Path, public: bytes, deployment: str) -> str:
    """The certificate (PEM) of a signing key (SPKI, DER) for a deployment, which is all that it is good for."""
    try:
        root = x509.load_pem_x509_certificate((folder / "root.pem").read_bytes())
        key = serialization.load_pem_private_key((folder / "root.key").read_bytes(), None)
        subject = serialization.load_der_public_key(public)
    except OSError:
        raise Trouble(f"{folder} has no root: make pairing-root ROOT={folder}") from None
    except ValueError:
        raise Trouble("The root or the public key cannot be read.") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not _is_p256(subject):
        raise Trouble("A signing key for pairing is an ECDSA P-256 key.")
    assert isinstance(subject, ec.EllipticCurvePublicKey)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, deployment),
            x509.NameAttribute(NameOID.COMMON_NAME, "fitvault pairing"),
        ]
    )
    return certificates.pem(
        certificates.builder(name, root.subject, subject, DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(certificates.usage(digital_signature=True), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _is_p256(key: Any) -> bool:
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)


def good(folder: Path, certificate: str, public: bytes) -> bool:
    """Whether a certificate is the root's, for this key, and good for some time."""
    try:
        root = x509.load_pem_x509_certificate((folder / "root.pem").read_bytes())
        leaf = x509.load_pem_x509_certificate(certificate.encode())
        leaf.verify_directly_issued_by(root)
    except (ValueError, TypeError, OSError, InvalidSignature):
        return False
    spki = leaf.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=RENEW_DAYS)
    return spki == public and leaf.not_valid_after_utc > soon


def certify(operator: Any, outputs: dict[str, str], folder: Path, deployment: str) -> bool:
    """Puts a certificate of the deployment's key where `devices` reads it. One that is good stays: False."""
    ssm, name = operator.client("ssm"), f"/{deployment}/pairing-certificate"
    public = operator.client("kms").get_public_key(KeyId=outputs["PairingKey"])["PublicKey"]
    try:
        held = ssm.get_parameter(Name=name)["Parameter"]["Value"]
    except ssm.exceptions.ParameterNotFound:
        held = ""
    if good(folder, held, public):
        return False
    ssm.put_parameter(Name=name, Type="String", Value=issue(folder, public, deployment), Overwrite=True)
    return True
