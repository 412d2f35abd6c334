package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/auditlog"
	"fitvault/shared/openmhealth"
)

// What the demo sends passes intake's own rules.
func TestMorningIsValid(t *testing.T) {
	batch, err := openmhealth.Decode(morning, testUser, openmhealth.Intake)
	require.NoError(t, err)
	require.Len(t, batch.Records, len(batch.Results), "all accepted")
	for _, r := range batch.Records {
		require.Equal(t, "2022-07-16", r.Start.Format(time.DateOnly), "one day, so one block")
	}
}

func TestPointsTable(t *testing.T) {
	all, err := readings(morning)
	require.NoError(t, err)
	require.Equal(t, `start             type             value   unit
07:00:11 +02:00   omh:heart-rate   52      beats/min
07:15:27 +02:00   omh:heart-rate   51      beats/min
`, pointsTable(all[:2]))
	require.Len(t, strings.Split(strings.TrimSpace(pointsTable(all)), "\n"), 1+tableRows+1)
}

func TestHeartRateChart(t *testing.T) {
	start := time.Date(2022, 7, 16, 16, 0, 0, 0, time.UTC)
	point := func(minute int, rate float64) trackpoint {
		return trackpoint{Time: start.Add(time.Duration(minute) * time.Minute), HeartRate: &rate}
	}
	points := []trackpoint{
		{Time: start.Add(-time.Hour)}, // without heart rate: the chart begins later
		point(0, 60), point(30, 120), point(10, 200), point(60, 60),
	}
	chart := heartRateChart(points, false)
	require.Contains(t, chart, " 119 ┤")
	require.Contains(t, chart, "  60 ┼")
	require.Contains(t, chart, "60 min")
	require.NotContains(t, chart, "200", "a clock that was set back is left out")
	require.NotContains(t, chart, "\x1b")
	require.Contains(t, heartRateChart(points, true), "\x1b[")

	for _, few := range [][]trackpoint{nil, {point(0, 60)}, {{Time: start}, {Time: start}}} {
		require.Equal(t, "There is none in this recording.", heartRateChart(few, false))
	}
}

func TestEvenly(t *testing.T) {
	require.Equal(t, []float64{0, 5, 10, 10, 10}, evenly([]float64{0, 2, 3, 4}, []float64{0, 10, 10, 10}, 5))
	require.Equal(t, []float64{60, 90, 120}, evenly([]float64{0, 1}, []float64{60, 120}, 3))
}

func TestDump(t *testing.T) {
	require.Equal(t, "00000000  01 01 08 64                                       |...d|\n… and 1,018 bytes more\n", dump(sealedPiece(1000), 4))
	require.Equal(t, "00000000  01                                                |.|\n", dump([]byte{1}, 4))
}

func TestLegend(t *testing.T) {
	text, err := legend(sealedPiece(1000), "the readings")
	require.NoError(t, err)
	for _, line := range []string{
		"0–1       version and suite",
		"2–10      id of ada's data key",
		"11–21     id of the writer key",
		"22–86     HPKE encapsulation",
		"87–98     nonce",
		"99–1021   ciphertext and tag: the readings",
	} {
		require.Contains(t, text, line)
	}
	_, err = legend([]byte("no piece"), "")
	require.ErrorContains(t, err, "a form that is not known here")
	require.ErrorContains(t, err, "make up")
}

func TestEventTable(t *testing.T) {
	at := time.Date(2026, 5, 4, 7, 25, 0, 500e6, time.UTC)
	require.Equal(t, `time           action          outcome             who               records   reasons
07:25:00.500   readings.read   allowed             ada               34        owner-reads
07:25:00.500   readings.read   refused forbidden   ada, by the app             
07:25:00.500   readings.read   refused not-found   somebody                    
`, eventTable([]auditlog.Event{
		{Time: at, Action: "readings.read", Outcome: "allowed", Caller: testUser, Records: 34, Reasons: []string{"owner-reads"}},
		{Time: at, Action: "readings.read", Outcome: "refused", Kind: "forbidden", Caller: testUser, Client: "thirdparty"},
		{Time: at, Action: "readings.read", Outcome: "refused", Kind: "not-found", Caller: "somebody"},
	}, map[string]string{testUser: "ada"}, "thirdparty"))
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 68111: "68,111", 4500000: "4,500,000"} {
		require.Equal(t, want, grouped(n))
	}
}

func TestStep(t *testing.T) {
	var out bytes.Buffer
	clock := time.Unix(0, 0)
	s := &screen{out: &out, now: func() time.Time { clock = clock.Add(1500 * time.Millisecond); return clock }}
	require.NoError(t, s.step("read", func() (string, error) { return "three", nil }))
	require.Equal(t, fmt.Sprintf("  ✓ read                 %-56s    1.5 s\n", "three"), out.String())

	out.Reset()
	s.terminal, s.colour = true, true
	failure := errors.New("failed")
	require.ErrorIs(t, s.step("read", func() (string, error) { return "", failure }), failure)
	require.True(t, strings.HasPrefix(out.String(), "  … read\r\x1b[K  \x1b[31m✗\x1b[0m read "), "its name stands there while it goes on")
}

func TestColourOnlyOnTerminals(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer file.Close()
	s := newScreen(file)
	require.False(t, s.terminal)
	require.False(t, s.colour)

	device, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0) // a character device, as a terminal is
	require.NoError(t, err)
	defer device.Close()
	t.Setenv("NO_COLOR", "")
	require.True(t, newScreen(device).colour)
	t.Setenv("NO_COLOR", "1")
	require.False(t, newScreen(device).colour)
}

// A stray %v of what the demo holds prints neither tokens nor readings.
func TestNothingPrintsByAccident(t *testing.T) {
	rate := 71.0
	for _, v := range []any{stack{APIKey: "app-key"}, demo{user: "ada"}, entry{Sport: "Running"}, trackpoint{HeartRate: &rate}} {
		require.Equal(t, "[redacted]", fmt.Sprintf("%+v", v))
	}
}
