package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"fitvault/guard/contract"
	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/days"
	"fitvault/shared/edge"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/fault"
	"fitvault/shared/keyring"
	"fitvault/shared/keyring/keyringtest"
	"fitvault/shared/postgres"
	"fitvault/shared/postgres/postgrestest"
	"fitvault/shared/reading"
)

const deployment = "fitvault"

// world is history over fakes, in the world of edgetest. Ada and Ben have
// pseudonyms.
type world struct {
	*edgetest.World
	guard *edge.Guard
	keys  *keyringtest.Service
	parts postgrestest.Memory
	names map[access.UserID]string
}

func newWorld(t testing.TB) *world {
	w := &world{World: edgetest.New(t), names: map[access.UserID]string{}}
	w.keys = keyringtest.NewService(t, deployment, w.Time)
	for id, subject := range map[access.UserID]string{w.Ada: "ada", w.Ben: "ben"} {
		w.keys.Enrol(t, id.String(), "key-of-"+subject, w.Time, nil)
		w.names[id] = postgrestest.NewPseudonym()
		w.name(t, id, w.names[id])
	}
	h := handler{deployment: deployment, parts: &w.parts, keys: w.keys.Ring(t, w.Now)}
	w.guard = edge.New(w.Config("history"), h.routes()...)
	return w
}

// name gives an owner a pseudonym.
func (w *world) name(t testing.TB, id access.UserID, pseudonym string) {
	documents, err := w.Accounts.Read(t.Context(), access.Keys{User: id})
	require.NoError(t, err)
	documents.Owner.Pseudonym = pseudonym
	w.Accounts.Put(access.Documents{Owner: documents.Owner})
}

// seal is a part of an owner's as project would put it.
func (w *world) seal(t testing.TB, owner access.UserID, name string, version int64, plain []byte) postgres.Part {
	key := map[access.UserID]string{w.Ada: "key-of-ada", w.Ben: "key-of-ben"}[owner]
	sealer, err := w.keys.Ring(t, w.Now).Sealer(t.Context(), owner.String(), key)
	require.NoError(t, err)
	sealed, err := sealer.Seal(days.Place(deployment, owner.String(), name, version), plain)
	require.NoError(t, err)
	p := postgres.Part{Part: name, First: "2026-05-04", Last: "2026-05-04", Sealed: sealed}
	if utc, err := days.ParseDay(name); err == nil {
		first, last := days.Around(utc)
		p.First, p.Last = first.String(), last.String()
	}
	return p
}

// put puts a part, in place of the version that is there.
func (w *world) put(t testing.TB, owner access.UserID, name string, part days.Part) {
	was, err := w.parts.Version(t.Context(), w.names[owner], name)
	require.NoError(t, err)
	plain, err := part.Encode()
	require.NoError(t, err)
	done, err := w.parts.Put(t.Context(), w.names[owner], w.seal(t, owner, name, was+1, plain), was)
	require.NoError(t, err)
	require.True(t, done)
}

// rates is a part of heart rates, given as pairs of start and value.
func rates(t testing.TB, pairs ...string) days.Part {
	var all days.Tally
	for i := 0; i < len(pairs); i += 2 {
		point, err := reading.Decode(jsontext.NewDecoder(strings.NewReader(fmt.Sprintf(
			`{"header":{"id":"a","creation_date_time":"2026-05-04T07:25:00Z","schema_id":{"namespace":"omh","name":"heart-rate","version":"2.0"}},`+
				`"body":{"heart_rate":{"value":%s,"unit":"beats/min"},"effective_time_frame":{"date_time":%q}}}`, pairs[i+1], pairs[i]))), 32)
		require.NoError(t, err)
		r, err := reading.FromPoint(point)
		require.NoError(t, err)
		all.Add(r)
	}
	return all.Part()
}

func trackpoints(t testing.TB, day string, n int) days.Part {
	d, err := days.ParseDay(day)
	require.NoError(t, err)
	var all days.Tally
	all.AddTrackpoints(d, n)
	return all.Part()
}

// get is a request of Ada's about herself; the query comes in pairs.
func (w *world) get(query ...string) events.APIGatewayProxyRequest {
	e := w.Event("ada", http.MethodGet, resource, map[string]string{"user": "me"})
	e.MultiValueQueryStringParameters = map[string][]string{}
	for i := 0; i < len(query); i += 2 {
		e.MultiValueQueryStringParameters[query[i]] = append(e.MultiValueQueryStringParameters[query[i]], query[i+1])
	}
	return e
}

func (w *world) do(t testing.TB, e events.APIGatewayProxyRequest) events.APIGatewayProxyResponse {
	answer, err := w.guard.Handle(context.Background(), e)
	require.NoError(t, err)
	return answer
}

