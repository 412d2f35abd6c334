// Package intake takes readings and recordings in: it decides what is good,
// writes down what it decided (the manifest), has the audit event written, and
// seals and stores the rest. Every step may be repeated: a retry follows the
// manifest, so a batch is stored exactly once, whoever sends it how often.
//
// The order is the promise (design.md, "How a reading travels"): manifest,
// audit event, blocks, answer. An answer is given only when every block is
// stored, so an acknowledged reading is never lost.
package intake

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"fitvault/shared/access"
	"fitvault/shared/block"
	"fitvault/shared/fault"
	"fitvault/shared/openmhealth"
	"fitvault/shared/reading"
	"fitvault/shared/signedpayload"
	"fitvault/shared/strictxml"
	"fitvault/shared/vault"
)

// Rules is the version of the rule set: schemas, extra rules and how batches
// are cut into blocks. A manifest names the one that decided it. 2 takes data series;
// 3 takes GPX, documents of 32 MiB and, where it is asked for, what is forgiven.
const Rules = "3"

// Keep is how long a manifest answers retries (wire.md, "retries").
const Keep = 35 * 24 * time.Hour

// Logical names of the stores, bound into each sealed piece; a restored table
// under another name is still the same store.
const (
	StoreReadings  = "readings"
	StoreDocuments = "documents"
)

// MaxBlock bounds the text of the readings of one block, so that the sealed
// block fits a DynamoDB item (400 KB) even if nothing compresses.
const MaxBlock = 320 << 10

// MaxDocument is the most bytes a document may have on the wire (wire.md, "sizes").
const MaxDocument = 4_500_000

// Manifest says what was decided about one request, without any value of it.
type Manifest struct {
	Key         string     `json:"-"`                  // HMAC of owner, client, route and idempotency key
	Body        []byte     `json:"-"`                  // HMAC of the digest of the body
	Expires     time.Time  `json:"-"`                  // when the key is free again
	RequestsKey string     `json:"requests_key"`       // id of the key of both HMACs
	Rules       string     `json:"rules"`              // the rule set that decided
	Count       int        `json:"count"`              // records in the request
	Rejected    []Rejected `json:"rejected,omitempty"` // the records that were not accepted
	Blocks      []Block    `json:"blocks,omitempty"`   // where the accepted ones go
	Recording   *Recording `json:"recording,omitempty"`
}

// Rejected is the verdict on a record that was not accepted.
type Rejected struct {
	Index   int    `json:"i"`
	Pointer string `json:"p"`
	Rule    string `json:"r"`
}

// Block is one sealed block and the records of the request that it holds.
type Block struct {
	Day     string  `json:"day"`
	ID      string  `json:"id"`
	Records []Range `json:"records"`
}

// Range is the records from First to Last, both included, by index in the request.
type Range [2]int

// add appends record i, which is greater than any before it.
func (b *Block) add(i int) {
	if n := len(b.Records); n > 0 && b.Records[n-1][1] == i-1 {
		b.Records[n-1][1] = i
		return
	}
	b.Records = append(b.Records, Range{i, i})
}

