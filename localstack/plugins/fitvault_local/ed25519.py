"""Adds Ed25519 to LocalStack's KMS: keys of the spec ECC_NIST_EDWARDS25519 that sign by ED25519_SHA_512.

The audit log's checkpoints are signed notes, whose own tools know no other signature of KMS.
"""

from typing import Any

from localstack.runtime import hooks

from fitvault_local.report import report

SPEC, ALGORITHM = "ECC_NIST_EDWARDS25519", "ED25519_SHA_512"


@hooks.on_infra_start(name="fitvault-ed25519")
def install() -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_der_private_key
    from localstack.aws.api.kms import InvalidKeyUsageException, KMSInvalidSignatureException
    from localstack.services.kms.exceptions import ValidationException
    from localstack.services.kms.models import ECC_CURVES, KmsCryptoKey, KmsKey

    make, sign, verify = KmsCryptoKey.__init__, KmsKey.sign, KmsKey.verify
    algorithms = KmsKey._populate_signing_algorithms

    def init(self: Any, key_spec: str, key_material: bytes | None = None) -> None:
        if key_spec != SPEC:
            make(self, key_spec, key_material)
            return
        make(self, "ECC_NIST_P256")  # fills what every key has
        self.key_spec = SPEC
        key = load_der_private_key(key_material, password=None) if key_material else Ed25519PrivateKey.generate()
        self._serialize_key(key)

    def usable(self: Any, data: bytes, message_type: str | None, algorithm: str) -> bool:
        """Whether this key is ours. AWS: the algorithm goes with this spec alone, and takes messages, no digests."""
        ours = self.metadata.get("KeySpec") == SPEC
        if ours != (algorithm == ALGORITHM):
            raise InvalidKeyUsageException("The algorithm is not of this key.")
        if ours and message_type == "DIGEST":
            raise ValidationException("ED25519_SHA_512 takes MessageType RAW.")
        if ours and len(data) > 4096:
            raise ValidationException("A message has at most 4096 bytes.")
        return ours

    def sign_any(self: Any, data: bytes, message_type: str, signing_algorithm: str) -> Any:
        if usable(self, data, message_type, signing_algorithm):
            return self.crypto_key.key.sign(data)
        return sign(self, data, message_type, signing_algorithm)

    def verify_any(self: Any, data: bytes, message_type: str, signing_algorithm: str, signature: bytes) -> bool:
        if not usable(self, data, message_type, signing_algorithm):
            return bool(verify(self, data, message_type, signing_algorithm, signature))
        try:
            self.crypto_key.key.public_key().verify(signature, data)
        except InvalidSignature:
            raise KMSInvalidSignatureException() from None
        return True

    def populate(self: Any, key_usage: str, key_spec: str) -> None:
        algorithms(self, key_usage, key_spec)
        if key_spec == SPEC:
            self.metadata["SigningAlgorithms"] = [ALGORITHM]

    ECC_CURVES[SPEC] = None  # a known spec; `init` makes its keys
    KmsCryptoKey.__init__ = init
    KmsKey.sign, KmsKey.verify, KmsKey._populate_signing_algorithms = sign_any, verify_any, populate
    report("ed25519")
