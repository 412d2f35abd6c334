package edge_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/stretchr/testify/require"

	"fitvault/shared/auditlog"
	"fitvault/shared/edge"
)

var _ lambda.Handler = (*edge.Guard)(nil)

// What Lambda sends gives the same answer as the event that it holds.
func TestInvoke(t *testing.T) {
	w := newWorld(t)
	w.handle = func(rw http.ResponseWriter, r *http.Request, c *edge.Call) error {
		if err := c.Audit(r.Context(), auditlog.Event{}); err != nil {
			return err
		}
		rw.Header().Set("Content-Type", jsonType)
		_, err := rw.Write(c.Body())
		return err
	}
	for _, body := range []string{"", "[]", `{"a":"b\n\\"}`, "größe 😀 \u2028 \x00", strings.Repeat("x", maxBody), strings.Repeat("x", maxBody+1)} {
		for _, encoded := range []bool{false, true} {
			e := w.post()
			e.Body, e.IsBase64Encoded = body, encoded
			if encoded {
				e.Body = base64.StdEncoding.EncodeToString([]byte(body))
			}
			payload, err := json.Marshal(e)
			require.NoError(t, err)
			out, err := w.guard.Invoke(t.Context(), payload)
			require.NoError(t, err)
			var answer events.APIGatewayProxyResponse
			require.NoError(t, json.Unmarshal(out, &answer))
			want := w.do(t, e)
			for _, h := range []http.Header{want.MultiValueHeaders, answer.MultiValueHeaders} {
				h.Del("RateLimit") // it is of the one and of the other
			}
			require.Equal(t, want, answer)
			if len(body) <= maxBody {
				require.Equal(t, body, answer.Body)
			}
		}
	}
	t.Run("no body", func(t *testing.T) {
		e := w.get()
		payload, err := json.Marshal(e)
		require.NoError(t, err)
		payload = []byte(strings.Replace(string(payload), `"body":""`, `"body":null`, 1))
		require.Contains(t, string(payload), `"body":null`)
		out, err := w.guard.Invoke(t.Context(), payload)
		require.NoError(t, err)
		require.Contains(t, string(out), `"statusCode":200`)
	})
	for _, bad := range []string{"", "[]", "{", `{"body":1}`, `{"body":"\x80"}`, `{"httpMethod":1}`} {
		_, err := w.guard.Invoke(t.Context(), []byte(bad))
		require.EqualError(t, err, "edge: not an event of API Gateway")
	}
}
