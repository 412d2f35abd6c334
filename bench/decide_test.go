package bench_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/bench"
	"fitvault/shared/access"
	"fitvault/shared/reading"
)

// BenchmarkDecide: one decision, of the owner, of a caregiver (also by an app that the
// owner has authorised, and with as many grants as there may be) and of that app, against encoding/json of the owner's document, which whoever
// decides by a document does first.
func BenchmarkDecide(b *testing.B) {
	id := func(n string) access.UserID {
		u, err := access.NewUserID(strings.NewReader(strings.Repeat(n, 16)))
		require.NoError(b, err)
		return u
	}
	now := time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC)
	permit, err := access.NewPermit(access.Permit{
		Types: []reading.Type{{Namespace: "omh", Name: "heart-rate"}, {Namespace: "omh", Name: "step-count"}, access.Recording},
		Read:  true, Use: access.Care, From: now, Until: now.Add(time.Hour),
	})
	require.NoError(b, err)
	ada, ben := id("a"), id("b")
	yes := access.Consent{Version: "1", Given: true, Time: now}
	account := access.Owner{
		User: ada, State: access.Active, Pseudonym: "a", DataKey: "k",
		Consents: map[access.Purpose]access.Consent{access.Collection: yes, access.Sharing: yes},
		Grants:   map[string]access.Grant{"a": {To: ben.String(), Permit: permit}, "b": {To: "organisation#clinic", Permit: permit}},
		Apps:     map[string]access.Permit{"third": permit},
	}
	many := map[string]access.Grant{}
	for i := range access.MaxGrants {
		many[fmt.Sprint(i)] = access.Grant{To: ben.String(), Permit: permit}
	}
	document := fmt.Appendf(nil, `{"User":%q,"State":"active","DataKey":"k","Pseudonym":"a","Consents":{"collection":%[2]s,"sharing":%[2]s},
		"Grants":{"a":{"To":%[3]q,"Permit":%[4]s},"b":{"To":"organisation#clinic","Permit":%[4]s}},"Apps":{"third":%[4]s}}`,
		ada, `{"Version":"1","Given":true,"Time":"2026-05-04T05:25:00Z"}`, ben,
		`{"Types":["omh:heart-rate","omh:step-count","fitvault:recording"],"Read":true,"Use":"care","From":"2026-05-04T05:25:00Z","Until":"2026-05-04T06:25:00Z"}`)
	type plainPermit struct {
		Types       []string
		Read, Write bool
		Use         string
		From, Until time.Time
	}
	type plain struct {
		User, State, DataKey, Pseudonym string
		Consents                        map[string]access.Consent
		Grants                          map[string]struct {
			To     string
			Permit plainPermit
		}
		Apps map[string]plainPermit
	}
	require.NoError(b, json.Unmarshal(document, &plain{}))
	for name, q := range map[string]access.Question{
		"owner":               {Principal: access.Principal{User: ada}, App: access.OwnApp},
		"caregiver":           {Principal: access.Principal{User: ben}, App: access.OwnApp},
		"app":                 {Principal: access.Principal{User: ada, Client: "third"}, App: access.ThirdPartyApp},
		"caregiver-by-an-app": {Principal: access.Principal{User: ben, Client: "third"}, App: access.ThirdPartyApp},
		"20-grants":           {Principal: access.Principal{User: ben}, App: access.OwnApp, Owner: access.Owner{Grants: many}},
	} {
		grants := q.Owner.Grants
		q.Action, q.Owner, q.Now = access.ReadingsRead, account, now
		if grants != nil {
			q.Owner.Grants = grants
		}
		require.True(b, access.Decide(q).Allowed)
		b.Run(name, func(b *testing.B) {
			bench.CompareCPU(b, func() { access.Decide(q) }, func() { _ = json.Unmarshal(document, &plain{}) })
		})
	}
}
