package bench

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"encoding/xml"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/block"
	"fitvault/shared/intake"
	"fitvault/shared/keyring"
	"fitvault/shared/keyring/keyringtest"
	"fitvault/shared/vault"
)

// unwrapped is keys that are at hand; each sealer still makes its encapsulation.
type unwrapped struct {
	requests vault.RequestsKey
	data     vault.DataKey
	writer   vault.WriterKey
}

func (u unwrapped) Requests(context.Context) (vault.RequestsKey, error) { return u.requests, nil }
func (u unwrapped) Sealer(context.Context, string, string) (*vault.Sealer, error) {
	return vault.NewSealer(u.data, u.writer)
}

const deployment = "fitvault"

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func newOwner() string { return must(access.NewUserID(rand.Reader)).String() }

// newIntake is intake with its keys at hand and nothing behind it: what it takes
// is decoding, judging, packing and sealing, and the request's HMACs.
func newIntake(t testing.TB, owner string) *intake.Intake {
	service := keyringtest.NewService(t, deployment, noon)
	service.Enrol(t, owner, "data-key", noon, nil)
	ring := service.Ring(t, func() time.Time { return noon })
	enrolled := must(service.Store.OwnerKey(t.Context(), owner, "data-key"))
	keys := unwrapped{
		requests: must(ring.Requests(t.Context())),
		data:     must(vault.Enrolled(enrolled.Statement, enrolled.Signature, ring.Verify)),
		writer:   must(ring.Writer(t.Context(), keyring.WriterKeyID(noon))),
	}
	return &intake.Intake{Deployment: deployment, Manifests: Sink{}, Blocks: Sink{}, Documents: Sink{}, Keys: keys,
		Now: func() time.Time { return noon }, Rand: rand.Reader}
}

func request(owner string, body []byte) intake.Request {
	return intake.Request{Owner: owner, DataKey: "data-key", Client: "client", Rank: block.RankOwner, MediaType: intake.MediaTCX, Body: body,
		Record: func(context.Context, string, int, int) error { return nil }}
}

// BenchmarkIntake: decode, validate, pack and seal, against encoding/json of the
// same bytes into plain structs.
func BenchmarkIntake(b *testing.B) {
	owner := newOwner()
	in := newIntake(b, owner)
	for _, input := range Inputs() {
		b.Run(input.Name, func(b *testing.B) {
			r := request(owner, input.Body)
			if _, err := in.Readings(b.Context(), r); err != nil {
				b.Skip(err)
			}
			CompareCPU(b,
				func() { must(in.Readings(b.Context(), r)) },
				func() { check(json.Unmarshal(input.Body, input.Plain())) })
		})
	}
}

// BenchmarkXML: validate, read and seal a 2 MB document, against encoding/xml of
// the same bytes into plain structs.
func BenchmarkXML(b *testing.B) {
	owner := newOwner()
	in := newIntake(b, owner)
	r := request(owner, TCX("..", 2_100_000))
	require.NotZero(b, must(in.Recording(b.Context(), r)).Trackpoints)
	b.Run("tcx", func(b *testing.B) {
		CompareCPU(b,
			func() { must(in.Recording(b.Context(), r)) },
			func() { check(xml.Unmarshal(r.Body, new(plainTCX))) })
	})
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
