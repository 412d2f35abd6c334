package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
)

const (
	testUser      = "aaaaaaaaaaaaaaaaaaaaaaaaaa"
	testRecording = "bbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// fake is an API, a user pool and a DynamoDB that hold what one run of the demo needs.
type fake struct {
	others
	t        *testing.T
	server   *httptest.Server
	points   []json.RawMessage // as sent
	document []byte            // as sent
	requests []string          // ids of the requests that it answered
	at       map[string]func() // "METHOD path" → what happens when it comes
	change   map[string]answer // "METHOD path", "METHOD path original" or DynamoDB operation → what to answer instead
}

type answer struct {
	status int
	body   string
}

func newFake(t *testing.T) *fake {
	f := &fake{t: t, change: map[string]answer{}}
	mux := http.NewServeMux()
	f.othersOn(mux)
	mux.HandleFunc("PUT /v1/users/me/consents/{purpose}", func(w http.ResponseWriter, r *http.Request) {
		user := map[string]string{owner: testUser, caregiver: testCaregiver}[f.caller(r)]
		writeJSON(w, map[string]any{"user": user, "state": "active", "purpose": r.PathValue("purpose"), "given": true})
	})
	mux.HandleFunc("POST /v1/users/me/recordings", func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "application/vnd.garmin.tcx+xml", r.Header.Get("Content-Type"))
		f.document, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusCreated)
		writeJSON(w, f.entry())
	})
	mux.HandleFunc("GET /v1/users/me/recordings", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, map[string]any{"items": []any{map[string]any{"id": "another"}, f.entry()}})
	})
	mux.HandleFunc("GET /v1/users/me/recordings/"+testRecording, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") == "application/vnd.garmin.tcx+xml" {
			_, _ = w.Write(f.document)
			return
		}
		size, _ := strconv.Atoi(r.URL.Query().Get("page_size"))
		writePage(w, r, []json.RawMessage{
			[]byte(`{"time": "2022-07-16T16:08:25Z", "heart_rate": 90}`),
			[]byte(`{"time": "2022-07-16T16:18:25Z"}`),
			[]byte(`{"time": "2022-07-16T16:28:25Z", "heart_rate": 110}`),
		}, "trackpoints", size)
	})
	mux.HandleFunc("POST /v1/users/me/readings", f.postReadings)
	mux.HandleFunc("GET /v1/users/{user}/readings", f.getReadings)
	mux.HandleFunc("POST /{$}", f.dynamo)
	f.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/v1")
		if operation := r.Header.Get("X-Amz-Target"); operation != "" {
			_, name, _ = strings.Cut(operation, ".")
		} else if strings.HasPrefix(r.URL.Path, "/v1/") {
			require.Equal(t, map[string]string{administrator: "staff-key", maker: "staff-key", "app": "third-key"}[f.caller(r)], strings.TrimPrefix(r.Header.Get("x-api-key"), "app-key"))
			f.requests = append(f.requests, "request-"+strconv.Itoa(len(f.requests)))
			w.Header().Set("X-Request-Id", f.requests[len(f.requests)-1])
		}
		switch { // ids of a tracker and of a pairing are new each time
		case strings.HasPrefix(name, "DELETE /users/me/devices/"):
			name = "DELETE device"
		case strings.HasPrefix(name, "POST /pairings/"):
			name = "POST confirm"
		}
		if r.Header.Get("Accept") == "application/vnd.garmin.tcx+xml" {
			name += " original"
		}
		if happens := f.at[name]; happens != nil {
			happens()
		}
		a, ok := f.change[name]
		if !ok { // of one caller only
			a, ok = f.change[f.caller(r)+" "+name]
		}
		if !ok { // or the n-th time only
			f.asked[name]++
			a, ok = f.change[name+" "+strconv.Itoa(f.asked[name])]
		}
		if ok {
			w.WriteHeader(a.status)
			_, _ = io.WriteString(w, a.body)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(f.server.Close)
	return f
}

func (f *fake) entry() map[string]any {
	return map[string]any{"id": testRecording, "sport": "Other", "start": "2022-07-16T16:08:25Z", "end": "2022-07-16T17:04:25Z",
		"trackpoints": 3, "size": len(f.document), "media_type": "application/vnd.garmin.tcx+xml"}
}

