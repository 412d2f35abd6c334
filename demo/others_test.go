package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/edge"
	"fitvault/shared/fault"
	"fitvault/shared/pairing"
	"fitvault/shared/pairing/pairingtest"
	"fitvault/shared/signedpayload"
)

const testCaregiver = "cccccccccccccccccccccccccc"

// others is the fake's part about trackers, caregivers and other apps. It refuses as
// the API does.
type others struct {
	asked         map[string]int // how often, by "METHOD path"
	rootFile      string
	store         pairingtest.Store
	pairing       pairing.Service
	organisations []string
	evening       []json.RawMessage // as sent, signed
	grants        map[string]string // id → to whom, "" before the invitation is accepted
	appIn         bool
	sessions      map[string]bool // of the app: whether it goes on
	challenge     string          // of the sign-in that is under way
}

// caller is whose token a request carries; "app" for one that the other app was given.
func (f *fake) caller(r *http.Request) string {
	var claims jwt.RegisteredClaims
	_, _, _ = jwt.NewParser().ParseUnverified(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), &claims)
	return claims.Subject
}

func (f *fake) problem(w http.ResponseWriter, err error) {
	kind := fault.KindOf(err)
	w.WriteHeader(kind.Status())
	writeJSON(w, map[string]any{"type": edge.ProblemTypes + string(kind), "title": kind.Title(), "status": kind.Status(), "instance": "abc"})
}

func (f *fake) refuse(w http.ResponseWriter, kind fault.Kind) {
	f.problem(w, fault.New(kind, "refused"))
}

func (f *fake) user() access.UserID {
	user, err := access.ParseUserID(testUser)
	require.NoError(f.t, err)
	return user
}

func (f *fake) body(r *http.Request, into any) {
	require.Equal(f.t, "application/json", r.Header.Get("Content-Type"))
	require.NoError(f.t, json.NewDecoder(r.Body).Decode(into))
}

func (f *fake) bytes(text string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(text)
	require.NoError(f.t, err)
	return b
}

func (f *fake) othersOn(mux *http.ServeMux) {
	authority := pairingtest.NewAuthority(f.t, deployment, time.Now())
	f.rootFile = filepath.Join(f.t.TempDir(), "root.pem")
	require.NoError(f.t, os.WriteFile(f.rootFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Root.Raw}), 0o600))
	f.asked, f.grants, f.sessions = map[string]int{}, map[string]string{}, map[string]bool{}
	f.pairing = pairing.Service{Deployment: deployment, Store: &f.store, Signer: authority, Certificate: authority.Certificate, Now: time.Now, Rand: rand.Reader}

	mux.HandleFunc("GET /v1/identities/max/roles", func(w http.ResponseWriter, r *http.Request) {
		require.Equal(f.t, "staff", r.URL.Query().Get("pool"))
		writeJSON(w, map[string]any{"roles": []string{"maker"}, "organisations": f.organisations, "version": "seen"})
	})
	mux.HandleFunc("PUT /v1/identities/max/roles", func(w http.ResponseWriter, r *http.Request) {
		require.Equal(f.t, administrator, f.caller(r))
		var in struct {
			Roles, Organisations []string
			Version              string
		}
		f.body(r, &in)
		require.Equal(f.t, "seen", in.Version)
		require.Equal(f.t, []string{"maker"}, in.Roles, "it stays")
		f.organisations = in.Organisations
		writeJSON(w, map[string]any{})
	})
	mux.HandleFunc("POST /v1/devices", f.register)
	mux.HandleFunc("POST /v1/pairings", f.begin)
	mux.HandleFunc("POST /v1/pairings/{id}/confirm", f.confirm)
	mux.HandleFunc("GET /v1/users/me/devices", func(w http.ResponseWriter, _ *http.Request) {
		items := []any{}
		for id := range f.store.Trackers(f.user()) {
			items = append(items, map[string]any{"id": id})
		}
		writeJSON(w, map[string]any{"items": items})
	})
	mux.HandleFunc("DELETE /v1/users/me/devices/{id}", func(w http.ResponseWriter, r *http.Request) {
		id, err := pairing.ParseDeviceID(r.PathValue("id"))
		require.NoError(f.t, err)
		name, err := pairing.ParseID(f.store.Trackers(f.user())[id.String()].Pairing)
		require.NoError(f.t, err)
		done, err := f.store.Unpair(r.Context(), f.user(), id, name)
		require.NoError(f.t, err)
		require.True(f.t, done)
		w.WriteHeader(http.StatusNoContent)
	})
	f.sharingOn(mux)
	f.signInOn(mux)
}

