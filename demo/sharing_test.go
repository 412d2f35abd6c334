package main

import (
	"crypto/sha256"
	"net/http"
	"time"

	"github.com/stretchr/testify/require"
)

func (f *fake) sharingOn(mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/users/me/grants", func(w http.ResponseWriter, r *http.Request) {
		require.Equal(f.t, owner, f.caller(r))
		var in letIn
		f.body(r, &in)
		require.Equal(f.t, []string{steps}, in.Types)
		require.Equal(f.t, []string{"read"}, in.Access)
		f.grants["a-grant"] = ""
		w.WriteHeader(http.StatusCreated)
		writeJSON(w, map[string]any{"id": "a-grant", "code": "a-code"})
	})
	mux.HandleFunc("POST /v1/invitations/a-code/accept", func(w http.ResponseWriter, r *http.Request) {
		require.Equal(f.t, caregiver, f.caller(r))
		f.grants["a-grant"] = testCaregiver
		writeJSON(w, map[string]any{"id": "a-grant", "owner": testUser})
	})
	mux.HandleFunc("GET /v1/users/me/grants", func(w http.ResponseWriter, _ *http.Request) {
		items := []any{}
		for id, user := range f.grants {
			items = append(items, map[string]any{"id": id, "user": user, "purpose": "family"})
		}
		writeJSON(w, map[string]any{"items": items})
	})
	mux.HandleFunc("DELETE /v1/users/me/grants/{id}", func(w http.ResponseWriter, r *http.Request) {
		require.Contains(f.t, f.grants, r.PathValue("id"))
		delete(f.grants, r.PathValue("id"))
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /v1/users/me/apps", func(w http.ResponseWriter, _ *http.Request) {
		items := []any{map[string]any{"client": "some other app"}}
		if f.appIn {
			items = append(items, map[string]any{"client": "thirdparty"})
		}
		writeJSON(w, map[string]any{"items": items})
	})
	mux.HandleFunc("PUT /v1/users/me/apps/thirdparty", func(w http.ResponseWriter, r *http.Request) {
		require.Equal(f.t, owner, f.caller(r))
		f.appIn = true
		writeJSON(w, map[string]any{})
	})
	mux.HandleFunc("DELETE /v1/users/me/apps/thirdparty", func(w http.ResponseWriter, r *http.Request) {
		require.True(f.t, f.appIn)
		f.appIn = false
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /v1/users/me/sessions", func(w http.ResponseWriter, _ *http.Request) {
		items := []any{map[string]any{"id": "own-session", "client": "app"}}
		for id := range f.sessions {
			items = append(items, map[string]any{"id": id, "client": "thirdparty"})
		}
		writeJSON(w, map[string]any{"items": items})
	})
	mux.HandleFunc("DELETE /v1/users/me/sessions/app-session", func(w http.ResponseWriter, r *http.Request) {
		delete(f.sessions, "app-session")
		w.WriteHeader(http.StatusNoContent)
	})
}

// signInOn plays the pool's domain, as an app and a browser see it.
func (f *fake) signInOn(mux *http.ServeMux) {
	mux.HandleFunc("GET /oauth2/authorize", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		require.Equal(f.t, "S256", q.Get("code_challenge_method"))
		f.challenge = q.Get("code_challenge")
		_, _ = w.Write([]byte(`<form method="post" action="/login"><input type="hidden" name="state" value="` + q.Get("state") + `"><input name="username"><input name="password" value=""></form>`))
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		require.Equal(f.t, "ada@example.com", r.FormValue("username"))
		require.Equal(f.t, "a password", r.FormValue("password"))
		w.Header().Set("Location", "https://thirdparty.example/callback?code=a-code&state="+r.FormValue("state"))
		w.WriteHeader(http.StatusFound)
	})
	mux.HandleFunc("POST /oauth2/token", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		digest := sha256.Sum256([]byte(r.FormValue("code_verifier")))
		if r.FormValue("code") != "a-code" || base64url(digest[:]) != f.challenge {
			w.WriteHeader(http.StatusBadRequest)
			writeJSON(w, map[string]any{"error": "invalid_grant"})
			return
		}
		f.sessions["app-session"] = true
		writeJSON(w, map[string]any{"access_token": token(f.t, "app", time.Now().Add(time.Hour)), "token_type": "Bearer"})
	})
}
