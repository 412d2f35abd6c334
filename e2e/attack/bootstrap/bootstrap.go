// Package bootstrap runs the deployed code of a function as a child of the test,
// behind a Lambda Runtime API of its own: so that a test may put something
// between the function and the local AWS, kill it at a chosen moment, and ask the
// kernel what it took. It is the same program with the same settings as the
// function that the local AWS runs.
package bootstrap

import (
	"archive/zip"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
)

// Code is a function's program and what it is configured with.
type Code struct {
	Program     string // a file that can be run
	Environment map[string]string
	Timeout     time.Duration
	Memory      int64 // bytes
}

// Deployed fetches the code of a deployed function from the local AWS.
func Deployed(t testing.TB, s *stack.Stack, function string) Code {
	t.Helper()
	var described struct {
		Configuration struct {
			Environment         struct{ Variables map[string]string }
			Timeout, MemorySize int64 // s, MiB
		}
		Code struct{ Location string }
	}
	_, answer := s.Request(t, http.MethodGet, "lambda", "/2015-03-31/functions/"+function, "", nil)
	require.NoError(t, json.Unmarshal(answer, &described))
	response, err := s.Client().Get(described.Code.Location)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	archive, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	files, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	require.NoError(t, err)
	program, err := files.Open("bootstrap")
	require.NoError(t, err)
	file, err := os.OpenFile(filepath.Join(t.TempDir(), "bootstrap"), os.O_CREATE|os.O_WRONLY, 0o700)
	require.NoError(t, err)
	_, err = io.Copy(file, program)
	require.NoError(t, err)
	require.NoError(t, file.Close())

	c := described.Configuration
	environment := map[string]string{
		"AWS_REGION": s.Region, "AWS_ACCESS_KEY_ID": s.Credentials.ID, "AWS_SECRET_ACCESS_KEY": s.Credentials.Secret,
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
		"AWS_LAMBDA_FUNCTION_NAME": function, "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.FormatInt(c.MemorySize, 10),
		"HOME":                            t.TempDir(), "TMPDIR": t.TempDir(), "PATH": "/usr/bin:/bin", "LANG": "en_US.UTF-8",
	}
	maps.Copy(environment, c.Environment.Variables)
	return Code{file.Name(), environment, time.Duration(c.Timeout) * time.Second, c.MemorySize << 20}
}

// With is the code with one more setting.
func (c Code) With(name, value string) Code {
	c.Environment = maps.Clone(c.Environment)
	c.Environment[name] = value
	return c
}

// What an invocation fails with.
var (
	ErrEnded   = errors.New("the process has ended")
	ErrTimeout = errors.New("the function took too long, and was killed as Lambda does")
)

// Process is one run of a function. It takes one event at a time.
type Process struct {
	PID int

	command *exec.Cmd
	server  *httptest.Server
	events  chan *invocation
	ended   chan struct{}
	ready   chan struct{}
	once    sync.Once
	output  output

	mu      sync.Mutex
	current *invocation
}

type invocation struct {
	id       string
	payload  []byte
	deadline time.Time
	answer   chan []byte
}

