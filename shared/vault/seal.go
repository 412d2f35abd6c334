package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/sha256"
	"errors"
	"sync"

	"fitvault/shared/redact"
)

// ErrPlace is returned by [Sealer.Seal] for a place that is incomplete, or is
// not of the owner and deployment that the data key was enrolled for.
var ErrPlace = errors.New("vault: place does not belong to the data key")

const (
	hpkeInfo        = "fitvault/v1/hpke"
	exporterContext = "fitvault/v1/exported"
	blockKeyLabel   = "fitvault/v1/block-key"
)

// Sealer seals pieces of one owner. It holds one encapsulation, made when it was
// made, and the secret that came out of it: with these it could open again what
// it has sealed itself, so it should live for one request only, and it offers no way
// to open anything. It is safe for concurrent use.
type Sealer struct {
	redact.Mark
	data          DataKey
	writer        WriterKey
	header        Header
	encapsulation []byte
	exported      secret
}

// NewSealer makes one HPKE encapsulation to an enrolled key (RFC 9180, 5.1.1).
// It returns [ErrKey] for the zero value of either key.
func NewSealer(data DataKey, writer WriterKey) (*Sealer, error) {
	if data.public == nil || writer.key == nil {
		return nil, ErrKey
	}
	encapsulation, sender, err := hpke.NewSender(data.public, hpke.HKDFSHA256(), hpke.ExportOnly(), []byte(hpkeInfo))
	sender = must(sender, err) // fails only where the shared point is zero, which P-256 has none of
	return &Sealer{
		data: data, writer: writer,
		header:        Header{Version: version1, Suite: suite1, KeyID: data.id, WriterKeyID: writer.id},
		encapsulation: encapsulation,
		exported:      hide(must(sender.Export(exporterContext, keySize))),
	}, nil
}

// Seal returns the sealed piece of a plaintext that will live at a place, 97
// bytes longer than it besides the two key ids. It can be repeated for the same
// place. It returns [ErrPlace] for a place of another owner or deployment than
// the data key's: a mix-up in the caller must not seal one person's readings to
// another person's key.
func (s *Sealer) Seal(p Place, plaintext []byte) ([]byte, error) {
	if p.Deployment != s.data.deployment || p.Owner != s.data.owner || p.Table == "" || p.ID == "" {
		return nil, ErrPlace
	}
	header := s.header.authenticated(p, s.encapsulation)
	sealed := s.header.stored(s.encapsulation)
	return blockCipher(s.exported, s.writer.key, header).Seal(sealed, nil, plaintext, header), nil
}

// Opener opens pieces with the keys that one request has unwrapped. It keeps the
// secret of each encapsulation that it has met, because pieces of one day share
// few of them and a decapsulation costs more than the rest; so it should live no
// longer than the request. It is safe for concurrent use.
type Opener struct {
	redact.Mark
	keys    map[string]PrivateKey
	writers map[string]WriterKey

	mu       sync.Mutex
	exported map[string]secret // by key id and encapsulation
}

// NewOpener makes an opener of the keys that pieces' headers asked for; of two
// keys with one id the later counts, and zero values are left out.
func NewOpener(keys []PrivateKey, writers []WriterKey) *Opener {
	o := &Opener{keys: map[string]PrivateKey{}, writers: map[string]WriterKey{}, exported: map[string]secret{}}
	for _, k := range keys {
		if k.key != nil {
			o.keys[k.id] = k
		}
	}
	for _, w := range writers {
		if w.key != nil {
			o.writers[w.id] = w
		}
	}
	return o
}

// Open returns the plaintext of a piece that was sealed for exactly this place,
// or [ErrOpen] and nothing of it.
func (o *Opener) Open(sealed []byte, p Place) ([]byte, error) {
	h, encapsulation, box, err := split(sealed)
	if err != nil {
		return nil, ErrOpen
	}
	writer, ok := o.writers[h.WriterKeyID]
	if !ok {
		return nil, ErrOpen
	}
	exported, err := o.export(h.KeyID, encapsulation)
	if err != nil {
		return nil, ErrOpen
	}
	header := h.authenticated(p, encapsulation)
	plaintext, err := blockCipher(exported, writer.key, header).Open(nil, nil, box, header)
	if err != nil {
		return nil, ErrOpen
	}
	return plaintext, nil
}

// export decapsulates (RFC 9180, 5.1.1) at most once per encapsulation.
func (o *Opener) export(keyID string, encapsulation []byte) (secret, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	cached := keyID + "\x00" + string(encapsulation)
	if exported, ok := o.exported[cached]; ok {
		return exported, nil
	}
	key, ok := o.keys[keyID]
	if !ok {
		return nil, ErrOpen
	}
	recipient, err := hpke.NewRecipient(encapsulation, key.key, hpke.HKDFSHA256(), hpke.ExportOnly(), []byte(hpkeInfo))
	if err != nil {
		return nil, ErrOpen
	}
	exported := hide(must(recipient.Export(exporterContext, keySize)))
	o.exported[cached] = exported
	return exported, nil
}

// blockCipher makes the cipher of one piece. Its key depends on the whole header
// and on both secrets, so it is used for this place under this encapsulation
// only, far below the 2^32 messages that random nonces allow.
func blockCipher(exported, writer secret, header []byte) cipher.AEAD {
	hash := sha256.Sum256(header)
	return randomNonceGCM(must(hkdf.Key(sha256.New, exported(), writer(), blockKeyLabel+string(hash[:]), keySize)))
}

func randomNonceGCM(key []byte) cipher.AEAD {
	return must(cipher.NewGCMWithRandomNonce(must(aes.NewCipher(key))))
}