// items requires 200, and returns the items' texts and the next page's token.
func (w *world) items(t testing.TB, e events.APIGatewayProxyRequest) (items []string, next string) {
	t.Helper()
	answer := w.do(t, e)
	require.Equal(t, 200, answer.StatusCode, answer.Body)
	require.Equal(t, "application/json", http.Header(answer.MultiValueHeaders).Get("Content-Type"))
	var page struct {
		Items []json.RawMessage
		Next  string `json:"next_page_token"`
	}
	require.NoError(t, json.Unmarshal([]byte(answer.Body), &page))
	require.NotNil(t, page.Items)
	for _, i := range page.Items {
		items = append(items, string(i))
	}
	return items, page.Next
}

func (w *world) refused(t testing.TB, e events.APIGatewayProxyRequest, kind fault.Kind) events.APIGatewayProxyResponse {
	t.Helper()
	answer := w.do(t, e)
	require.JSONEq(t, fmt.Sprintf(`{"type": %q, "title": %q, "status": %d, "instance": %q}`,
		edge.ProblemTypes+string(kind), kind.Title(), kind.Status(), edgetest.RequestID), answer.Body)
	return answer
}

func TestRoutes(t *testing.T) {
	want, err := contract.Belonging("../..", "history")
	require.NoError(t, err)
	require.Empty(t, contract.DifferInDetail("openapi.yaml", want, "history", contract.OfHandlers(handler{}.routes())))
}

func TestRecordedEvents(t *testing.T) {
	w := newWorld(t)
	w.put(t, w.Ada, "2026-05-04", rates(t, "2026-05-04T10:00:00Z", "60"))
	recorded, err := contract.Recorded("../..", "history", map[string]string{"token.ada": edgetest.Sign(w.Claims("ada")), "key.app": edgetest.APIKey})
	require.NoError(t, err)
	require.Len(t, recorded, 1)
	items, _ := w.items(t, recorded["history-get-days.json"])
	require.Len(t, items, 1)
}

const week = "2026-05-10"

func TestDays(t *testing.T) {
	w := newWorld(t)
	// Parts of three UTC days and a recording touch the civil day of the 4th.
	w.put(t, w.Ada, "2026-05-03", rates(t, "2026-05-03T23:00:00+01:00", "100", "2026-05-04T01:00:00+02:00", "50"))
	w.put(t, w.Ada, "2026-05-04", rates(t, "2026-05-04T10:00:00Z", "60.5", "2026-05-05T01:00:00+14:00", "80"))
	w.put(t, w.Ada, "2026-05-05", rates(t, "2026-05-04T23:00:00-05:00", "70"))
	w.put(t, w.Ada, "recording#a", trackpoints(t, "2026-05-04", 660))
	w.put(t, w.Ada, "recording#b", trackpoints(t, "2026-05-04", 2))
	w.put(t, w.Ada, "2026-06-01", rates(t, "2026-06-01T10:00:00Z", "60"))
	w.put(t, w.Ben, "2026-05-04", rates(t, "2026-05-04T10:00:00Z", "199"))
	tracks := `{"day":"2026-05-04","type":"fitvault:trackpoint","count":662}`
	fourth := `{"day":"2026-05-04","type":"omh:heart-rate","unit":"beats/min","count":3,"min":50,"max":70,"mean":60.166667,"sum":180.5}`
	one := func(day, value string) string {
		return fmt.Sprintf(`{"day":%q,"type":"omh:heart-rate","unit":"beats/min","count":1,"min":%[2]s,"max":%[2]s,"mean":%[2]s,"sum":%[2]s}`, day, value)
	}
	for name, test := range map[string]struct {
		query []string
		want  []string
	}{
		"a week":         {[]string{"from", "2026-05-01", "to", week}, []string{one("2026-05-03", "100"), tracks, fourth, one("2026-05-05", "80")}},
		"a day":          {[]string{"from", "2026-05-04", "to", "2026-05-05"}, []string{tracks, fourth}},
		"a type":         {[]string{"from", "2026-05-04", "to", "2026-05-05", "type", "omh:heart-rate"}, []string{fourth}},
		"two types":      {[]string{"from", "2026-05-04", "to", "2026-05-05", "type", "fitvault:trackpoint", "type", "omh:heart-rate"}, []string{tracks, fourth}},
		"another type":   {[]string{"from", "2026-05-04", "to", "2026-05-05", "type", "omh:step-count"}, nil},
		"no day":         {[]string{"from", "2026-05-04", "to", "2026-05-04"}, nil},
		"an empty day":   {[]string{"from", "2026-05-07", "to", "2026-05-08"}, nil},
		"a year":         {[]string{"from", "2026-01-01", "to", "2027-01-01", "type", "fitvault:trackpoint"}, []string{tracks}},
		"the last years": {[]string{"from", "9999-01-01", "to", "9999-12-31"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			items, next := w.items(t, w.get(test.query...))
			require.Equal(t, test.want, items)
			require.Empty(t, next)
		})
	}
	e := w.Audit.Events()
	require.Equal(t, [3]string{"history", "days.read", w.Ada.String()}, [3]string{e[0].Function, e[0].Action, e[0].Owner})
	require.NotContains(t, w.Log.String(), "60.5")

	t.Run("a part that is put anew counts in its new version only", func(t *testing.T) {
		w.put(t, w.Ada, "2026-05-05", nil)
		items, _ := w.items(t, w.get("from", "2026-05-04", "to", "2026-05-05", "type", "omh:heart-rate"))
		require.Contains(t, items[0], `"count":2,`)
	})
}

