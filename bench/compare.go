package bench

import (
	"slices"
	"syscall"
	"testing"
	"time"
)

// rounds is how often both sides of a comparison take their turn, and turn is
// how long one takes at least.
const (
	rounds = 15
	turn   = 60 * time.Millisecond
)

// CompareCPU runs ours and theirs in turns and reports the processor time that
// one call of each takes, of all threads, so that a busy machine and the garbage
// collector's own threads do not fall out of it: "ours" and "theirs" in µs
// (medians), and the ratio of the two of each round (median, least, greatest).
func CompareCPU(b *testing.B, ours, theirs func()) {
	b.Helper()
	n, m := calls(ours), calls(theirs)
	var us, them []float64
	for range rounds {
		us = append(us, cpu(ours, n))
		them = append(them, cpu(theirs, m))
	}
	ReportRatio(b, "µs", us, them)
}

// ReportRatio reports what rounds of two sides gave: the medians, and of the
// rounds' ratios the median, the least and the greatest.
func ReportRatio(b *testing.B, unit string, ours, theirs []float64) {
	ratios := make([]float64, len(ours))
	for i := range ours {
		ratios[i] = ours[i] / theirs[i]
	}
	Report(b, map[string]float64{"ours-" + unit: Median(ours), "theirs-" + unit: Median(theirs),
		"ratio": Median(ratios), "ratio-min": slices.Min(ratios), "ratio-max": slices.Max(ratios)})
}

// Report reports figures, and not the time that it took to find them.
func Report(b *testing.B, figures map[string]float64) {
	for name, figure := range figures {
		b.ReportMetric(figure, name)
	}
	b.ReportMetric(0, "ns/op")
}

// Median is the middle of values, which it leaves as they are.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// calls is how many calls of f one turn takes.
func calls(f func()) int {
	f() // warm
	for n := 1; ; n *= 2 {
		if took := cpu(f, n) * float64(n); took >= turn.Seconds()*1e6 {
			return n
		}
	}
}

// CPU is the processor time of one call of f.
func CPU(f func()) time.Duration {
	before := used()
	f()
	return used() - before
}

// cpu is the processor time of one of n calls of f in µs.
func cpu(f func(), n int) float64 {
	before := used()
	for range n {
		f()
	}
	return float64((used() - before).Microseconds()) / float64(n)
}

// used is the processor time of this process so far, user's and system's.
func used() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
