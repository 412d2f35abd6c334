package segment_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	cryptorand "crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/openmhealth/generate"
	"fitvault/shared/reading"
	"fitvault/shared/segment"
	"fitvault/shared/vault"
)

// What is read back is what was sent: ten thousand batches (in make attack) of 1 to 1,000 data
// points that the schemas themselves gave, through codec and vault. Most batches
// are small, as most are in life; every size class has its share.
func TestTenThousandBatchesThroughCodecAndVault(t *testing.T) {
	const owner = "aaaabbbbccccddddeeeeffffgg"
	batches, covering := int64(3_000), int64(3_000)
	switch {
	case testing.Short():
		batches = 1_000
	case os.Getenv("ATTACK") == "whole":
		batches = 10_000
	}
	place := vault.Place{Deployment: "fitvault", Table: "Readings", Owner: owner, Day: "2026-05-04"}
	sealer, private, writer := sealingKeys(t, place)

	var (
		next, points, size atomic.Int64
		seen               sync.Mutex // guards coverage and sizes
		coverage           = generate.NewCoverage()
		sizes              = map[int]int{} // batches by the digits of their size
		workers            sync.WaitGroup
	)
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := next.Add(1); i <= batches && !t.Failed(); i = next.Add(1) {
				random := rand.New(rand.NewPCG(uint64(i), 0))
				n := batchSize(int(i), random)
				batch := generate.Batch(random, n, owner)

				at := place
				at.ID = fmt.Sprint(i)
				sealed, back, err := through(sealer, vault.NewOpener([]vault.PrivateKey{private}, []vault.WriterKey{writer}), at, batch)
				if err != nil {
					t.Errorf("batch %d of %d: %v", i, n, err)
					return
				}
				if !same(batch, back) {
					t.Errorf("batch %d of %d comes back as something else", i, n)
					return
				}
				for j := range batch {
					if !batch[j].Equal(back[j]) {
						t.Errorf("batch %d of %d: point %d is not equal by the wire's equality", i, n, j)
						return
					}
				}
				points.Add(int64(n))
				size.Add(int64(sealed))
				seen.Lock()
				sizes[len(fmt.Sprint(n))]++
				if i <= covering { // enough to have shown everything; counting all of them takes as long as packing
					for _, point := range back {
						coverage.Add(point)
					}
				}
				seen.Unlock()
			}
		})
	}
	workers.Wait()
	require.Empty(t, coverage.Missing(), "a member, form of time, offset or kind of text that no batch had")
	for digits := 1; digits <= 4; digits++ {
		require.GreaterOrEqual(t, int64(sizes[digits]), batches/1000, "batches with a size of %d digits", digits)
	}
	t.Logf("%d batches, %d points, %d bytes sealed, sizes by digits %v", batches, points.Load(), size.Load(), sizes)
}

// through packs and seals a batch, opens and unpacks it, and returns the size of
// what was stored.
func through(sealer *vault.Sealer, opener *vault.Opener, at vault.Place, batch []reading.Value) (int, []reading.Value, error) {
	packed, err := segment.Encode(batch)
	if err != nil {
		return 0, nil, err
	}
	sealed, err := sealer.Seal(at, packed)
	if err != nil {
		return 0, nil, err
	}
	opened, err := opener.Open(sealed, at)
	if err != nil {
		return 0, nil, err
	}
	back, err := segment.Decode(opened, segment.DefaultLimits)
	return len(sealed), back, err
}

// batchSize is 1000 for one batch in five hundred, and for the others spread so
// that each further digit is several times as rare.
func batchSize(i int, random *rand.Rand) int {
	if i%500 == 0 {
		return 1000
	}
	return int(math.Pow(1000, math.Pow(random.Float64(), 4)))
}

func sealingKeys(t testing.TB, place vault.Place) (*vault.Sealer, vault.PrivateKey, vault.WriterKey) {
	t.Helper()
	owner, err := ecdsa.GenerateKey(elliptic.P256(), cryptorand.Reader)
	require.NoError(t, err)
	enrol, err := ecdsa.GenerateKey(elliptic.P256(), cryptorand.Reader)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(&owner.PublicKey)
	require.NoError(t, err)
	statement := vault.Statement{Deployment: place.Deployment, Owner: place.Owner, KeyID: "key-1", Public: public, At: time.Unix(1777872300, 0)}
	digest := sha256.Sum256(statement.Bytes())
	signature, err := ecdsa.SignASN1(cryptorand.Reader, enrol, digest[:])
	require.NoError(t, err)
	data, err := vault.Enrolled(statement, signature, &enrol.PublicKey)
	require.NoError(t, err)
	writer, err := vault.NewWriterKey("writer-1", make([]byte, 32))
	require.NoError(t, err)
	sealer, err := vault.NewSealer(data, writer)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(owner)
	require.NoError(t, err)
	private, err := vault.ParsePrivateKey("key-1", der)
	require.NoError(t, err)
	return sealer, private, writer
}
