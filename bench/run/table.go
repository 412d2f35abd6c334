package main

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// row is one line of the table: a figure of one input, from the figures of all
// benchmarks. cells returns false where one of them did not run.
type row struct {
	figure, input string
	cells         func(all map[string]figures) (cells, bool)
}

// cells are the rest of a line. An aim of 0 is none; limit is of ours itself.
type cells struct {
	ours, against string
	ratio         float64 // 0: there is nothing to hold it against
	spread        string
	aim           float64 // of the ratio
	limit         float64 // of value
	value         float64 // ours, as limit counts it
	unit          string  // of limit
}

// rows is the table, line by line.
var rows = func() (all []row) {
	add := func(figure, input string, f func(all map[string]figures) (cells, bool)) {
		all = append(all, row{figure, input, f})
	}
	cpu := func(figure, benchmark, against string, aims map[string]float64, inputs ...string) {
		for _, input := range inputs {
			add(figure, input, func(all map[string]figures) (cells, bool) {
				f, ok := all[benchmark+"/"+input]
				return cells{ours: micro(f["ours-µs"]), against: micro(f["theirs-µs"]) + " " + against, ratio: f["ratio"], spread: spread(f), aim: aims[input]}, ok
			})
		}
	}
	cpu("decode, validate, pack, seal: CPU", "Intake", "json.Unmarshal", map[string]float64{"series": 0.5, "points": 0.5}, "series", "points", "sync")
	cpu("warm handler, event to answer: CPU", "Handler", "json.Unmarshal", map[string]float64{"series": 1, "points": 1, "sync": 1}, "series", "points", "sync")
	cpu("the same with Lambda's own JSON: CPU", "Invocation", "json.Unmarshal", nil, "series", "points", "sync")
	for _, who := range []string{"owner", "caregiver", "app", "caregiver-by-an-app", "20-grants"} {
		add("a decision: CPU", who, func(all map[string]figures) (cells, bool) {
			f, ok := all["Decide/"+who]
			return cells{ours: micro(f["ours-µs"]), against: micro(f["theirs-µs"]) + " json.Unmarshal", ratio: f["ratio"], spread: spread(f), limit: 5, value: f["ours-µs"], unit: " µs"}, ok
		})
	}
	cpu("all checks of a request: CPU", "Checks", "the warm handler", map[string]float64{"series": 0.2, "points": 0.2, "sync": 0.2}, "series", "points", "sync")
	cpu("XML intake of 2 MB: CPU", "XML", "xml.Unmarshal", map[string]float64{"tcx": 0.3}, "tcx")

	for _, kind := range []struct {
		figure string
		items  []string
		limits map[string]float64
	}{
		{"bytes stored a reading, all in", []string{"blocks-B", "manifest-B", "event-B"}, map[string]float64{"series": 1.2, "points": 20}},
		{"of these, what stays", []string{"blocks-B"}, nil},
	} {
		for _, input := range []string{"series", "points", "sync"} {
			add(kind.figure, input, func(all map[string]figures) (cells, bool) {
				f, stored := all["Stored/"+input]
				rival, ok := all["Postgres/"+input]
				bytes := 0.0
				for _, item := range kind.items {
					bytes += f[item] / f["readings"]
				}
				c := cells{ours: fmt.Sprintf("%.2f B", bytes), against: fmt.Sprintf("%.0f B PostgreSQL", rival["bytes"]), ratio: bytes / rival["bytes"]}
				if limit := kind.limits[input]; limit > 0 {
					c.aim, c.limit, c.value, c.unit = 0.1, limit, bytes, " B"
				}
				return c, stored && ok
			})
		}
	}
	for _, input := range []string{"series", "points", "sync"} {
		limit := map[string]float64{"series": 3000, "points": 25000}[input]
		add("write units per million readings", input, func(all map[string]figures) (cells, bool) {
			f, ok := all["Stored/"+input]
			units := f["units"] / f["readings"] * 1e6
			return cells{ours: count(units), against: "1,000,000 a row each", ratio: units / 1e6, limit: limit, value: units}, ok
		})
	}
	for _, input := range []string{"synced", "eager"} {
		add("the limiter's write units a request", input, func(all map[string]figures) (cells, bool) {
			f, ok := all["Limiter/"+input]
			return cells{ours: fmt.Sprintf("%.2f (%.0f %% admitted)", f["units"], 100*f["admitted"]), limit: 1, value: f["units"]}, ok
		})
	}
	for _, input := range []string{"series", "points", "sync"} {
		add("KMS calls per million readings, intake", input, func(all map[string]figures) (cells, bool) {
			f, ok := all["KMS/"+input]
			return cells{ours: fmt.Sprintf("%.1f", f["intake"]), against: count(f["a-batch"]) + " one a batch", ratio: f["intake"] / f["a-batch"], limit: 20, value: f["intake"]}, ok
		})
	}
	for _, input := range []string{"series", "points", "sync"} {
		add("KMS calls, intake + projection + a read a day", input, func(all map[string]figures) (cells, bool) {
			f, ok := all["KMS/"+input]
			life := f["intake"] + f["projection"] + f["reads"]
			return cells{ours: fmt.Sprintf("%s (projection %s)", count(life), count(f["projection"])), against: count(f["a-batch"]) + " one a batch", ratio: life / f["a-batch"]}, ok
		})
	}
	for _, input := range []string{"96-syncs", "2-batches"} {
		add("one day of 1,440 points of 3 types read", "day in "+strings.Replace(input, "-", " ", 1), func(all map[string]figures) (cells, bool) {
			f, ok := all["Day/"+input]
			return cells{ours: fmt.Sprintf("%.0f query a page, %.0f pages, %.0f read units each", f["queries"]/f["pages"], f["pages"], f["read-units"]/f["pages"]),
				limit: 1, value: f["queries"], unit: " query"}, ok
		})
	}
	for _, r := range []struct {
		figure, ours, theirs, unit, against string
		limit                               float64
	}{
		{"audit log: stored an event", "stored", "plain", "B", "JSON", 0},
		{"audit log: CPU to sequence an event", "sequencing", "plain", "µs", "to marshal and hash it", 0},
		{"audit log: CPU to verify an event", "verifying", "hashing", "µs", "to hash the objects", 5},
	} {
		add(r.figure, "1,000,000 events", func(all map[string]figures) (cells, bool) {
			f, ok := all["AuditLog"]
			ours, theirs := f[r.ours+"-"+r.unit], f[r.theirs+"-"+r.unit]
			return cells{ours: fmt.Sprintf("%.3g %s", ours, r.unit), against: fmt.Sprintf("%.3g %s %s", theirs, r.unit, r.against), ratio: ours / theirs,
				limit: r.limit, value: ours, unit: " " + r.unit}, ok
		})
	}
	add("audit log: CPU to prove an event", "1,000,000 events", func(all map[string]figures) (cells, bool) {
		f, ok := all["AuditLog"]
		return cells{ours: fmt.Sprintf("%.3g µs, %.1f tiles read", f["proof-µs"], f["proof-reads"])}, ok
	})
	add("cold start to first /next", "ingest", func(all map[string]figures) (cells, bool) {
		f, ok := all["ColdStart/ingest"]
		return cells{ours: fmt.Sprintf("%.1f ms", f["ours-ms"]), against: fmt.Sprintf("%.1f ms hello-world", f["theirs-ms"]), ratio: f["ratio"], spread: spread(f), aim: 3}, ok
	})
	add("peak memory of ingest taking 32 MiB of XML", "tcx+xml+gzip", func(all map[string]figures) (cells, bool) {
		f, ok := all["Memory/tcx"]
		return cells{ours: fmt.Sprintf("%.1f MiB", f["peak-B"]/(1<<20)), against: fmt.Sprintf("%.1f MiB of XML", f["document-B"]/(1<<20)), ratio: f["peak-B"] / f["document-B"], aim: 1}, ok
	})
	for _, request := range []string{"read", "sync"} {
		for _, clients := range []string{"1", "16"} {
			for _, q := range []string{"p50", "p95"} {
				add("local API, warm, "+clients+" client"+map[string]string{"1": "", "16": "s"}[clients]+", "+q, request, func(all map[string]figures) (cells, bool) {
					f, ok := all["API/"+request+"-"+clients+"-clients"]
					return cells{ours: fmt.Sprintf("%.0f ms", f["ours-"+q+"-ms"]), against: fmt.Sprintf("%.0f ms hello-world", f["theirs-"+q+"-ms"]), ratio: f["ratio-"+q], aim: 1.5}, ok
				})
			}
		}
	}
	return all
}()