// each calls f with the index of every record of the block, in order, until f fails.
func (b Block) each(f func(i int) error) error {
	for _, r := range b.Records {
		for i := r[0]; i <= r[1]; i++ {
			if err := f(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// Recording names the pieces of one stored document.
type Recording struct {
	ID       string `json:"id"`       // of the recording
	Document string `json:"document"` // of the object that holds the original
	// What the rules of then forgave, so that a retry answers the same.
	Forgiven []strictxml.Forgiven `json:"forgiven,omitempty"`
}

// Manifests stores manifests.
type Manifests interface {
	// Claim stores m if its key is free, and returns the manifest that holds the
	// key: m itself, or the one that was there first. Of any number of concurrent
	// claims of one key exactly one is stored, and all return that one.
	Claim(ctx context.Context, m Manifest) (Manifest, error)
	// Find returns the manifest that holds a key, if one does.
	Find(ctx context.Context, key string) (Manifest, bool, error)
}

// Blocks stores sealed pieces beside an owner's readings.
type Blocks interface {
	// PutOnce stores a piece; one that is there already stays, and that is no error.
	// arrived stands beside it in the clear: who asks for what is new need not have
	// everything opened. What counts is the time that is sealed in the piece.
	PutOnce(ctx context.Context, owner, item string, sealed []byte, arrived time.Time) error
}

// Documents stores sealed documents.
type Documents interface {
	// Put stores a document; one that is there already stays, and that is no error.
	Put(ctx context.Context, id string, sealed []byte) error
}

// Keys hands out what intake may use: it can seal, and open nothing.
type Keys interface {
	Requests(ctx context.Context) (vault.RequestsKey, error)
	Sealer(ctx context.Context, owner, keyID string) (*vault.Sealer, error)
}

// Counters keeps the last counter of each pairing.
type Counters interface {
	// Advance makes n the last counter of a pairing at a time, atomically, if it is
	// higher than all before it; mark says for which request. The same counter with the
	// same mark within Keep is that request again: who was interrupted goes on.
	// Otherwise it reports false.
	Advance(ctx context.Context, pairing string, n int64, mark []byte, at time.Time) (bool, error)
}

// Signed is a tracker's word for a body, checked: it is that of a tracker that the
// owner has paired.
type Signed struct {
	Device  string // its id, for the audit event
	Pairing string
	Counter int64
	Text    string // the detached JWS
}

// Request is who sends what. Record writes the audit event of the request; what
// follows it is the effect.
type Request struct {
	Owner, DataKey, Client string
	By                     string                  // user id of who sends it, where that is not the owner: his idempotency keys are his own
	Rank                   block.Rank              // of the source, where records are the same
	IdempotencyKey         string                  // "" derives one from the body
	Body                   []byte                  // of readings: decompressed; of a recording: as it came
	MediaType              string                  // of a recording, one of RecordingTypes
	Sealed                 bool                    // the client had encrypted it for the service
	SealedOnly             []reading.Type          // what the owner lets in no other way; recordings are access.Recording
	Permits                func(reading.Type) bool // whether the caller may write a type; recordings are access.Recording; nil: all
	Lenient                bool                    // a recording may have the deviations of real devices that are known
	Signed                 *Signed                 // of readings; nil: nobody has signed them
	Record                 func(ctx context.Context, manifest string, accepted, rejected int) error
}

// Intake is safe for concurrent use.
type Intake struct {
	SealedOnly []reading.Type // what the deployment lets in only if the client has encrypted it
	Deployment string
	Manifests  Manifests
	Blocks     Blocks
	Documents  Documents
	Counters   Counters
	Keys       Keys
	Now        func() time.Time
	Rand       io.Reader
}

// RecordItem and BlockItem are the sort keys of a sealed piece in Readings.
func RecordItem(id string) string     { return "recording#" + id }
func BlockItem(day, id string) string { return day + "#" + id }

// BlockPlace is where a block lives; vault binds it into the seal.
func BlockPlace(deployment, owner, day, id string) vault.Place {
	return vault.Place{Deployment: deployment, Table: StoreReadings, Owner: owner, Day: day, ID: id}
}

// IndexPlace is where a recording's index entry lives.
func IndexPlace(deployment, owner, id string) vault.Place {
	return vault.Place{Deployment: deployment, Table: StoreReadings, Owner: owner, ID: RecordItem(id)}
}

// DocumentPlace is where a recording's original lives.
func DocumentPlace(deployment, owner, id string) vault.Place {
	return vault.Place{Deployment: deployment, Table: StoreDocuments, Owner: owner, ID: id}
}

// refuses is the rule by which data of a type is not taken from this request, or
// ""; nil where all are. Nothing that the caller says is looked at: who could switch sealing off
// could also read what is sent.
func (in *Intake) refuses(r Request) func(reading.Type) string {
	if r.Permits == nil && (r.Sealed || len(in.SealedOnly)+len(r.SealedOnly) == 0) {
		return nil // nearly always; there are a thousand records
	}
	return func(t reading.Type) string {
		switch {
		case r.Permits != nil && !r.Permits(t):
			return openmhealth.RuleNotPermitted
		case !r.Sealed && (slices.Contains(in.SealedOnly, t) || slices.Contains(r.SealedOnly, t)):
			return openmhealth.RuleSealed
		}
		return ""
	}
}

// ParseSealedOnly reads a list of types with commas between them, "" of none. One
// that intake does not take is an error: a slip must not pass for no demand.
func ParseSealedOnly(list string) (types []reading.Type, err error) {
	if list == "" {
		return nil, nil
	}
	for name := range strings.SplitSeq(list, ",") {
		t, err := reading.ParseType(name)
		if err != nil {
			return nil, err
		}
		if t != access.Recording && !openmhealth.Serves(t) {
			return nil, reading.ErrType
		}
		types = append(types, t)
	}
	return types, nil
}

// route is the route's name in a manifest's key. What was refused in the clear
// may come sealed under the same idempotency key.
func (r Request) route(name string) string {
	if r.Sealed {
		return name + "/sealed"
	}
	return name
}

// propose returns a manifest for r under the key that a retry of r would find.
// The digest is the SHA-256 of the body as it was before any compression: a
// retry in the other form is the same request.
func (in *Intake) propose(keys vault.RequestsKey, route string, r Request, digest [sha256.Size]byte) Manifest {
	kind, key := "key", r.IdempotencyKey
	if key == "" {
		kind, key = "body", string(digest[:])
	}
	parts := []string{r.Owner, r.Client, r.route(route), kind, key}
	if r.Signed != nil { // the same body without a signature is another request
		parts = append(parts, r.Signed.Pairing)
	}
	if r.By != "" { // a grantee by the owner's app must neither take the owner's keys nor learn of them
		parts = append(parts, "by", r.By)
	}
	id := keys.ManifestID(parts...)
	return Manifest{
		Key:         id,
		Body:        keys.BodyMAC(id, digest[:]),
		Expires:     in.Now().Add(Keep),
		RequestsKey: keys.ID(),
		Rules:       Rules,
	}
}

// claim makes m the manifest of its key, or returns the one that is it already.
func (in *Intake) claim(ctx context.Context, m Manifest) (Manifest, error) {
	held, err := in.Manifests.Claim(ctx, m)
	if err != nil {
		return Manifest{}, fault.Wrap(fault.Unavailable, "manifest cannot be written", err)
	}
	return held, sameBody(held, m)
}

// advance takes the counter of a signed request, once: a retry, which has a
// manifest, keeps the one it had. A payload under another idempotency key, the last
// one too, and another payload with a counter that was used are refused: the mark is
// of the request, its key and its body, and good for as long as its manifest would be.
func (in *Intake) advance(ctx context.Context, keys vault.RequestsKey, r Request, m Manifest, digest [sha256.Size]byte) error {
	held, found, err := in.Manifests.Find(ctx, m.Key)
	if err != nil {
		return fault.Wrap(fault.Unavailable, "manifest cannot be read", err)
	}
	if found {
		return sameBody(held, m)
	}
	mark := keys.BodyMAC("counter of "+m.Key, digest[:])
	rising, err := in.Counters.Advance(ctx, r.Signed.Pairing, r.Signed.Counter, mark, m.Expires.Add(-Keep))
	if err != nil {
		return fault.Wrap(fault.Unavailable, "counter cannot be kept", err)
	}
	if !rising {
		return signedpayload.Refused()
	}
	return nil
}

// find returns the manifest of m's key, for a request that current rules
// refuse: older rules may have accepted it, then this is a retry and they hold.
func (in *Intake) find(ctx context.Context, m Manifest, refused error) (Manifest, error) {
	held, found, err := in.Manifests.Find(ctx, m.Key)
	if err != nil {
		return Manifest{}, fault.Wrap(fault.Unavailable, "manifest cannot be read", err)
	}
	if !found {
		return Manifest{}, refused
	}
	return held, sameBody(held, m)
}

func sameBody(held, m Manifest) error {
	if !hmac.Equal(held.Body, m.Body) {
		return fault.New(fault.KeyReused, "idempotency key was used with another body")
	}
	return nil
}

// withdrawn refuses a retry of a request that was accepted with types that its sender
// may not write any more: it would store them after they were withdrawn, and all
// that was stored before is there.
func withdrawn(m Manifest, decided []openmhealth.Result) error {
	for _, b := range m.Blocks {
		for _, r := range b.Records {
			// A manifest that does not go with its body is refused later; here it must not take time.
			for i := max(r[0], 0); i <= min(r[1], len(decided)-1); i++ {
				if decided[i].Rule == openmhealth.RuleNotPermitted {
					return fault.New(fault.Forbidden, "what was accepted then is not permitted any more")
				}
			}
		}
	}
	return nil
}

// sealing is the way to the sealer of a request's owner. It is begun once a request
// is known to be good (what is refused costs no key), and gone while manifest and
// audit event are written, one after the other: reading a public key needs neither,
// and shows and changes nothing. What is sealed comes after both, as ever.
type sealing struct {
	group  errgroup.Group
	sealer *vault.Sealer
}

func (s *sealing) begin(ctx context.Context, keys Keys, r Request) {
	s.group.Go(func() error {
		return fault.Recovered(func() (err error) { // a panic here would end the process, not the request
			s.sealer, err = keys.Sealer(ctx, r.Owner, r.DataKey)
			return err
		})
	})
}

// wait returns what begin was asked for. A request always waits before it returns:
// nothing of it goes on after its answer.
func (s *sealing) wait() (*vault.Sealer, error) {
	err := s.group.Wait()
	return s.sealer, err
}

// newID returns an id of the form of a user's: 128 random bits.
func (in *Intake) newID() (string, error) {
	id, err := access.NewUserID(in.Rand)
	return id.String(), err
}
