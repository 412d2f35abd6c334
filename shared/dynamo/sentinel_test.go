package dynamo_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/dynamo"
	"fitvault/shared/fault"
	"fitvault/shared/sentinel"
	"fitvault/shared/sentinel/sentineltest"
)

func TestWatchedContract(t *testing.T) {
	sentineltest.Contract(t, dynamo.Watched{Tables: deployed(t), Now: time.Now})
}

// TestWatchedFails: what does not answer is no count, and its text goes no further.
func TestWatchedFails(t *testing.T) {
	things := []sentinel.Thing{{Weight: 1}}
	for name, a := range map[string]answer{
		"throttled":     {status: 400, body: throttled},
		"no connection": {err: errors.New("canary")},
	} {
		w := dynamo.Watched{Tables: stubbed(a), Now: time.Now}
		_, err1 := w.Add(t.Context(), "k", things, 1, time.Hour)
		_, err2 := w.Note(t.Context(), "k", "id")
		err3 := w.Told(t.Context(), "k", "t")
		err4 := (&dynamo.Limiter{Tables: w.Tables, Clock: &dynamo.Clock{Own: time.Now}}).Hold(t.Context(), "k", []string{"device"}, time.Minute)
		for _, err := range []error{err1, err2, err3, err4} {
			require.Equal(t, fault.Unavailable, fault.KindOf(err), name)
			require.NotContains(t, err.Error(), "canary")
		}
	}
	for name, body := range map[string]string{
		"nothing":         `{}`,
		"no set":          `{"Attributes":{"seen":{"S":"x"}}}`,
		"a name too long": `{"Attributes":{"seen":{"BS":["AAAAAAAAAAAAAAAA"]}}}`,
	} {
		_, err := dynamo.Watched{Tables: stubbed(answer{status: 200, body: body}), Now: time.Now}.Add(t.Context(), "k", things, 1, time.Hour)
		require.Error(t, err, name)
	}
	require.NoError(t, (&dynamo.Limiter{Tables: stubbed(answer{status: 400, body: failed}), Clock: &dynamo.Clock{Own: time.Now}}).Hold(t.Context(), "k", []string{"device"}, time.Minute),
		"it is held for longer")
}
