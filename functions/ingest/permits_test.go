package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/block"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/fault"
	"fitvault/shared/intake"
	"fitvault/shared/openmhealth"
	"fitvault/shared/reading"
	"fitvault/shared/segment"
	"fitvault/shared/vault"
)

// steps is a data point of a type that nobody else may write here.
func steps(id string) string {
	return `{"header":{"uuid":"` + id + `","schema_id":{"namespace":"omh","name":"step-count","version":"2.0"},` +
		`"source_creation_date_time":"2026-05-04T07:25:00+02:00","modality":"sensed"},"body":{"step_count":100,` +
		`"effective_time_frame":{"time_interval":{"start_date_time":"2026-05-04T07:25:00+02:00","duration":{"value":60,"unit":"sec"}}}}}`
}

// TestOthersWriteWhatTheyMay: an app of others, and somebody who has a grant, write
// the types that they were let in for, and no other; what they write never counts
// before the owner's own.
func TestOthersWriteWhatTheyMay(t *testing.T) {
	heart, err := reading.ParseType("omh:heart-rate")
	require.NoError(t, err)
	for name, let := range map[string]func(w *world, o *access.Owner, p access.Permit) events.APIGatewayProxyRequest{
		"an app": func(w *world, o *access.Owner, p access.Permit) events.APIGatewayProxyRequest {
			o.Apps = map[string]access.Permit{edgetest.Client: p}
			d, err := w.Accounts.Read(t.Context(), access.Keys{Client: edgetest.Client})
			require.NoError(t, err)
			d.App.Kind = access.ThirdPartyApp
			w.Accounts.Put(access.Documents{App: d.App})
			return w.Event("ada", http.MethodPost, readings, map[string]string{"user": "me"})
		},
		"a caregiver": func(w *world, o *access.Owner, p access.Permit) events.APIGatewayProxyRequest {
			o.Grants = map[string]access.Grant{"g": {Permit: p, To: w.Ben.String()}}
			return w.Event("ben", http.MethodPost, readings, map[string]string{"user": w.Ada.String()})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			permit, err := access.NewPermit(access.Permit{Types: []reading.Type{heart}, Write: true, Use: access.Care, From: w.Time, Until: w.Time.Add(time.Hour)})
			require.NoError(t, err)
			owner := w.owner(t, "ada")
			owner.Consents = map[access.Purpose]access.Consent{access.Collection: {Version: "1", Given: true}, access.Sharing: {Version: "1", Given: true}}
			e := let(w, &owner, permit)
			w.Accounts.Put(access.Documents{Owner: &owner})

			edgetest.SetBody(&e, "application/json", "["+point(one, "beats/min")+","+steps(two)+"]")
			answer := w.do(t, e)
			require.Equal(t, 200, answer.StatusCode, answer.Body)
			require.JSONEq(t, `{"results":[{"index":0,"status":"accepted","id":"`+one+`"},
				{"index":1,"status":"invalid","pointer":"/header/schema_id","rule":"`+openmhealth.RuleNotPermitted+`"}]}`, answer.Body)
			stored := w.blocks.Of(w.Ada.String())
			require.Len(t, stored, 1)
			sealed := stored[0].Blob
			header, err := vault.Inspect(sealed)
			require.NoError(t, err)
			ring := w.keys.Ring(t, w.Now)
			private, err := ring.Private(t.Context(), w.Ada.String(), header.KeyID)
			require.NoError(t, err)
			writer, err := ring.Writer(t.Context(), header.WriterKeyID)
			require.NoError(t, err)
			day, id, _ := strings.Cut(stored[0].Item, "#")
			plain, err := vault.NewOpener([]vault.PrivateKey{private}, []vault.WriterKey{writer}).
				Open(sealed, intake.BlockPlace("fitvault", w.Ada.String(), day, id))
			require.NoError(t, err)
			b, err := block.Decode(plain, segment.DefaultLimits)
			require.NoError(t, err)
			require.Equal(t, block.RankApp, b.Rank)

			edgetest.SetBody(&e, "application/json", "["+steps(two)+"]")
			require.Equal(t, openmhealth.RuleNotPermitted, w.refused(t, e, fault.Invalid)[0].Rule)
			edgetest.SetHeader(&e, "Idempotency-Key", "of-somebody")
			edgetest.SetBody(&e, "application/json", "["+point(two, "beats/min")+"]")
			require.Equal(t, 200, w.do(t, e).StatusCode)
			if name == "a caregiver" { // the owner may use that key by the same app
				edgetest.SetHeader(&e, "Authorization", "Bearer "+edgetest.Sign(w.Claims("ada")))
				edgetest.SetBody(&e, "application/json", "["+steps(two)+"]")
				require.Equal(t, 200, w.do(t, e).StatusCode)
			}
		})
	}
}
