package edge_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/edge"
	"fitvault/shared/fault"
)

func TestDecodeJSON(t *testing.T) {
	type body struct {
		Name *string  `json:"name"`
		All  []string `json:"all"`
	}
	var v body
	require.NoError(t, edge.DecodeJSON([]byte(` {"all": ["a"], "name": "b"} `), &v))
	require.Equal(t, "b", *v.Name)
	for text, kind := range map[string]fault.Kind{
		``: fault.BadRequest, `{`: fault.BadRequest, `{} {}`: fault.BadRequest, `{"name": "a", "name": "a"}`: fault.BadRequest, "{\"name\": \"\xff\"}": fault.BadRequest,
		`null`: fault.Invalid, `[]`: fault.Invalid, `{"name": null}`: fault.Invalid, `{"all": [null]}`: fault.Invalid, `{"other": 1}`: fault.Invalid,
		`{"Name": "a"}`: fault.Invalid, `{"name": 1}`: fault.Invalid,
	} {
		err := edge.DecodeJSON([]byte(text), &body{})
		require.Equal(t, kind, fault.KindOf(err), text)
		require.NotContains(t, err.Error(), "name")
	}
}

// FuzzDecodeJSON: nothing takes it down, and what it takes is what was sent.
func FuzzDecodeJSON(f *testing.F) {
	for _, seed := range []string{`{"a": "b"}`, `{"a": null}`, `{"a": "b", "a": "c"}`, `[`, `{"b": 1}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var v struct {
			A *string `json:"a"`
		}
		if err := edge.DecodeJSON(text, &v); err != nil {
			require.Contains(t, []fault.Kind{fault.BadRequest, fault.Invalid}, fault.KindOf(err))
		}
	})
}
