package bench

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Build builds a function's bootstrap as `sam build` does, and returns its path.
func Build(t testing.TB, folder string) string {
	t.Helper()
	out := t.TempDir()
	command := exec.CommandContext(t.Context(), "make", "-s", "-C", folder, "build-it", "ARTIFACTS_DIR="+out)
	text, err := command.CombinedOutput()
	require.NoError(t, err, "%s", text)
	return filepath.Join(out, "bootstrap")
}

// Runtime is the Lambda Runtime API (version 2018-06-01) for one bootstrap.
type Runtime struct {
	Ready time.Duration // from the start of the process until it asked for its first event

	t       testing.TB
	process *exec.Cmd
	server  *http.Server
	events  chan []byte
	answers chan []byte
}

// Start starts a bootstrap with an environment, which is all that it gets, and
// waits until it asks for an event.
func Start(t testing.TB, bootstrap string, environment ...string) *Runtime {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &Runtime{t: t, events: make(chan []byte), answers: make(chan []byte, 1)}
	ready := make(chan time.Time, 1)
	asked := false
	routes := http.NewServeMux()
	routes.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(w http.ResponseWriter, request *http.Request) {
		if !asked { // a bootstrap asks for one event at a time
			asked = true
			ready <- time.Now()
		}
		select {
		case event := <-r.events:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", "c6af9ac6-7b61-11e6-9a41-93e8deadbeef")
			w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(time.Minute).UnixMilli(), 10))
			_, _ = w.Write(event)
		case <-request.Context().Done():
		}
	})
	routes.HandleFunc("POST /2018-06-01/runtime/", func(w http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		w.WriteHeader(http.StatusAccepted)
		r.answers <- body
	})
	r.server = &http.Server{Handler: routes}
	go func() { _ = r.server.Serve(listener) }()

	r.process = exec.Command(bootstrap)
	r.process.Env = append([]string{"AWS_LAMBDA_RUNTIME_API=" + listener.Addr().String(), "_HANDLER=bootstrap"}, environment...)
	var said strings.Builder
	r.process.Stderr = &said
	began := time.Now()
	require.NoError(t, r.process.Start())
	select {
	case at := <-ready:
		r.Ready = at.Sub(began)
	case <-time.After(20 * time.Second):
		r.Stop()
		t.Fatalf("the bootstrap did not ask for an event: %s", said.String())
	}
	return r
}

// Invoke gives the bootstrap an event and returns its answer.
func (r *Runtime) Invoke(event []byte) []byte {
	r.t.Helper()
	r.events <- event
	select {
	case answer := <-r.answers:
		return answer
	case <-time.After(time.Minute):
		r.t.Fatal("no answer")
		return nil
	}
}

var peak = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// PeakMemory is the most bytes that the process has had in memory (VmHWM).
func (r *Runtime) PeakMemory() int {
	r.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.process.Process.Pid))
	require.NoError(r.t, err)
	kB, err := strconv.Atoi(string(peak.FindSubmatch(status)[1]))
	require.NoError(r.t, err)
	return kB << 10
}

// Stop ends the process and the server.
func (r *Runtime) Stop() {
	_ = r.process.Process.Kill()
	_ = r.process.Wait()
	_ = r.server.Close()
}