func writeJSON(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }

// writePage answers a list whose page token is the place in it.
func writePage(w http.ResponseWriter, r *http.Request, all []json.RawMessage, name string, size int) {
	from, _ := strconv.Atoi(r.URL.Query().Get("page_token"))
	to := min(from+size, len(all))
	page := map[string]any{name: all[from:to]}
	if to < len(all) {
		page["next_page_token"] = strconv.Itoa(to)
	}
	writeJSON(w, page)
}

// sealedPiece has the form of a sealed piece and holds nothing.
func sealedPiece(size int) []byte {
	b := []byte{1, 1}
	b = append(append(b, 8), "data-key"...)
	b = append(append(b, 10), "writer-key"...)
	return append(b, bytes.Repeat([]byte{0xA5}, size)...)
}

func (f *fake) dynamo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	sealed := func(item string) map[string]any {
		return map[string]any{"owner": map[string]any{"S": testUser}, "item": map[string]any{"S": item},
			"sealed": map[string]any{"B": base64.StdEncoding.EncodeToString(sealedPiece(1000))}}
	}
	switch r.Header.Get("X-Amz-Target") {
	case "DynamoDB_20120810.Query":
		writeJSON(w, map[string]any{"Items": []any{sealed("2022-07-16#cccc")}})
	case "DynamoDB_20120810.GetItem":
		writeJSON(w, map[string]any{"Item": sealed("recording#" + testRecording)})
	case "DynamoDB_20120810.Scan":
		items := []any{f.event("somebody-else", "readings.read")} // not of this run
		for i, id := range f.requests {
			items = append(items, f.event(id, []string{"consents.write", "readings.read"}[min(i, 1)]))
		}
		writeJSON(w, map[string]any{"Items": items})
	default:
		f.t.Errorf("the demo asked for %s", r.Header.Get("X-Amz-Target"))
	}
}

func (f *fake) event(request, action string) any {
	caller := testUser
	if action == "consents.write" {
		caller = access.IdentityKey("https://people.example", "ada")
	}
	id := auditlog.LeastID(time.Now())
	text := func(s string) any { return map[string]any{"S": s} }
	return map[string]any{"id": text(id), "time": text("2026-05-04T07:25:00.5Z"), "request": text(request), "action": text(action),
		"caller": text(caller), "outcome": text("allowed"), "records": map[string]any{"N": "3"},
		"reasons": map[string]any{"L": []any{text("owner")}}}
}

// token is an access token of somebody that ends at a time.
func token(t *testing.T, name string, ends time.Time) string {
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{Subject: name, ExpiresAt: jwt.NewNumericDate(ends)}).SignedString([]byte("any"))
	require.NoError(t, err)
	return signed
}

// stackJSON is what make up would write for the fake.
func (f *fake) stackJSON(ends time.Time) []byte {
	user := func(name, pool string) any {
		return map[string]any{"name": name + "@example.com", "pool": pool, "subject": name, "password": "a password", "access_token": token(f.t, name, ends)}
	}
	client := func(name, key string) any {
		return map[string]any{"id": name, "api_key": key, "secret": name + "-secret", "callback": "https://" + name + ".example/callback", "scopes": []string{"openid"}}
	}
	b, err := json.Marshal(map[string]any{
		"api":          f.server.URL + "/v1",
		"api_key":      "app-key",
		"users":        map[string]any{"ada": user("ada", "people"), "ben": user("ben", "people"), "sam": user("sam", "staff"), "max": user("max", "staff")},
		"clients":      map[string]any{"app": client("app", "app-key"), "thirdparty": client("thirdparty", "third-key"), "staff": client("staff", "staff-key")},
		"pools":        map[string]any{"people": map[string]any{"issuer": "https://people.example"}, "staff": map[string]any{"issuer": "https://staff.example"}},
		"pairing_root": f.rootFile,
		"endpoints":    map[string]any{"aws": f.server.URL, "cognito": f.server.URL},
		"region":       "eu-central-1",
		"credentials":  map[string]any{"access_key_id": "local-operator", "secret_access_key": "local-operator-secret"},
		"outputs":      map[string]any{"ReadingsTable": "readings", "AuditEventsTable": "events"},
	})
	require.NoError(f.t, err)
	return b
}
