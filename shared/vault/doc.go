// Package vault seals what is stored and opens it again. It holds every rule
// of design.md's "Sealing" that is about bytes; keys arrive already unwrapped,
// and KMS, tables and clocks are other packages' business.
//
// # What holds
//
// Three parties have three different powers:
//
//   - A sealer holds an owner's enrolled public key ([DataKey]) and the month's
//     [WriterKey]. It can write new pieces and open none that are stored, its own
//     earlier ones included: of what it wrote, only the secret of the one
//     encapsulation in its memory is left, for the one request that it lives.
//   - An opener holds the owner's [PrivateKey] and the writer key.
//   - Whoever holds neither learns from a sealed piece its length, the ids of
//     its keys, and which pieces share an encapsulation (so were sealed
//     for one request).
//
// Both secrets are needed to make or to read a piece, and they leak in
// different ways:
//
//   - who knows the public key and can write the tables, but lacks the writer
//     key, cannot make a piece that opens;
//   - who holds the tables and breaks P-256, or obtains a private key, but lacks
//     the writer key, reads nothing;
//   - who holds the writer key, but not the private key, reads nothing. It can
//     write pieces for any public key that it knows: it is intake.
//
// A piece opens at its [Place] and nowhere else: moved under another owner, day,
// id, table or deployment it fails as if a bit of it were flipped. An old piece
// put back at its own place does open: replay at the same place is not detected
// here, and ids are written once by conditional puts for that reason.
//
// Every failure to open is [ErrOpen], whatever its cause, so that neither an
// answer nor a log tells an attacker how far a forgery came.
//
// # Format of a sealed piece, version 1
//
//	byte     version   1
//	byte     suite     1
//	byte     n, then n bytes: key id          1 to 64 of A-Z a-z 0-9 . _ # -
//	byte     n, then n bytes: writer key id   the same
//	65 bytes encapsulation   uncompressed P-256 point (SEC 1, 2.3.3)
//	12 bytes nonce           random
//	         ciphertext      as long as the plaintext
//	16 bytes tag
//
// Suite 1 is HPKE (RFC 9180) in base mode with DHKEM(P-256, HKDF-SHA256) = 0x0010,
// HKDF-SHA256 = 0x0001 and the export-only AEAD = 0xffff, then HKDF-SHA256
// (RFC 5869) and AES-256-GCM (NIST SP 800-38D). Full HPKE sets its own nonces,
// which the FIPS module v1.0.0 refuses for AES-GCM; exporting a secret and
// using a random nonce passes.
//
//	lp(x)    = length of x in bytes, 4 bytes big-endian, then x
//	header   = lp(version) lp(suite) lp(deployment) lp(table) lp(owner) lp(key id)
//	           lp(encapsulation) lp(writer key id) lp(day) lp(id)
//	exported = HPKE export (RFC 9180, 5.3) of 32 bytes,
//	           info "fitvault/v1/hpke", exporter context "fitvault/v1/exported"
//	key      = HKDF(salt = writer key, secret = exported,
//	           info = "fitvault/v1/block-key" SHA-256(header)), 32 bytes
//	nonce, ciphertext, tag = AES-256-GCM(key, random nonce, plaintext, aad = header)
//
// Deployment, table, owner, day and id are authenticated but not stored: the
// reader knows them from where it found the piece. One encapsulation serves many
// pieces, because each has a key of its own through its header; the random nonce
// keeps a second sealing of the same place (a retry) safe.
//
// testdata/golden.json holds pieces made by testdata/golden.py, an
// implementation of this comment in another language. A change to what is
// written here needs a new version or suite, never a new golden file.
package vault
