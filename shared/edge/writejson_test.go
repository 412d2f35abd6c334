package edge_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/edge"
	"fitvault/shared/fault"
)

func TestWriteJSON(t *testing.T) {
	w := httptest.NewRecorder()
	require.NoError(t, edge.WriteJSON(w, http.StatusCreated, map[string]string{"a": "<&>"}))
	require.Equal(t, http.StatusCreated, w.Code)
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	require.Equal(t, "{\"a\":\"<&>\"}\n", w.Body.String())

	w = httptest.NewRecorder()
	require.Equal(t, fault.Internal, fault.KindOf(edge.WriteJSON(w, http.StatusOK, make(chan int))))
	require.Empty(t, w.Body.String())
}