// Start runs the code against an endpoint of the local AWS and waits until it
// asks for an event. It fails where the function ends before that. Who starts a
// process kills it; the end of the test does, too.
func (c Code) Start(t testing.TB, endpoint string) (*Process, error) {
	t.Helper()
	p := &Process{events: make(chan *invocation), ended: make(chan struct{}), ready: make(chan struct{})}
	p.server = httptest.NewServer(p.api())
	p.command = exec.Command(c.Program)
	p.command.Env = []string{"AWS_ENDPOINT_URL=" + endpoint, "AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(p.server.URL, "http://")}
	for name, value := range c.Environment {
		p.command.Env = append(p.command.Env, name+"="+value)
	}
	p.command.Stdout, p.command.Stderr = &p.output, &p.output
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a test that is killed leaves nobody behind
	if err := p.command.Start(); err != nil {
		p.server.Close()
		return nil, err
	}
	p.PID = p.command.Process.Pid
	go func() {
		_ = p.command.Wait()
		close(p.ended)
		p.server.CloseClientConnections()
		p.server.Close()
	}()
	t.Cleanup(p.Kill)
	select {
	case <-p.ready:
		return p, nil
	case <-p.ended:
		return nil, ErrEnded
	case <-time.After(c.Timeout):
		p.Kill()
		return nil, ErrTimeout
	}
}

// Kill ends the process as kill -9 does, and waits until it is gone.
func (p *Process) Kill() {
	_ = p.command.Process.Kill()
	<-p.ended
}

// Alive says whether the process still runs.
func (p *Process) Alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// Output is what the function has written: its log. Of a long one, the end.
func (p *Process) Output() string { return p.output.String() }

// Peak is the most memory that the process has held, in bytes: VmHWM of proc(5).
func (p *Process) Peak(t testing.TB) int64 {
	t.Helper()
	return Peak(t, p.PID)
}

// Peak is VmHWM of a process, in bytes.
func Peak(t testing.TB, pid int) int64 {
	t.Helper()
	n, err := held(pid, "VmHWM:")
	require.NoError(t, err)
	return n
}

// Resident is VmRSS of a process, in bytes: what it holds now.
func Resident(pid int) (int64, error) { return held(pid, "VmRSS:") }

// held reads a line of status in proc(5). A process that has ended has none.
func held(pid int, name string) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == name {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, ErrEnded
}

// Invoke hands an event to the function and returns its answer. Errors: ErrEnded,
// and ErrTimeout after timeout, when the process has been killed.
func (p *Process) Invoke(event events.APIGatewayProxyRequest, timeout time.Duration) (stack.Answer, error) {
	payload, err := json.Marshal(event)
	if err != nil {
		return stack.Answer{}, err
	}
	body, err := p.InvokeRaw(payload, timeout)
	if err != nil {
		return stack.Answer{}, err
	}
	return stack.Decode(body)
}

// InvokeRaw is Invoke for an event that is any bytes.
func (p *Process) InvokeRaw(payload []byte, timeout time.Duration) ([]byte, error) {
	var id [16]byte
	_, _ = rand.Read(id[:])
	i := &invocation{hex.EncodeToString(id[:]), payload, time.Now().Add(timeout), make(chan []byte, 1)}
	late := time.NewTimer(timeout)
	defer late.Stop()
	select {
	case p.events <- i:
	case <-p.ended:
		return nil, ErrEnded
	case <-late.C:
		p.Kill()
		return nil, ErrTimeout
	}
	select {
	case body := <-i.answer:
		return body, nil
	case <-p.ended:
		return nil, ErrEnded
	case <-late.C:
		p.Kill()
		return nil, ErrTimeout
	}
}

// api is the Lambda Runtime API, version 2018-06-01: the function asks for its
// next event, and posts the answer.
func (p *Process) api() http.Handler {
	const prefix = "/2018-06-01/runtime/"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+prefix+"invocation/next", func(w http.ResponseWriter, r *http.Request) {
		p.once.Do(func() { close(p.ready) })
		select {
		case i := <-p.events:
			p.mu.Lock()
			p.current = i
			p.mu.Unlock()
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", i.id)
			w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(i.deadline.UnixMilli(), 10))
			w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:000000000000:function:attacked")
			_, _ = w.Write(i.payload)
		case <-r.Context().Done():
		}
	})
	answered := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		p.mu.Lock()
		i := p.current
		p.mu.Unlock()
		if err == nil && i != nil && i.id == r.PathValue("id") {
			i.answer <- body
		}
		w.WriteHeader(http.StatusAccepted)
	}
	mux.HandleFunc("POST "+prefix+"invocation/{id}/response", answered)
	mux.HandleFunc("POST "+prefix+"invocation/{id}/error", answered)
	return mux
}

// output keeps the end of what a process writes.
type output struct {
	mu   sync.Mutex
	text []byte
}

const maxOutput = 8 << 20

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, b...)
	if len(o.text) > maxOutput {
		o.text = append([]byte(nil), o.text[len(o.text)-maxOutput/2:]...)
	}
	return len(b), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}