func (f *fake) register(w http.ResponseWriter, r *http.Request) {
	require.Equal(f.t, maker, f.caller(r))
	var in struct {
		ID, Model string
		Key       string `json:"public_key"`
		Hash      string `json:"code_hash"`
	}
	f.body(r, &in)
	d := pairing.Device{State: pairing.New, CodeHash: [sha256.Size]byte(f.bytes(in.Hash))}
	var err error
	d.ID, err = pairing.ParseDeviceID(in.ID)
	require.NoError(f.t, err)
	require.Contains(f.t, f.organisations, d.ID.Maker())
	d.Model, err = pairing.ParseModel(in.Model)
	require.NoError(f.t, err)
	d.Key, err = pairing.ParseKey(f.bytes(in.Key))
	require.NoError(f.t, err)
	made, err := f.store.Register(r.Context(), d)
	require.NoError(f.t, err)
	require.True(f.t, made, "a new one each time")
	w.WriteHeader(http.StatusCreated)
}

func unrecorded(context.Context, pairing.DeviceID, pairing.ID) error { return nil }

func (f *fake) begin(w http.ResponseWriter, r *http.Request) {
	var in struct{ Device, Nonce, Code string }
	f.body(r, &in)
	asked := pairing.Request{Nonce: pairing.Nonce(f.bytes(in.Nonce))}
	var err error
	asked.Device, err = pairing.ParseDeviceID(in.Device)
	require.NoError(f.t, err)
	asked.Code, err = pairing.ParseCode(in.Code)
	require.NoError(f.t, err)
	begun, err := f.pairing.Begin(r.Context(), f.user(), asked, unrecorded)
	if err != nil {
		f.problem(w, err)
		return
	}
	w.WriteHeader(http.StatusCreated)
	writeJSON(w, map[string]any{"pairing": begun.Pairing.String(), "message": base64url(begun.Message),
		"signature": base64url(begun.Signature), "certificate": base64url(begun.Certificate)})
}

func (f *fake) confirm(w http.ResponseWriter, r *http.Request) {
	var in struct{ Signature string }
	f.body(r, &in)
	name, err := pairing.ParseID(r.PathValue("id"))
	require.NoError(f.t, err)
	id, paired, err := f.pairing.Confirm(r.Context(), f.user(), name, f.bytes(in.Signature), unrecorded)
	if err != nil {
		f.problem(w, err)
		return
	}
	writeJSON(w, map[string]any{"id": id.String(), "state": paired.State, "pairing": paired.Pairing})
}

// postReadings takes what ada's app sends, and what a paired tracker has signed.
func (f *fake) postReadings(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	require.NoError(f.t, err)
	var points []json.RawMessage
	require.NoError(f.t, json.Unmarshal(body, &points))
	if text := r.Header.Get("Tracker-Signature"); text == "" {
		f.points = points
	} else if !f.signedBy(r.Context(), text, body) {
		f.refuse(w, fault.SignatureRefused)
		return
	} else {
		f.evening = points
	}
	results := make([]map[string]any, len(points))
	for i := range results {
		results[i] = map[string]any{"index": i, "status": "accepted"}
	}
	writeJSON(w, map[string]any{"results": results})
}

func (f *fake) signedBy(ctx context.Context, text string, body []byte) bool {
	signature, err := signedpayload.Parse(text)
	require.NoError(f.t, err)
	device, found, err := f.store.Device(ctx, signature.Device)
	require.NoError(f.t, err)
	_, paired := f.store.Trackers(f.user())[signature.Device.String()]
	return found && paired && signature.Verify(device.Key, body)
}

// getReadings answers by the types asked for, and by who asks.
func (f *fake) getReadings(w http.ResponseWriter, r *http.Request) {
	types := r.URL.Query()["type"]
	kind, granted := fault.Kind(""), slices.Contains(slices.Collect(maps.Values(f.grants)), testCaregiver)
	switch caller := f.caller(r); {
	case caller == caregiver && !granted:
		kind = fault.NotFound
	case caller == "app" && !f.sessions["app-session"]:
		kind = fault.Unauthenticated
	case caller == "app" && !f.appIn, caller != owner && slices.Contains(types, sleep):
		kind = fault.Forbidden
	}
	require.Equal(f.t, map[bool]string{true: testUser, false: "me"}[f.caller(r) == caregiver], r.PathValue("user"))
	if kind != "" {
		f.refuse(w, kind)
		return
	}
	var found []json.RawMessage
	for _, p := range slices.Concat(f.evening, f.points) {
		for _, of := range types {
			if _, name, _ := strings.Cut(of, ":"); strings.Contains(string(p), `"name": "`+name+`"`) || strings.Contains(string(p), `"name":"`+name+`"`) {
				found = append(found, p)
			}
		}
	}
	size, _ := strconv.Atoi(r.URL.Query().Get("page_size"))
	writePage(w, r, found, "items", size)
}
