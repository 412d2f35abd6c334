// Package days holds what GET days answers against a recount of what GET readings
// and GET recordings answer, whatever happens in between.
package days

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
)

// patience is for days to become right: the window, a retry of the stream's poller
// that waits for up to a minute after a failure, and a machine with other work.
const patience = 3 * time.Minute

// stat is one item of GET days; nil numbers where there is a count only.
type stat struct {
	count       int
	least, most *big.Rat
	sum         *big.Rat
	mean        string // as it is shown
}

// number reads a JSON number exactly.
func number(t testing.TB, n json.Number) *big.Rat {
	if n == "" {
		return nil
	}
	r, ok := new(big.Rat).SetString(n.String())
	require.True(t, ok)
	return r
}

// show is a stat's text, with numbers as fractions.
func (s stat) show() string {
	if s.sum == nil {
		return fmt.Sprint(s.count)
	}
	return fmt.Sprint(s.count, " ", s.least, " ", s.most, " ", s.sum, " ", s.mean)
}

// get reads a list to its end.
func get(t testing.TB, p *stack.Person, path string, query url.Values, each func(item json.RawMessage)) {
	t.Helper()
	query = maps.Clone(query)
	for {
		a := p.Do(t, http.MethodGet, path+"?"+query.Encode(), nil)
		require.Equal(t, http.StatusOK, a.Status, string(a.Body))
		var page struct {
			Items []json.RawMessage
			Next  string `json:"next_page_token"`
		}
		a.JSON(t, &page)
		for _, item := range page.Items {
			each(item)
		}
		if page.Next == "" {
			return
		}
		query.Set("page_token", page.Next)
	}
}

// answered is what GET days answers, by day, type and unit.
func answered(t testing.TB, p *stack.Person, from, to string) map[string]string {
	t.Helper()
	found, last := map[string]string{}, ""
	get(t, p, "/users/me/days", url.Values{"from": {from}, "to": {to}, "page_size": {"7"}}, func(item json.RawMessage) {
		var i struct {
			Day, Type, Unit     string
			Count               int
			Min, Max, Mean, Sum json.Number
		}
		require.NoError(t, json.Unmarshal(item, &i))
		key := i.Day + " " + i.Type + " " + i.Unit
		require.Greater(t, key, last, "in order, each once")
		last = key
		found[key] = stat{count: i.Count, least: number(t, i.Min), most: number(t, i.Max), sum: number(t, i.Sum), mean: i.Mean.String()}.show()
	})
	return found
}

// members is where a type's number is, written out by hand.
var members = map[string]string{"heart-rate": "heart_rate", "body-weight": "body_weight", "step-count": "step_count", "sleep-duration": "sleep_duration"}

// recounted is what GET days should answer, from the lists of readings and
// recordings.
func recounted(t testing.TB, p *stack.Person) map[string]string {
	t.Helper()
	stats := map[string]*stat{}
	count := func(day, typ, unit string, value *big.Rat) {
		key := day + " " + typ + " " + unit
		s := stats[key]
		if s == nil {
			s = &stat{}
			stats[key] = s
		}
		s.count++
		if value == nil {
			return
		}
		if s.sum == nil {
			s.least, s.most, s.sum = value, value, new(big.Rat)
		}
		s.sum = new(big.Rat).Add(s.sum, value)
		if value.Cmp(s.least) < 0 {
			s.least = value
		}
		if value.Cmp(s.most) > 0 {
			s.most = value
		}
	}
	get(t, p, "/users/me/readings", url.Values{"page_size": {"1000"}}, func(item json.RawMessage) {
		var point struct {
			Header struct {
				Schema struct{ Namespace, Name string } `json:"schema_id"`
			}
			Body map[string]json.RawMessage
		}
		require.NoError(t, json.Unmarshal(item, &point))
		var frame struct {
			At       string `json:"date_time"`
			Interval struct {
				Start string `json:"start_date_time"`
			} `json:"time_interval"`
		}
		require.NoError(t, json.Unmarshal(point.Body["effective_time_frame"], &frame))
		start := frame.At + frame.Interval.Start
		var value struct {
			Value json.Number
			Unit  string
		}
		text, ok := point.Body[members[point.Header.Schema.Name]]
		if ok && json.Unmarshal(text, &value) != nil { // steps of old schemas
			require.NoError(t, json.Unmarshal(text, &value.Value))
			value.Unit = "steps"
		}
		count(start[:len("2026-05-04")], point.Header.Schema.Namespace+":"+point.Header.Schema.Name, value.Unit, number(t, value.Value))
	})
	var recordings []string
	get(t, p, "/users/me/recordings", url.Values{}, func(item json.RawMessage) {
		var entry struct{ ID string }
		require.NoError(t, json.Unmarshal(item, &entry))
		recordings = append(recordings, entry.ID)
	})
	for _, id := range recordings {
		query := url.Values{"page_size": {"1000"}}
		for {
			a := p.Do(t, http.MethodGet, "/users/me/recordings/"+id+"?"+query.Encode(), nil)
			require.Equal(t, http.StatusOK, a.Status)
			var page struct {
				Trackpoints []struct{ Time string }
				Next        string `json:"next_page_token"`
			}
			a.JSON(t, &page)
			for _, point := range page.Trackpoints {
				count(point.Time[:len("2026-05-04")], "fitvault:trackpoint", "", nil)
			}
			if page.Next == "" {
				break
			}
			query.Set("page_token", page.Next)
		}
	}
	texts := map[string]string{}
	for key, s := range stats {
		if s.sum != nil {
			s.mean = rounded(new(big.Rat).Quo(s.sum, big.NewRat(int64(s.count), 1)))
		}
		texts[key] = s.show()
	}
	return texts
}