func TestPages(t *testing.T) {
	w := newWorld(t)
	for d := 1; d <= 9; d++ {
		day := fmt.Sprintf("2026-05-0%d", d)
		part := rates(t, day+"T10:00:00Z", "60")
		part = append(trackpoints(t, day, d), part...)
		w.put(t, w.Ada, day, part)
	}
	query := []string{"from", "2026-05-01", "to", week}
	all, next := w.items(t, w.get(query...))
	require.Len(t, all, 18)
	require.Empty(t, next)
	for _, size := range []int{1, 2, 5, 17, 18, 1000} {
		var got []string
		token := ""
		for {
			q := append(slices.Clone(query), "page_size", fmt.Sprint(size))
			if token != "" {
				q = append(q, "page_token", token)
			}
			items, next := w.items(t, w.get(q...))
			require.LessOrEqual(t, len(items), size)
			got = append(got, items...)
			if token = next; token == "" {
				break
			}
			require.NotEmpty(t, items)
		}
		require.Equal(t, all, got)
	}
	_, token := w.items(t, w.get(append(slices.Clone(query), "page_size", "1")...))
	for name, q := range map[string][]string{
		"another span": {"from", "2026-05-02", "to", week, "page_token", token},
		"another type": append(slices.Clone(query), "page_token", token, "type", "omh:heart-rate"),
		"made up":      append(slices.Clone(query), "page_token", "AAAA"),
	} {
		t.Run(name, func(t *testing.T) { w.refused(t, w.get(q...), fault.BadPageToken) })
	}
	w.Time = w.Time.Add(time.Hour)
	w.refused(t, w.get(append(slices.Clone(query), "page_token", token)...), fault.BadPageToken)
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	for name, q := range map[string][]string{
		"nothing":              nil,
		"no to":                {"from", "2026-05-04"},
		"no from":              {"to", "2026-05-04"},
		"a time":               {"from", "2026-05-04T00:00:00Z", "to", week},
		"no day":               {"from", "2026-02-30", "to", week},
		"a word":               {"from", "today", "to", week},
		"backwards":            {"from", week, "to", "2026-05-04"},
		"more than a year":     {"from", "2026-01-01", "to", "2027-01-03"},
		"a type that is none":  {"from", "2026-05-04", "to", week, "type", "heart-rate"},
		"a type not served":    {"from", "2026-05-04", "to", week, "type", "omh:blood-pressure"},
		"a version":            {"from", "2026-05-04", "to", week, "type", "omh:heart-rate:2.0"},
		"from twice":           {"from", "2026-05-04", "from", "2026-05-05", "to", week},
		"another parameter":    {"from", "2026-05-04", "to", week, "since", "2026-05-04"},
		"a page of none":       {"from", "2026-05-04", "to", week, "page_size", "0"},
		"a page of 1001":       {"from", "2026-05-04", "to", week, "page_size", "1001"},
		"from with a NUL":      {"from", "2026-05-04\x00", "to", week},
		"from in other digits": {"from", "２０２６-05-04", "to", week},
	} {
		t.Run(name, func(t *testing.T) { w.refused(t, w.get(q...), fault.BadRequest) })
	}
	t.Run("somebody else's", func(t *testing.T) {
		e := w.get("from", "2026-05-04", "to", week)
		e.PathParameters["user"] = w.Ben.String()
		w.refused(t, e, fault.NotFound)
	})
}

// TestOldAccount: who has no pseudonym is not in the database, and it is not asked.
func TestOldAccount(t *testing.T) {
	w := newWorld(t)
	w.name(t, w.Ada, "")
	w.parts.Fail = func(string) error { return errors.New("asked") }
	items, _ := w.items(t, w.get("from", "2026-05-04", "to", week))
	require.Empty(t, items)
}

