package edge_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/edge"
	"fitvault/shared/edge/edgetest"
)

func TestNewRefusesWhatIsIncomplete(t *testing.T) {
	w := edgetest.New(t)
	good := edge.Route{Method: "GET", Resource: readings, Scope: readScope, Action: access.ReadingsRead, Handle: good}
	require.NotPanics(t, func() { edge.New(w.Config("f"), good) })
	require.Panics(t, func() { edge.New(w.Config("f"), good, good) }, "twice")
	for name, edit := range map[string]func(*edge.Route){
		"no method":             func(r *edge.Route) { r.Method = "" },
		"no resource":           func(r *edge.Route) { r.Resource = "" },
		"staff and {user}":      func(r *edge.Route) { r.Staff = true },
		"no scope":              func(r *edge.Route) { r.Scope = "" },
		"no action":             func(r *edge.Route) { r.Action = "" },
		"an unknown action":     func(r *edge.Route) { r.Action = "readings.delete" },
		"types without a limit": func(r *edge.Route) { r.Types = []string{jsonType} },
		"a limit without types": func(r *edge.Route) { r.MaxBody = 1 },
		"no handler":            func(r *edge.Route) { r.Handle = nil },
	} {
		r := good
		edit(&r)
		require.Panics(t, func() { edge.New(w.Config("f"), r) }, name)
	}
	for name, edit := range map[string]func(*edge.Config){
		"no function":  func(c *edge.Config) { c.Function = "" },
		"no issuer":    func(c *edge.Config) { c.Issuer = "" },
		"no keys":      func(c *edge.Config) { c.Keys = nil },
		"no documents": func(c *edge.Config) { c.Documents = nil },
		"no audit":     func(c *edge.Config) { c.Audit = nil },
		"no log":       func(c *edge.Config) { c.Log = nil },
		"no clock":     func(c *edge.Config) { c.Now = nil },
		"no rand":      func(c *edge.Config) { c.Rand = nil },
	} {
		c := w.Config("f")
		edit(&c)
		require.Panics(t, func() { edge.New(c, good) }, name)
	}
}

func TestAccountsKeepTheContract(t *testing.T) {
	var a edgetest.Accounts
	edgetest.Documents(t, &a, func(_ *testing.T, issuer, subject string, d access.Documents) {
		a.Put(d)
		if d.Caller != nil {
			a.PutCaller(issuer, subject, *d.Caller)
		}
	})
}
