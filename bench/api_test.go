package bench

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
)

// side is one API of the two: fitvault's, or the hello-world function's behind
// the same gateway, authorizer and kind of key.
type side struct{ api, key string }

// BenchmarkAPI: the local API, warm, as a client sees it, and a hello-world
// function behind the same gateway, in turns: one client, and 16 at once. Both
// get the same requests.
func BenchmarkAPI(b *testing.B) {
	s := stack.Open(b)
	person := s.Newcomer(b)
	ours, theirs := side{s.API, s.APIKey}, deployHello(b, s)
	client := s.Client()
	batch, some := Sync(), Join(Day()[:7]) // 105 points for the page that is read
	call := func(to side, method, path string, body []byte) time.Duration {
		request := must(http.NewRequestWithContext(b.Context(), method, to.api+path, bytes.NewReader(body)))
		request.Header.Set("Authorization", "Bearer "+person.Token)
		request.Header.Set("x-api-key", to.key)
		if body != nil {
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("Idempotency-Key", rand.Text()) // else it were a retry
		}
		began := time.Now()
		response := must(client.Do(request))
		answer := must(io.ReadAll(response.Body))
		took := time.Since(began)
		check(response.Body.Close())
		if response.StatusCode != http.StatusOK {
			panic(fmt.Sprintf("%s answered %d: %s", path, response.StatusCode, answer))
		}
		return took
	}
	path := "/users/" + person.ID + "/readings"
	call(ours, http.MethodPost, path, some.Body)
	for _, test := range []struct {
		name, method, path string
		body               []byte
	}{
		{"read", http.MethodGet, path + "?from=2018-08-10T00:00:00Z&to=2018-08-10T02:00:00Z", nil},
		{"sync", http.MethodPost, path, batch.Body},
	} {
		for _, clients := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s-%d-clients", test.name, clients), func(b *testing.B) {
				round := func(to side) []float64 {
					return atOnce(clients, func() time.Duration { return call(to, test.method, test.path, test.body) })
				}
				round(ours) // as many containers as there are clients
				round(theirs)
				var us, them [][]float64
				for range apiRounds {
					us, them = append(us, round(ours)), append(them, round(theirs))
				}
				report := map[string]float64{}
				for name, q := range map[string]float64{"p50": 0.5, "p95": 0.95} {
					mine, others := quantile(slices.Concat(us...), q), quantile(slices.Concat(them...), q)
					report["ours-"+name+"-ms"], report["theirs-"+name+"-ms"], report["ratio-"+name] = mine, others, mine/others
				}
				Report(b, report)
			})
		}
	}
}

// apiRounds is how often both sides take their turn: 120 calls by one client,
// 192 by 16.
const apiRounds = 4

// atOnce is what each of some calls took in ms: three by each client, or 30 by one.
func atOnce(clients int, call func() time.Duration) []float64 {
	each := 3
	if clients == 1 {
		each = 30
	}
	took := make([]float64, clients*each)
	var group sync.WaitGroup
	for c := range clients {
		group.Go(func() {
			for i := range each {
				took[c*each+i] = call().Seconds() * 1e3
			}
		})
	}
	group.Wait()
	return took
}

func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}

// deployHello deploys template.yaml beside fitvault, where it is not yet.
func deployHello(t testing.TB, s *stack.Stack) side {
	key := "bench-" + s.APIKey
	sam(t, s, "build", "--build-in-source", "-t", "bench/template.yaml", "-b", ".local/bench/sam-build")
	sam(t, s, "deploy", "-t", ".local/bench/sam-build/template.yaml", "--stack-name", "bench", "--s3-bucket", "sam-artifacts",
		"--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar",
		"--parameter-overrides", "PoolArn="+s.Outputs["UserPool"], "Key="+key)
	var outputs []struct{ OutputKey, OutputValue string }
	require.NoError(t, json.Unmarshal(sam(t, s, "list", "stack-outputs", "--stack-name", "bench", "--output", "json"), &outputs))
	require.Equal(t, "ApiId", outputs[0].OutputKey)
	return side{api: strings.Replace(s.API, s.Outputs["ApiId"], outputs[0].OutputValue, 1), key: key}
}

func sam(t testing.TB, s *stack.Stack, arguments ...string) []byte {
	t.Helper()
	command := exec.CommandContext(t.Context(), ".local/venvs/sam/bin/python", append([]string{"-m", "samcli"}, arguments...)...)
	command.Dir = ".."
	home := must(os.MkdirTemp("", "sam")) // its own settings, not the user's
	defer func() { _ = os.RemoveAll(home) }()
	command.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+s.Endpoints.AWS, "AWS_DEFAULT_REGION="+s.Region, "AWS_REGION="+s.Region,
		"AWS_ACCESS_KEY_ID="+s.Credentials.ID, "AWS_SECRET_ACCESS_KEY="+s.Credentials.Secret,
		"SAM_CLI_TELEMETRY=0", "SAM_CLI_POLL_DELAY=1", "__SAM_CLI_APP_DIR="+home)
	var errs strings.Builder
	command.Stderr = &errs
	out, err := command.Output()
	require.NoError(t, err, errs.String())
	return out
}