func TestWhatIsDown(t *testing.T) {
	query := []string{"from", "2026-05-04", "to", week}
	for name, fail := range map[string]func(w *world){
		"database":  func(w *world) { w.parts.Fail = func(string) error { return fault.New(fault.Unavailable, "down") } },
		"audit log": func(w *world) { w.Audit.Fail(errors.New("down")) },
		"KMS":       func(w *world) { w.keys.KMS.Hook = func(string) error { return keyringtest.ErrDown } },
		"KMS, for the owner": func(w *world) {
			n := 0
			w.keys.KMS.Hook = func(string) error {
				if n++; n > 1 {
					return keyringtest.ErrDown
				}
				return nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.put(t, w.Ada, "2026-05-04", rates(t, "2026-05-04T10:00:00Z", "60"))
			fail(w)
			answer := w.refused(t, w.get(query...), fault.Unavailable)
			require.Regexp(t, `^[2-9]$`, http.Header(answer.MultiValueHeaders).Get("Retry-After"))
		})
	}
	t.Run("more parts than can be opened", func(t *testing.T) {
		w := newWorld(t)
		w.parts.Fail = func(string) error { return fault.New(fault.TooLarge, "too many") }
		w.refused(t, w.get(query...), fault.TooLarge)
	})
	t.Run("nothing is read before its event is written", func(t *testing.T) {
		w := newWorld(t)
		w.Audit.Fail(errors.New("down"))
		w.parts.Fail = func(string) error { t.Error("read"); return nil }
		w.refused(t, w.get(query...), fault.Unavailable)
	})
}

// TestTampering: rows that somebody with power over the database has changed or
// moved show nothing, and raise an alarm.
func TestTampering(t *testing.T) {
	for name, tamper := range map[string]func(t *testing.T, w *world) postgres.Part{
		"another owner's": func(t *testing.T, w *world) postgres.Part {
			return w.row(t, w.Ben, "2026-05-04")
		},
		"another part's": func(t *testing.T, w *world) postgres.Part {
			p := w.row(t, w.Ada, "2026-05-05")
			p.Part = "2026-05-04"
			return p
		},
		"its own past": func(t *testing.T, w *world) postgres.Part {
			p := w.row(t, w.Ada, "2026-05-04")
			w.put(t, w.Ada, "2026-05-04", rates(t, "2026-05-04T10:00:00Z", "90"))
			return p
		},
		"altered": func(t *testing.T, w *world) postgres.Part {
			p := w.row(t, w.Ada, "2026-05-04")
			p.Sealed[len(p.Sealed)-1]++
			return p
		},
		"cut off": func(t *testing.T, w *world) postgres.Part {
			p := w.row(t, w.Ada, "2026-05-04")
			p.Sealed = p.Sealed[:20]
			return p
		},
		"not a part": func(t *testing.T, w *world) postgres.Part {
			return w.seal(t, w.Ada, "2026-05-04", 2, []byte("canary"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for _, owner := range []access.UserID{w.Ada, w.Ben} {
				w.put(t, owner, "2026-05-04", rates(t, "2026-05-04T10:00:00Z", "60"))
				w.put(t, owner, "2026-05-05", rates(t, "2026-05-05T10:00:00Z", "60"))
			}
			p := tamper(t, w)
			was, err := w.parts.Version(t.Context(), w.names[w.Ada], "2026-05-04")
			require.NoError(t, err)
			done, err := w.parts.Put(t.Context(), w.names[w.Ada], p, was)
			require.NoError(t, err)
			require.True(t, done)
			w.Log.Reset()
			w.refused(t, w.get("from", "2026-05-04", "to", week), fault.Internal)
			all := w.Audit.Events()
			last := all[len(all)-1]
			require.Equal(t, auditlog.Alarm, last.Outcome)
			require.Equal(t, auditlog.PieceAltered, last.Kind)
			require.Equal(t, w.Ada.String(), last.Owner)
			require.Contains(t, w.Log.String(), `"alarm":true`)
		})
	}
	t.Run("the key of the page tokens", func(t *testing.T) {
		w := newWorld(t)
		w.keys.KMS.Hook = func(string) error { return keyring.ErrAltered }
		w.refused(t, w.get("from", "2026-05-04", "to", week), fault.Internal)
		require.Contains(t, w.Log.String(), `"alarm":true`)
	})
}

// row is a row as it is stored.
func (w *world) row(t *testing.T, owner access.UserID, name string) postgres.Part {
	all, err := w.parts.Between(t.Context(), w.names[owner], "0001-01-01", "9999-12-31")
	require.NoError(t, err)
	i := slices.IndexFunc(all, func(p postgres.Part) bool { return p.Part == name })
	require.GreaterOrEqual(t, i, 0)
	return all[i]
}
