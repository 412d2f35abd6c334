package intake_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/block"
	"fitvault/shared/intake"
	"fitvault/shared/keyring"
	"fitvault/shared/openmhealth"
	"fitvault/shared/segment"
	"fitvault/shared/vault"
)

// realHeartRates is 1,000 heart rates of a real recording, with their times.
func realHeartRates(t testing.TB) (times []string, rates []string) {
	for _, root := range []string{"../../../shared/data/tcx", "../../testdata/tcx"} {
		text, err := os.ReadFile(filepath.Join(root, "rowingdata-rowinginmotionexample.tcx"))
		if err != nil {
			continue
		}
		trackpoint := regexp.MustCompile(`(?s)<Time>([^<]*)</Time>.{0,400}?<HeartRateBpm[^>]*>\s*<Value>(\d+)</Value>`)
		for _, m := range trackpoint.FindAllStringSubmatch(string(text), 1000) {
			at, err := time.Parse("2006-01-02T15:04:05", m[1])
			if err != nil {
				at, err = time.Parse(time.RFC3339, m[1])
			}
			require.NoError(t, err)
			times, rates = append(times, at.Format(time.RFC3339)), append(rates, m[2])
		}
	}
	if len(rates) < 1000 {
		t.Skip("shared data absent")
	}
	return times[:1000], rates[:1000]
}

// inputs are the two of the benchmarks: series and points.
func inputs(t testing.TB) map[string][]byte {
	times, rates := realHeartRates(t)
	random := rand.New(rand.NewPCG(1, 2))
	header := func(created string) string {
		a, b := random.Uint64(), random.Uint64()
		return fmt.Sprintf(`{"uuid":"%08x-%04x-4%03x-a%03x-%012x","schema_id":{"namespace":"omh","name":"heart-rate","version":"2.0"},"source_creation_date_time":"%s","modality":"sensed"}`,
			a>>32, a>>16&0xffff, a&0xfff, b>>52, b&0xffffffffffff, created)
	}
	var bodies, points []string
	for i, at := range times {
		body := `{"heart_rate":{"value":` + rates[i] + `,"unit":"beats/min"},"effective_time_frame":{"date_time":"` + at + `"}}`
		bodies = append(bodies, body)
		points = append(points, `{"header":`+header(at)+`,"body":`+body+`}`)
	}
	return map[string][]byte{
		"series": []byte(`{"header":` + header(times[999]) + `,"body":[` + strings.Join(bodies, ",") + `]}`),
		"points": []byte("[" + strings.Join(points, ",") + "]"),
	}
}

// What a thousand real heart rates take in the table: write units are of 1 KB.
func TestSizes(t *testing.T) {
	for name, sent := range inputs(t) {
		w := newWorld(t)
		w.Rand = rand.NewChaCha8([32]byte{})
		_, err := w.Readings(t.Context(), w.request("", sent))
		require.NoError(t, err)
		pieces := w.blocks.Of(w.owner)
		require.Len(t, pieces, 1)
		item := len("owner") + len(w.owner) + len("item") + len(pieces[0].Item) + len("sealed") + len(pieces[0].Blob) + len("arrived") + 8
		t.Log(name, len(sent), "bytes sent,", len(pieces[0].Blob), "sealed,", item, "in the table")
		require.LessOrEqual(t, item, map[string]int{"series": 1024, "points": 17_500}[name])
	}
}

// The plain structs that a program without fitvault would read them into.
type plainHeader struct {
	UUID     string `json:"uuid"`
	SchemaID struct {
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
		Version   string `json:"version"`
	} `json:"schema_id"`
	Created  string `json:"source_creation_date_time"`
	Modality string `json:"modality"`
}

type plainBody struct {
	HeartRate struct {
		Value float64 `json:"value"`
		Unit  string  `json:"unit"`
	} `json:"heart_rate"`
	TimeFrame struct {
		DateTime string `json:"date_time"`
	} `json:"effective_time_frame"`
}

type plainSeries struct {
	Header plainHeader `json:"header"`
	Body   []plainBody `json:"body"`
}

type plainPoint struct {
	Header plainHeader `json:"header"`
	Body   plainBody   `json:"body"`
}

// cpu is the time that this process has had on processors, the collector's too:
// the wall's clock says little on a machine that others use.
func cpu(t testing.TB) time.Duration {
	var use syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &use))
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// BenchmarkIntake compares what intake does with a body, from its bytes to a
// sealed block, with encoding/json alone.
func BenchmarkIntake(b *testing.B) {
	for name, sent := range inputs(b) {
		run := func(step string, f func() error) {
			b.Run(name+"/"+step, func(b *testing.B) {
				b.ReportAllocs()
				begin := cpu(b)
				for b.Loop() {
					if err := f(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(cpu(b)-begin)/float64(b.N), "cpu-ns/op")
			})
		}
		w := newWorld(b)
		ring := w.ring(b)
		batch, err := openmhealth.Decode(sent, w.owner, openmhealth.Intake)
		require.NoError(b, err)
		documents := make([]*segment.Document, len(batch.Records))
		for i := range documents {
			documents[i] = &batch.Records[i].Point
		}
		packed, err := segment.EncodeDocuments(documents)
		require.NoError(b, err)
		keys, err := w.keys.Store.OwnerKey(b.Context(), w.owner, w.dataKey)
		require.NoError(b, err)
		data, err := vault.Enrolled(keys.Statement, keys.Signature, ring.Verify)
		require.NoError(b, err)
		writer, err := ring.Writer(b.Context(), keyring.WriterKeyID(w.now))
		require.NoError(b, err)

		run("json", func() error {
			if name == "series" {
				return json.Unmarshal(sent, new(plainSeries))
			}
			return json.Unmarshal(sent, new([]plainPoint))
		})
		run("decode", func() error {
			_, err := openmhealth.Decode(sent, w.owner, openmhealth.Intake)
			return err
		})
		run("pack", func() error {
			_, err := segment.EncodeDocuments(documents)
			return err
		})
		run("seal", func() error {
			sealer, err := vault.NewSealer(data, writer)
			if err != nil {
				return err
			}
			plain, err := block.Encode(block.Header{Client: client, Rank: block.RankOwner, Arrived: w.now}, packed)
			if err != nil {
				return err
			}
			_, err = sealer.Seal(intake.BlockPlace(deployment, w.owner, "2026-05-04", "a"), plain)
			return err
		})
		run("intake", func() error {
			_, err := w.Readings(b.Context(), w.request("key", sent))
			return err
		})
	}
}