// rounded is a number with six decimals at most, half to even.
func rounded(r *big.Rat) string {
	million := big.NewRat(1_000_000, 1)
	scaled := new(big.Rat).Mul(r, million)
	floor := new(big.Int).Div(scaled.Num(), scaled.Denom())
	rest := new(big.Rat).Sub(scaled, new(big.Rat).SetInt(floor))
	if c := rest.Cmp(big.NewRat(1, 2)); c > 0 || c == 0 && floor.Bit(0) == 1 {
		floor.Add(floor, big.NewInt(1))
	}
	text := new(big.Rat).Quo(new(big.Rat).SetInt(floor), million).FloatString(6)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

// requireRight waits until days are what a recount gives, and returns how long
// that took.
func requireRight(t testing.TB, p *stack.Person, from, to string) time.Duration {
	t.Helper()
	began := time.Now()
	want := recounted(t, p)
	for {
		got := answered(t, p, from, to)
		if maps.Equal(want, got) {
			return time.Since(began)
		}
		if time.Since(began) > patience {
			require.Equal(t, want, got)
		}
		time.Sleep(time.Second / 2) // the window is a second
	}
}

func send(t testing.TB, p *stack.Person, points ...string) {
	t.Helper()
	for chunk := range slices.Chunk(points, 500) {
		a := p.Do(t, http.MethodPost, "/users/me/readings", []byte("["+strings.Join(chunk, ",")+"]"), "Content-Type", "application/json")
		require.Equal(t, http.StatusOK, a.Status, string(a.Body))
		require.NotContains(t, string(a.Body), "invalid")
	}
}

// point is a data point of a type with a frame and a value.
func point(id, typ, version, start, value string) string {
	frame := fmt.Sprintf(`{"date_time":%q}`, start)
	if typ == "step-count" || typ == "sleep-duration" {
		frame = fmt.Sprintf(`{"time_interval":{"start_date_time":%q,"duration":{"value":1,"unit":"h"}}}`, start)
	}
	return fmt.Sprintf(`{"header":{"id":%q,"creation_date_time":"2026-05-04T07:25:00+02:00","schema_id":{"namespace":"omh","name":%q,"version":%q}},`+
		`"body":{%q:%s,"effective_time_frame":%s}}`, id, typ, version, members[typ], value, frame)
}

// run is a recording with trackpoints at these times.
func run(times ...string) []byte {
	var points strings.Builder
	for _, at := range times {
		points.WriteString(`<Trackpoint><Time>` + at + `</Time></Trackpoint>`)
	}
	return []byte(`<?xml version="1.0" encoding="UTF-8"?>
<TrainingCenterDatabase xmlns="http://www.garmin.com/xmlschemas/TrainingCenterDatabase/v2"><Activities><Activity Sport="Running">
<Id>` + times[0] + `</Id><Lap StartTime="` + times[0] + `"><TotalTimeSeconds>60</TotalTimeSeconds><DistanceMeters>200</DistanceMeters>
<Calories>10</Calories><Intensity>Active</Intensity><TriggerMethod>Manual</TriggerMethod><Track>` + points.String() + `</Track></Lap></Activity></Activities></TrainingCenterDatabase>`)
}

func record(t testing.TB, p *stack.Person, times ...string) {
	t.Helper()
	a := p.Do(t, http.MethodPost, "/users/me/recordings", run(times...), "Content-Type", "application/vnd.garmin.tcx+xml")
	require.Equal(t, http.StatusCreated, a.Status, string(a.Body))
}
