package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRender(t *testing.T) {
	all := map[string]figures{
		"Intake/series":   parse("1850 ours-µs\t 0.4567 ratio\t 0.7 ratio-max\t 0.3 ratio-min\t 4000 theirs-µs"),
		"Stored/points":   {"readings": 1000, "blocks-B": 17000, "manifest-B": 400, "event-B": 600, "units": 19},
		"Postgres/points": {"bytes": 300},
		"KMS/sync":        {"a-batch": 5128, "intake": 21, "projection": 5000, "reads": 100},
	}
	lines := map[string]string{}
	for _, r := range rows {
		lines[r.figure+", "+r.input] = strings.Join(strings.Fields(render([]row{r}, all, false)), " ")
	}
	for name, want := range map[string]string{
		"decode, validate, pack, seal: CPU, series":           "1.85 ms | 4.00 ms json.Unmarshal | 0.457 (0.300–0.700) | ratio ≤ 0.5 | yes |",
		"decode, validate, pack, seal: CPU, points":           "not yet | | | | no |",
		"bytes stored a reading, all in, points":              "18.00 B | 300 B PostgreSQL | 0.0600 | ≤ 20 B, ratio ≤ 0.1 | yes |",
		"of these, what stays, points":                        "17.00 B | 300 B PostgreSQL | 0.0567 | – | – |",
		"write units per million readings, points":            "19,000 | 1,000,000 a row each | 0.0190 | ≤ 25,000 | yes |",
		"KMS calls per million readings, intake, sync":        "21.0 | 5,128 one a batch | 0.00410 | ≤ 20 | no |",
		"KMS calls, intake + projection + a read a day, sync": "5,121 (projection 5,000) | 5,128 one a batch | 0.999 | – | – |",
	} {
		require.Contains(t, lines[name], want, name)
	}
	require.NotContains(t, render(rows, all, true), "not yet")
}
