package attack

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"fitvault/shared/fault"
)

// tricks are percent-encoded values that no parameter may have, by name.
var tricks = map[string]string{
	"dots":                 "%2e%2e",
	"a path":               "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
	"a slash":              "%2f",
	"a backslash":          "..%5c..%5c" + marker,
	"NUL":                  "me%00",
	"overlong":             "%c0%ae%c0%ae",
	"overlong slash":       "%e0%80%af",
	"not UTF-8":            "%ff%fe",
	"twice encoded":        "%252e%252e%252f",
	"very long":            strings.Repeat("m", 5000),
	"full width":           "%EF%BD%8D%EF%BD%85",
	"from right to left":   "%E2%80%AEme",
	"combining":            "me%CC%81",
	"a line end":           "me%0d%0aX-" + marker + ":%201",
	"a space":              "me%20",
	"a script":             "%3Cscript%3E" + marker + "%3C/script%3E",
	"SQL":                  "me%27%20OR%20%271%27=%271",
	"a shell":              "$(" + marker + ")",
	"a template":           "%7Buser%7D",
	"a parameter of it":    "me;" + marker + "=1",
	"a condition's marker": "%23k",
	"a surrogate":          "%ed%a0%80",
}

// tricksFor gives the names of the tricks for the n-th of several parameters: all
// of them, or in the short form a share, so that together the parameters see each.
func tricksFor(n, parameters int) (names []string) {
	for i, name := range slices.Sorted(maps.Keys(tricks)) {
		if whole || i%parameters == n%parameters {
			names = append(names, name)
		}
	}
	return names
}

// queryAttacks puts each trick into each parameter of each list, and goes over
// each limit.
func queryAttacks() (all []attack) {
	const span = "from=2026-03-01&to=2026-03-02"
	parameters := []struct{ resource, name, beside string }{
		{readings, "type", ""}, {readings, "from", ""}, {readings, "to", ""}, {readings, "page_size", ""}, {readings, "page_token", ""}, {readings, "since", ""},
		{recordings, "page_size", ""}, {recordings, "page_token", ""}, {recordings, "since", ""}, {recorded, "page_size", ""}, {recorded, "page_token", ""},
		{days, "type", span}, {days, "from", "to=2026-03-02"}, {days, "to", "from=2026-03-01"}, {days, "page_size", span}, {days, "page_token", span},
	}
	for n, p := range parameters {
		for _, trick := range tricksFor(n, len(parameters)) {
			want := fault.BadRequest
			if p.name == "page_token" && !slices.Contains([]string{"NUL", "a line end", "very long"}, trick) {
				want = fault.BadPageToken // the others are refused before anybody asks what they are
			}
			all = append(all, attack{"query, " + p.name + " of " + p.resource + ", " + trick, want, get(p.resource, strings.TrimPrefix(p.beside+"&", "&")+p.name+"="+tricks[trick])})
		}
	}
	for _, c := range []struct {
		name  string
		want  fault.Kind
		query string
	}{
		{"366 days", accepted, "from=2026-01-01&to=2027-01-02"},
		{"367 days", fault.BadRequest, "from=2026-01-01&to=2027-01-03"},
		{"ten thousand years", fault.BadRequest, "from=0001-01-01&to=9999-12-31"},
		{"a day of nowhere", fault.BadRequest, "from=2026-02-30&to=2026-03-02"},
		{"no span", fault.BadRequest, ""},
	} {
		all = append(all, attack{"query of days, " + c.name, c.want, get(days, c.query)})
	}
	for _, c := range []struct {
		name  string
		want  fault.Kind
		query string
	}{
		{"64 types", accepted, strings.Repeat("type=omh:heart-rate&", 63) + "type=omh:heart-rate"},
		{"65 types", fault.BadRequest, strings.Repeat("type=omh:heart-rate&", 64) + "type=omh:heart-rate"},
		{"a page token of 4,096 bytes", fault.BadPageToken, "page_token=" + strings.Repeat("A", 4096)},
		{"a page token of 4,097 bytes", fault.BadRequest, "page_token=" + strings.Repeat("A", 4097)},
		{"page_size of 1,000", accepted, "page_size=1000"},
		{"page_size of 1,001", fault.BadRequest, "page_size=1001"},
		{"page_size of 0", fault.BadRequest, "page_size=0"},
		{"a negative page_size", fault.BadRequest, "page_size=-1"},
		{"page_size with an exponent", fault.BadRequest, "page_size=1e2"},
		{"an endless page_size", fault.BadRequest, "page_size=" + strings.Repeat("9", 3000)},
		{"a parameter twice", fault.BadRequest, "page_size=1&page_size=2"},
		{"a parameter 65 times", fault.BadRequest, strings.Repeat("page_size=1&", 64) + "page_size=1"},
		{"an unknown parameter", fault.BadRequest, marker + "=1"},
		{"an unknown parameter of nothing", fault.BadRequest, marker},
		{"another case", fault.BadRequest, "Page_Size=1"},
		{"an array", fault.BadRequest, "page_size[]=1"},
		{"a time without an offset", fault.BadRequest, "from=2026-03-01T00:00:00"},
		{"a year of five digits", fault.BadRequest, "from=12026-03-01T00:00:00Z"},
		{"an empty span", accepted, "from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z"},
	} {
		all = append(all, attack{"query, " + c.name, c.want, get(readings, c.query)})
	}
	return all
}

// headerAttacks is what stands beside a body.
func headerAttacks() (all []attack) {
	good := post(readings, mediaJSON, batch(heartRate(newUUID(3, 5), day(5), "71", "beats/min")))
	for name, key := range map[string]string{
		"of 256": strings.Repeat("k", 256), "of 1,000": strings.Repeat("k", 1000), "not ASCII": "schl\u00fcssel" + marker, "not UTF-8": "\xff\xfe", "a tab": "a\tb",
	} {
		all = append(all, attack{"header, an idempotency key, " + name, fault.BadRequest, good.with("Idempotency-Key", key)})
	}
	all = append(all, attack{"header, an idempotency key that is a path", accepted, good.with("Idempotency-Key", "../../etc/passwd#"+marker)})
	for _, name := range []string{"traceparent", "tracestate", "baggage", "X-Request-Id", "X-Forwarded-For", "X-Forwarded-Host", "X-HTTP-Method-Override", "X-Original-URL",
		"X-Amzn-Trace-Id", "Forwarded", "User-Agent", "Referer", "Cookie", "If-Match", "Range"} {
		all = append(all, attack{"header, " + name, accepted, good.with(name, marker+"${jndi:ldap://127.0.0.1/}")})
	}
	return append(all, attack{"header, another method by a header", accepted, get(readings, "").with("X-HTTP-Method-Override", http.MethodDelete)})
}
