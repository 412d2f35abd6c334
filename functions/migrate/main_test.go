package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/fault"
	"fitvault/shared/postgres"
)

// TestTheStackIsMigrated: `make up` has done it, so nothing is missing. The
// event is the recorded one.
func TestTheStackIsMigrated(t *testing.T) {
	s := stack.Open(t)
	event, err := os.ReadFile("../../events/migrate-by-hand.json")
	require.NoError(t, err)
	answer, err := lambda.NewHandler(handler(s.DatabaseConfig(t, "fitvault_migrate"), slog.New(slog.DiscardHandler), time.Now)).Invoke(t.Context(), event)
	require.NoError(t, err)
	require.JSONEq(t, `{"applied":0}`, string(answer))
}

// TestAFailureIsToldWithoutItsText: the caller may be anybody's shell.
func TestAFailureIsToldWithoutItsText(t *testing.T) {
	c := postgres.Config{Host: "127.0.0.1", Port: 1, CA: func(context.Context) (string, error) { return "", errors.New("canary") }}
	var log bytes.Buffer
	answer, err := handler(c, slog.New(slog.NewJSONHandler(&log, nil)), time.Now)(t.Context())
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	require.Contains(t, log.String(), `"database_failures":1`)
	require.NotContains(t, log.String(), "succeeded")
	require.NotContains(t, log.String(), "canary")
	text, _ := json.Marshal([]any{answer, err.Error()})
	require.NotContains(t, string(text), "canary")
}