// met says whether all aims of a line hold.
func (c cells) met() string {
	switch {
	case c.aim == 0 && c.limit == 0:
		return "–"
	case c.aim > 0 && c.ratio > c.aim || c.limit > 0 && c.value > c.limit:
		return "no"
	}
	return "yes"
}

func (c cells) aims() string {
	var aims []string
	if c.limit > 0 {
		aims = append(aims, "≤ "+count(c.limit)+c.unit)
	}
	if c.aim > 0 {
		aims = append(aims, fmt.Sprintf("ratio ≤ %g", c.aim))
	}
	if aims == nil {
		return "–"
	}
	return strings.Join(aims, ", ")
}

// render is the table in Markdown, its columns aligned; without the lines that
// have not been measured where only some were meant to be.
func render(rows []row, all map[string]figures, some bool) string {
	lines := [][]string{{"figure", "input", "ours", "against", "ratio", "aim", "met"}}
	for _, r := range rows {
		line := []string{r.figure, r.input, "not yet", "", "", "", "no"}
		if c, ok := r.cells(all); ok {
			ratio := "–"
			if c.ratio > 0 {
				ratio = number(c.ratio) + c.spread
			}
			against := c.against
			if against == "" {
				against = "–"
			}
			line = []string{r.figure, r.input, c.ours, against, ratio, c.aims(), c.met()}
		} else if some {
			continue
		}
		lines = append(lines, line)
	}
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for n, line := range lines {
		for i, cell := range line {
			b.WriteString("| " + cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+1))
		}
		b.WriteString("|\n")
		if n == 0 {
			for _, width := range widths {
				b.WriteString("|" + strings.Repeat("-", width+2))
			}
			b.WriteString("|\n")
		}
	}
	return b.String()
}

// number has three significant digits.
func number(v float64) string {
	digits := 2 - int(math.Floor(math.Log10(v)))
	return fmt.Sprintf("%.*f", max(0, digits), v)
}

// count has commas between thousands, and one decimal where it is small.
func count(v float64) string {
	if v < 100 && v != math.Trunc(v) {
		return fmt.Sprintf("%.1f", v)
	}
	text := fmt.Sprintf("%.0f", v)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

func micro(µs float64) string { return number(µs/1e3) + " ms" }

func spread(f figures) string {
	return fmt.Sprintf(" (%s–%s)", number(f["ratio-min"]), number(f["ratio-max"]))
}
