"""The root of the trackers, and what it vouches for."""

import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from launcher import pairing
from launcher.progress import Trouble


def spki(key: Any) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def fresh() -> bytes:
    return spki(ec.generate_private_key(ec.SECP256R1()))


class Aws:
    """KMS and SSM, as far as they are asked."""

    class exceptions:
        class ParameterNotFound(Exception):
            pass

    def __init__(self, public: bytes) -> None:
        self.public = public
        self.parameters: dict[str, str] = {}

    def client(self, _: str) -> "Aws":
        return self

    def get_public_key(self, KeyId: str) -> dict[str, bytes]:
        assert KeyId == "arn"
        return {"PublicKey": self.public}

    def get_parameter(self, Name: str) -> dict[str, dict[str, str]]:
        if Name not in self.parameters:
            raise self.exceptions.ParameterNotFound
        return {"Parameter": {"Value": self.parameters[Name]}}

    def put_parameter(self, Name: str, Type: str, Value: str, Overwrite: bool) -> None:
        assert Type == "String" and Overwrite
        self.parameters[Name] = Value


def test_a_root_is_made_once_and_its_key_is_private(tmp_path: Path) -> None:
    pairing.make_root(tmp_path / "root")
    assert stat.S_IMODE((tmp_path / "root" / "root.key").stat().st_mode) == 0o600
    root = x509.load_pem_x509_certificate((tmp_path / "root" / "root.pem").read_bytes())
    root.verify_directly_issued_by(root)
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(True, 0)
    with pytest.raises(Trouble, match="already"):
        pairing.make_root(tmp_path / "root")


def test_a_certificate_is_for_one_key_and_one_deployment(tmp_path: Path) -> None:
    pairing.make_root(tmp_path)
    public = fresh()
    leaf = x509.load_pem_x509_certificate(pairing.issue(tmp_path, public, "fitvault").encode())
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate((tmp_path / "root.pem").read_bytes()))
    assert leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "fitvault"
    assert leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "fitvault pairing"
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature and not usage.key_cert_sign and not usage.content_commitment
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert (leaf.not_valid_after_utc - leaf.not_valid_before_utc).days <= pairing.DAYS + 1


def test_no_certificate_for_another_kind_of_key(tmp_path: Path) -> None:
    pairing.make_root(tmp_path)
    for public in (spki(ec.generate_private_key(ec.SECP384R1())), spki(rsa.generate_private_key(65537, 2048)), b"x"):
        with pytest.raises(Trouble):
            pairing.issue(tmp_path, public, "fitvault")
    with pytest.raises(Trouble, match="no root"):
        pairing.issue(tmp_path / "none", fresh(), "fitvault")


def test_a_good_certificate_stays_and_another_is_replaced(tmp_path: Path) -> None:
    pairing.make_root(tmp_path / "one")
    pairing.make_root(tmp_path / "two")
    aws, outputs = Aws(fresh()), {"PairingKey": "arn"}
    assert pairing.certify(aws, outputs, tmp_path / "one", "fitvault")
    first = aws.parameters["/fitvault/pairing-certificate"]
    assert not pairing.certify(aws, outputs, tmp_path / "one", "fitvault")
    assert aws.parameters["/fitvault/pairing-certificate"] == first
    assert pairing.certify(aws, outputs, tmp_path / "two", "fitvault"), "another root"
    aws.public = fresh()
    assert pairing.certify(aws, outputs, tmp_path / "two", "fitvault"), "another key"
    aws.parameters["/fitvault/pairing-certificate"] = "x"
    assert pairing.certify(aws, outputs, tmp_path / "two", "fitvault"), "not a certificate"


def test_one_that_ends_soon_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairing.make_root(tmp_path)
    public = fresh()
    monkeypatch.setattr(pairing, "DAYS", pairing.RENEW_DAYS - 1)
    assert not pairing.good(tmp_path, pairing.issue(tmp_path, public, "fitvault"), public)
