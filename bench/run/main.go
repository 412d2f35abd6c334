// Command run runs all benchmarks and prints one table of ratios: fitvault, what
// people would use instead, and the aim. `make bench` calls it in the checkout,
// on the local stack that is up.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

func main() {
	began := time.Now()
	found, err := measure(os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	table := render(rows, found)
	fmt.Print(table)
	fmt.Fprintf(os.Stderr, "measured in %.0f s\n", time.Since(began).Seconds())
	if err := os.WriteFile("bench/results.md", []byte(table), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// packages have the benchmarks; a package's run one after another.
var packages = []string{"./bench", "./functions/ingest", "./functions/readings"}

// figures are those of one benchmark by name, and of all by the benchmark's name.
type figures = map[string]float64

var line = regexp.MustCompile(`^Benchmark(\S+?)(-\d+)?\s+\d+\s+(.*)$`)

// measure runs the benchmarks as the functions are built, with the Go FIPS module.
func measure(progress io.Writer) (map[string]figures, error) {
	command := exec.Command("go", append([]string{"test", "-run", "^$", "-bench", ".", "-benchtime", "1x", "-timeout", "20m", "-v"}, packages...)...)
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
