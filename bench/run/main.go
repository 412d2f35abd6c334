// Command run runs all benchmarks and prints one table of ratios: fitvault, what
// people would use instead, and the aim. `make bench` calls it in the checkout,
// on the local stack that is up. An argument is a pattern of benchmarks, as
// `go test -bench` has it: only these run then, and results.md stays as it is.
package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

func main() {
	began, pattern := time.Now(), strings.Join(os.Args[1:], "")
	found, err := measure(pattern, os.Stderr)
	fail(err)
	table := render(rows, found, pattern != "")
	fmt.Print(table)
	fmt.Fprintf(os.Stderr, "measured in %.0f s\n", time.Since(began).Seconds())
	if pattern == "" {
		fail(os.WriteFile("bench/results.md", []byte(fmt.Sprintf("Measured on %s: %s.\n\n%s", began.UTC().Format(time.DateOnly), machine(), table)), 0o644))
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

var processor = regexp.MustCompile(`(?m)^model name\s*: (.*)$`)

// machine is what the figures are of.
func machine() string {
	model := "unknown processor"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if m := processor.FindSubmatch(info); m != nil {
			model = string(m[1])
		}
	}
	return fmt.Sprintf("%s/%s, %s, %d processors, %s", runtime.GOOS, runtime.GOARCH, model, runtime.NumCPU(), runtime.Version())
}

// packages have the benchmarks; a package's run one after another.
var packages = []string{"./bench", "./functions/ingest", "./functions/readings"}

// figures are those of one benchmark by name, and of all by the benchmark's name.
type figures = map[string]float64

var line = regexp.MustCompile(`^Benchmark(\S+?)(-\d+)?\s+\d+\s+(.*)$`)

// measure runs the benchmarks as the functions are built, with the Go FIPS module.
func measure(pattern string, progress io.Writer) (map[string]figures, error) {
	command := exec.Command("go", append([]string{"test", "-run", "^$", "-bench", cmp.Or(pattern, "."), "-benchtime", "1x", "-timeout", "20m", "-v"}, packages...)...)
	command.Env = append(os.Environ(), "GOFIPS140=v1.0.0", "CI=true") // without its stack a benchmark fails
	command.Stderr = progress
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	found := map[string]figures{}
	var said strings.Builder
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		said.WriteString(lines.Text() + "\n")
		if m := line.FindStringSubmatch(lines.Text()); m != nil {
			found[m[1]] = parse(m[3])
			fmt.Fprintln(progress, "  +", m[1])
		}
	}
	if err := command.Wait(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, said.String())
	}
	return found, nil
}

// parse reads `12.3 ours-µs  4 ratio`.
func parse(text string) figures {
	f, fields := figures{}, strings.Fields(text)
	for i := 0; i+1 < len(fields); i += 2 {
		if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
			f[fields[i+1]] = v
		}
	}
	return f
}
