package bench

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/keyring"
	"fitvault/shared/keyring/keyringtest"
)

// How long functions hold unwrapped keys: holdKeys in the main.go of ingest and
// of readings. Project holds them for one invocation, and is invoked with what
// has gathered for the template's DaysWindow.
const (
	intakeHolds = 15 * time.Minute
	readerHolds = time.Minute
	daysWindow  = 2 * time.Minute
)

// The load that calls of KMS are counted under: one container takes a batch a
// second, as from 900 trackers that sync every quarter of an hour, and lives for
// two hours. Each owner looks at his readings once a day.
const (
	owners       = 900
	lifetime     = 2 * time.Hour
	readInterval = 24 * time.Hour
)

// counting is KMS with a count of its calls.
type counting struct {
	*keyringtest.KMS
	calls int
}

func (c *counting) Unwrap(ctx context.Context, purpose string, encryptionContext map[string]string, blob []byte) ([]byte, error) {
	c.calls++
	return c.KMS.Unwrap(ctx, purpose, encryptionContext, blob)
}

func (c *counting) PublicKey(ctx context.Context, purpose string) (*ecdsa.PublicKey, error) {
	c.calls++
	return c.KMS.PublicKey(ctx, purpose)
}

// BenchmarkKMS counts the calls of KMS through the functions' own key ring, by
// the clock of the load above, for a million readings of each input.
func BenchmarkKMS(b *testing.B) {
	service := keyringtest.NewService(b, deployment, noon)
	names := make([]string, owners)
	for i := range names {
		names[i] = fmt.Sprintf("owner-%d", i)
		service.Enrol(b, names[i], "data-key", noon, nil)
	}
	now := noon
	ring := func(hold time.Duration) (*keyring.Ring, *counting) {
		kms := &counting{KMS: service.KMS}
		r := service.Ring(b, func() time.Time { return now })
		r.KMS, r.Hold = kms, hold
		return r, kms
	}
	intake, intakeKMS := ring(intakeHolds)
	projectKMS, gathered := 0, []string{}
	readers, readersKMS := ring(readerHolds)
	must(intakeKMS.PublicKey(b.Context(), keyring.PurposeEnrolment)) // at the start of the container
	reads, batches := 0.0, 0
	for ; now.Before(noon.Add(lifetime)); now = now.Add(time.Second) {
		owner := names[batches%owners]
		batches++
		must(intake.Requests(b.Context()))
		must(intake.Sealer(b.Context(), owner, "data-key"))

		gathered = append(gathered, owner)
		if len(gathered) == int(daysWindow.Seconds()) {
			project, kms := ring(lifetime)
			for _, owner := range gathered {
				must(project.Private(b.Context(), owner, "data-key"))
				must(project.Writer(b.Context(), keyring.WriterKeyID(noon)))
			}
			projectKMS, gathered = projectKMS+kms.calls, nil
		}

		reads += owners / readInterval.Seconds()
		for ; reads >= 1; reads-- {
			must(readers.Pages(b.Context()))
			must(readers.Private(b.Context(), owner, "data-key"))
			must(readers.Writer(b.Context(), keyring.WriterKeyID(noon)))
		}
	}
	require.Equal(b, int(lifetime.Seconds()), batches)
	for _, input := range Inputs() {
		b.Run(input.Name, func(b *testing.B) {
			millions := float64(batches*len(input.Records)) / 1e6
			Report(b, map[string]float64{
				"a-batch":    1e6 / float64(len(input.Records)), // per million readings, if each batch made one call
				"intake":     float64(intakeKMS.calls) / millions,
				"projection": float64(projectKMS) / millions,
				"reads":      float64(readersKMS.calls) / millions,
			})
		})
	}
}
