package edge_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/edge"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/limit"
)

func TestNewRefusesWhatIsIncomplete(t *testing.T) {
	w := edgetest.New(t)
	good := edge.Route{Method: "GET", Resource: readings, Scope: readScope, Action: access.ReadingsRead, Handle: good}
	require.NotPanics(t, func() { edge.New(w.Config("f"), good) })
	require.Panics(t, func() { edge.New(w.Config("f"), good, good) }, "twice")
	staff := good
	staff.Resource, staff.Action, staff.Staff = "/apps", access.AppsManage, true
	require.NotPanics(t, func() { edge.New(w.Config("f"), good, staff) })
	for name, edit := range map[string]func(*edge.Route){
		"no method":             func(r *edge.Route) { r.Method = "" },
		"staff on an account":   func(r *edge.Route) { r.Staff = true },
		"no scope":              func(r *edge.Route) { r.Scope = "" },
		"no action":             func(r *edge.Route) { r.Action = "" },
		"an unknown action":     func(r *edge.Route) { r.Action = "readings.delete" },
		"types without a limit": func(r *edge.Route) { r.Types = []string{jsonType} },
		"a limit without types": func(r *edge.Route) { r.MaxBody = 1 },
		"no handler":            func(r *edge.Route) { r.Handle = nil },
		"a cost below nothing":  func(r *edge.Route) { r.Cost = -1 },
		"a cost nobody can pay": func(r *edge.Route) { r.Cost = int(limit.MaxRate) + 1 },
	} {
		r := good
		edit(&r)
		require.Panics(t, func() { edge.New(w.Config("f"), r) }, name)
	}
	for name, edit := range map[string]func(*edge.Config){
		"no function":       func(c *edge.Config) { c.Function = "" },
		"no issuer":         func(c *edge.Config) { c.Issuer = "" },
		"no keys":           func(c *edge.Config) { c.Keys = nil },
		"no documents":      func(c *edge.Config) { c.Documents = nil },
		"no sessions":       func(c *edge.Config) { c.Sessions = nil },
		"no audit":          func(c *edge.Config) { c.Audit = nil },
		"no limiter":        func(c *edge.Config) { c.Limiter = nil },
		"no limits":         func(c *edge.Config) { c.Limits = limit.Limits{} },
		"no address key":    func(c *edge.Config) { c.AddressKey = nil },
		"no log":            func(c *edge.Config) { c.Log = nil },
		"no clock":          func(c *edge.Config) { c.Now = nil },
		"no rand":           func(c *edge.Config) { c.Rand = nil },
		"one pool for both": func(c *edge.Config) { c.StaffIssuer = c.Issuer },
	} {
		c := w.Config("f")
		edit(&c)
		require.Panics(t, func() { edge.New(c, good) }, name)
	}
	for name, edit := range map[string]func(*edge.Config){
		"no issuer of the staff's pool": func(c *edge.Config) { c.StaffIssuer = "" },
		"no keys of the staff's pool":   func(c *edge.Config) { c.StaffKeys = nil },
	} {
		c := w.Config("f")
		edit(&c)
		require.NotPanics(t, func() { edge.New(c, good) }, "%s, and no route of it", name)
		require.Panics(t, func() { edge.New(c, good, staff) }, name)
	}
	c := w.Config("f")
	c.Issuer, c.Keys = "", nil
	require.NotPanics(t, func() { edge.New(c, staff) }, "a function of the staff alone")
}

func TestAccountsKeepTheContract(t *testing.T) {
	var a edgetest.Accounts
	edgetest.Documents(t, &a, func(_ *testing.T, issuer, subject string, d access.Documents) {
		a.Put(d)
		if d.Caller != nil {
			a.PutCaller(issuer, subject, *d.Caller)
		}
	})
	edgetest.Sessions(t, &a, func(_ *testing.T, issuer, subject, name string, s access.Session) {
		a.PutSession(issuer, subject, name, s)
	})
}
