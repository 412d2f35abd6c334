package main

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/guptarohit/asciigraph"

	"fitvault/shared/reading"
	"fitvault/shared/vault"
)

const (
	tableRows   = 12 // of data points
	chartWidth  = 64 // columns
	chartHeight = 10 // rows
)

// table sets rows of cells in columns.
func table(rows ...[]string) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush() // a strings.Builder takes everything
	return b.String()
}

// pointsTable shows the first data points, and says how many follow.
func pointsTable(all []reading.Reading) string {
	rows := [][]string{{"start", "type", "value", "unit"}}
	for i, r := range all {
		if i == tableRows {
			rows = append(rows, []string{fmt.Sprintf("… and %d more", len(all)-i)})
			break
		}
		// In omh schemas the member that holds the value is named for the type.
		member := strings.ReplaceAll(r.Type.Name, "-", "_")
		value, _ := r.Point.At("body", member, "value")
		unit, _ := r.Point.At("body", member, "unit")
		rows = append(rows, []string{r.Start.Format("15:04:05 -07:00"), r.Type.String(), value.Text(), unit.Text()})
	}
	return table(rows...)
}

func entryTable(e entry) string {
	return table(
		[]string{"id", e.ID},
		[]string{"sport", e.Sport},
		[]string{"start", e.Start.UTC().Format("2006-01-02 15:04:05 UTC")},
		[]string{"lasted", e.End.Sub(e.Start).Round(time.Second).String()},
		[]string{"trackpoints", strconv.Itoa(e.Trackpoints)},
		[]string{"original", grouped(e.Size) + " bytes, " + e.MediaType},
	)
}

// heartRateChart draws the heart rate over the minutes since the first trackpoint that has one.
func heartRateChart(points []trackpoint, colour bool) string {
	var minutes, rates []float64
	var start time.Time
	for _, p := range points {
		if p.HeartRate == nil {
			continue
		}
		if len(rates) == 0 {
			start = p.Time
		}
		minute := p.Time.Sub(start).Minutes()
		if len(minutes) > 0 && minute <= minutes[len(minutes)-1] {
			continue // a device that set its clock back
		}
		minutes, rates = append(minutes, minute), append(rates, *p.HeartRate)
	}
	if len(rates) < 2 {
		return "There is none in this recording."
	}
	last := minutes[len(minutes)-1]
	line := asciigraph.Default
	if colour {
		line = asciigraph.Red
	}
	return asciigraph.Plot(evenly(minutes, rates, chartWidth),
		asciigraph.SeriesColors(line), asciigraph.Height(chartHeight), asciigraph.Precision(0),
		asciigraph.XAxisRange(0, last), asciigraph.XAxisTickCount(5),
		asciigraph.XAxisValueFormatter(func(m float64) string { return fmt.Sprintf("%.0f min", m) }))
}

// evenly resamples values at rising times to n values at even times, linearly:
// devices record when something changes, and the chart's axis is time.
func evenly(times, values []float64, n int) []float64 {
	out := make([]float64, n)
	at, last := 0, len(times)-1
	for i := range out {
		t := times[0] + (times[last]-times[0])*float64(i)/float64(n-1)
		for at < last-1 && times[at+1] < t {
			at++
		}
		part := (t - times[at]) / (times[at+1] - times[at])
		out[i] = values[at] + part*(values[at+1]-values[at])
	}
	return out
}

// dump shows the first bytes of a sealed piece.
func dump(sealed []byte, n int) string {
	n = min(n, len(sealed))
	text := hex.Dump(sealed[:n])
	if rest := len(sealed) - n; rest > 0 {
		text += fmt.Sprintf("… and %s bytes more\n", grouped(rest))
	}
	return text
}

// legend says what the bytes of a sealed piece are: the part of it that anybody
// can read (package vault, "Format of a sealed piece").
func legend(sealed []byte, plaintext string) (string, error) {
	h, err := vault.Inspect(sealed)
	if err != nil {
		return "", advice{"a sealed piece has a form that is not known here", deployAgain, nil}
	}
	rows := [][]string{{"bytes", "what they are"}}
	from := 0
	for _, part := range []struct {
		size int
		what string
	}{
		{2, "version and suite: HPKE with P-256, then AES-256-GCM"},
		{1 + len(h.KeyID), "id of " + owner + "'s data key; its private half is wrapped by KMS, for readers only"},
		{1 + len(h.WriterKeyID), "id of the writer key, which is in the block's key too: without it nothing is forged"},
		{65, "HPKE encapsulation"},
		{12, "nonce"},
		{len(sealed), "ciphertext and tag: " + plaintext},
	} {
		to := min(from+part.size, len(sealed))
		rows = append(rows, []string{fmt.Sprintf("%d–%d", from, to-1), part.what})
		from = to
	}
	return table(rows...), nil
}

// grouped writes a number with commas between thousands.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
