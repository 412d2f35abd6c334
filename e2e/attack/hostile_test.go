package attack

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"fitvault/e2e/attack/bootstrap"
	"fitvault/e2e/stack"
	"fitvault/shared/fault"
)

// marker is in whatever a hostile request can hold it, and in no answer.
const marker = "canaryMARKER7391"

// accepted is the kind of what is no attack: the control beside one, at a limit.
const accepted fault.Kind = ""

// attack is one hostile request and what wire.md says of it.
type attack struct {
	name string
	want fault.Kind
	request
}

// TestHostileInput sends each attack through the gateway and past it. Each is
// refused as wire.md says, by a problem that shows nothing of it; the process
// lives on and answers the next request; and none has ever held more memory than
// the function is configured with.
func TestHostileInput(t *testing.T) {
	s := stack.Open(t)
	s.UseDatabase(t)
	p := s.Newcomer(t)
	listener := listen(t)
	all := slices.Concat(jsonAttacks(), xmlAttacks(listener.address), gzipAttacks(), consentAttacks(), queryAttacks(), headerAttacks())

	own := map[string]*bootstrap.Process{} // one of each function, to which we are the only caller
	memory := map[string]int64{}
	for _, function := range []string{"IngestFunction", "ReadingsFunction", "HistoryFunction", "EnrolFunction"} {
		code := bootstrap.Deployed(t, s, s.Output(t, function))
		process, err := code.Start(t, s.Endpoints.AWS)
		require.NoError(t, err)
		own[function], memory[function] = process, code.Memory
	}

	for i, a := range all {
		t.Run(a.name, func(t *testing.T) {
			next := nextRequest(a.request)
			a.judge(t, a.send(t, p))
			if whole || i%4 == 0 {
				require.Equal(t, http.StatusOK, next.send(t, p).Status, "the next request")
			}
			process := own[a.function()]
			answer, err := process.Invoke(a.event(p), patience)
			require.NoError(t, err, "%s", process.Output())
			a.judge(t, answer)
			answer, err = process.Invoke(next.event(p), patience)
			require.NoError(t, err, "%s", process.Output())
			require.Equal(t, http.StatusOK, answer.Status, "the next request")
			require.Less(t, process.Peak(t), memory[a.function()])
		})
	}

	require.Zero(t, listener.seen.Load(), "an attack made somebody connect to the listener")
	for function, process := range own {
		require.NotContains(t, process.Output(), marker)
		t.Logf("%s: peak %d of %d MiB", function, process.Peak(t)>>20, memory[function]>>20)
	}
	for _, is := range processes(t, s) {
		if limit, ours := memory[is.output]; ours {
			require.Less(t, bootstrap.Peak(t, is.pid), limit, is.output)
		}
	}
	requireNoCrash(t)
}

// judge holds an answer against what the attack must get.
func (a attack) judge(t *testing.T, answer stack.Answer) {
	t.Helper()
	if a.want == accepted {
		require.Contains(t, []int{http.StatusOK, http.StatusCreated}, answer.Status, "%.300s", answer.Body)
		return
	}
	answer.RequireProblem(t, a.want, marker)
	var problem struct {
		Errors []struct{ Pointer, Rule string }
	}
	answer.JSON(t, &problem)
	for _, e := range problem.Errors { // schema members and positions; a rule's name
		require.Regexp(t, `^(/[A-Za-z0-9_.-]{1,64})*$`, e.Pointer)
		require.Regexp(t, `^[a-z][A-Za-z-]{1,40}$`, e.Rule)
	}
}

// nextRequest is an ordinary request to the function that an attack went to.
func nextRequest(r request) request {
	switch r.function() {
	case "IngestFunction":
		return post(readings, mediaJSON, batch(heartRate(newUUID(3, 0), day(0), "71", "beats/min")))
	case "EnrolFunction":
		return get(consents, "")
	case "HistoryFunction":
		return get(days, "from=2026-03-01&to=2026-03-08")
	}
	return get(r.resource, "").forList()
}

// forList turns a request for one recording into one for the list.
func (r request) forList() request {
	if r.resource == recorded {
		r.resource = recordings
	}
	return r
}

// listener counts who connects to it.
type listener struct {
	address string // URL
	seen    atomic.Int64
}

func listen(t *testing.T) *listener {
	l := &listener{}
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			l.seen.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	l.address = server.URL
	return l
}

func jsonAttacks() []attack {
	good := heartRate(newUUID(3, 1), day(1), "71", "beats/min")
	one := func(name string, want fault.Kind, body string) attack {
		return attack{"JSON, " + name, want, post(readings, mediaJSON, []byte(body))}
	}
	changed := func(old, new string) string { return "[" + strings.Replace(good, old, new, 1) + "]" }
	value := func(v string) string { return changed(`"value":71`, `"value":`+v) }
	noted := func(v string) string { return changed(`"modality":"sensed"`, `"modality":`+v) }
	padded := func(n int) string { return "[" + good + strings.Repeat(" ", n-len(good)-2) + "]" }
	// A record counts with the white space before it.
	large := func(n int) string { return "[" + strings.Repeat(" ", n-len(good)) + good + "]" }
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	objects := func(n int) string { return strings.Repeat(`{"`+marker+`":`, n) + "1" + strings.Repeat("}", n) }
	members := func(n int, name string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"%s%d":1,`, name, i)
		}
		return b.String()
	}
	utf7 := strings.NewReplacer("[", "+AFs-", "]", "+AF0-", "{", "+AHs-", "}", "+AH0-", `"`, "+ACI-").Replace("[" + good + "]")
	head, body, _ := strings.Cut(strings.TrimSuffix(good, "}"), `,"body":`)
	of := func(body string) string { return head + `,"body":` + body + "}" } // a data series, or nearly
	bodies := func(n int) string { return of("[" + strings.Repeat(body+",", n-1) + body + "]") }
	list := []attack{
		one("a series of 1,000", accepted, bodies(1000)),
		one("a series of 1,001", fault.TooLarge, bodies(1001)),
		one("a series of nothing", fault.Invalid, of("[]")),
		one("a series of series", fault.Invalid, of("["+bodies(2)+"]")),
		one("a series of lists", fault.Invalid, of("[["+body+"]]")),
		one("a series in a list", fault.Invalid, "["+bodies(2)+"]"),
		one("a series with an unknown member", fault.Invalid, of("["+body+`],"`+marker+`":[1`+"]")),
		one("a series with two bodies", fault.BadRequest, of("["+body+`],"body":[`+body+"]")),
		one("1 MiB", accepted, padded(1<<20)),
		one("1 MiB and one byte", fault.TooLarge, padded(1<<20+1)),
		one("4 MiB", fault.TooLarge, padded(4<<20)),
		one("a record of 256 KiB", accepted, large(256<<10)),
		one("a record of 256 KiB and one byte", fault.Invalid, large(256<<10+1)),
		one("1,000 records", accepted, "["+strings.Repeat("1,", 999)+good+"]"),
		one("1,001 records", fault.TooLarge, "["+strings.Repeat("1,", 1000)+good+"]"),
		one("100,001 records", fault.TooLarge, "["+strings.Repeat("1,", 100_000)+good+"]"),
		one("depth 32", fault.Invalid, nested(32)),
		one("depth 33", fault.TooLarge, nested(33)),
		one("depth 10,000", fault.TooLarge, nested(10_000)),
		one("depth 10,000, objects", fault.TooLarge, objects(10_000)),
		one("depth 500,000, not closed", fault.TooLarge, strings.Repeat("[", 500_000)),
		one("depth within a member", fault.TooLarge, noted(nested(10_000))),
		one("no body", fault.BadRequest, ""),
		one("an empty list", fault.Invalid, "[]"),
		one("only white space", fault.BadRequest, strings.Repeat(" ", 1000)),
		one("cut off", fault.BadRequest, "["+good),
		one("two values", fault.BadRequest, "["+good+"]["+good+"]"),
		one("a comment", fault.BadRequest, "/*"+marker+"*/["+good+"]"),
		one("a last comma", fault.BadRequest, "["+good+",]"),
		one("XML", fault.BadRequest, string(ride(day(1), "Running", ""))),
		one("an unknown member", fault.Invalid, changed(`"modality"`, `"`+marker+`":"`+marker+`","modality"`)),
		one("duplicate keys", fault.BadRequest, changed(`"modality"`, `"modality":"`+marker+`","modality"`)),
		one("duplicate keys by escape", fault.BadRequest, changed(`"modality"`, `"\u006dodality":"`+marker+`","modality"`)),
		one("duplicate unknown keys", fault.BadRequest, changed(`"modality"`, `"`+marker+`":1,"`+marker+`":2,"modality"`)),
		one("__proto__", fault.Invalid, changed(`"modality"`, `"__proto__":{"`+marker+`":1},"modality"`)),
		one("40,000 members", fault.Invalid, changed(`"modality"`, members(10_000, marker)+`"modality"`)),
		one("a member's name of 200 KB", fault.Invalid, changed(`"modality"`, `"`+strings.Repeat(marker, 12_000)+`":1,"modality"`)),
		one("a text of 200 KB", fault.Invalid, noted(`"`+strings.Repeat(marker, 12_000)+`"`)),
		one("1e999", fault.Invalid, value("1e999")),
		one("1e-999999999", fault.Invalid, value("1e-999999999")),
		one("1e999999999999999999999", fault.Invalid, value("1e999999999999999999999")),
		one("35 digits", fault.Invalid, value(strings.Repeat("7", 35))),
		one("a number of 200,000 digits", fault.Invalid, value(strings.Repeat("7", 200_000))),
		one("NaN", fault.BadRequest, value("NaN")),
		one("Infinity", fault.BadRequest, value("-Infinity")),
		one("hexadecimal", fault.BadRequest, value("0x47")),
		one("a leading zero", fault.BadRequest, value("071")),
		one("a number as text", fault.Invalid, value(`"71`+marker+`"`)),
		one("a NUL byte", fault.BadRequest, noted("\"sen\x00sed\"")),
		one("a NUL byte behind", fault.BadRequest, "["+good+"]\x00"),
		one("an escaped NUL", fault.Invalid, noted(`"sensed\u0000`+marker+`"`)),
		one("a control character", fault.BadRequest, noted("\"sensed\n\"")),
		one("a lone high surrogate", fault.BadRequest, noted(`"\ud83d`+marker+`"`)),
		one("a lone low surrogate", fault.BadRequest, noted(`"\ude00`+marker+`"`)),
		one("surrogates in the wrong order", fault.BadRequest, noted(`"\ude00\ud83d"`)),
		one("a lone surrogate in a name", fault.BadRequest, changed(`"modality"`, `"\ud83d":1,"modality"`)),
		one("a surrogate in UTF-8", fault.BadRequest, noted("\"\xed\xa0\x80\"")),
		one("overlong UTF-8", fault.BadRequest, noted("\"\xc0\xae\xc0\xae\"")),
		one("not UTF-8", fault.BadRequest, noted("\"\xff"+marker+"\"")),
		one("a byte order mark", fault.BadRequest, "\xef\xbb\xbf["+good+"]"),
		one("UTF-16 little-endian", fault.BadRequest, inUTF16("["+good+"]", false)),
		one("UTF-16 big-endian with a mark", fault.BadRequest, inUTF16("\ufeff["+good+"]", true)),
		one("UTF-7", fault.BadRequest, utf7),
		one("a foreign user id", fault.Invalid, changed(`"modality"`, `"user_id":"`+marker+`","modality"`)),
		one("a path as schema", fault.Invalid, changed(`"name":"heart-rate"`, `"name":"../../../etc/passwd`+marker+`"`)),
		one("an address as schema", fault.Invalid, changed(`"namespace":"omh"`, `"namespace":"http://127.0.0.1/`+marker+`"`)),
		one("a time of nowhere", fault.Invalid, changed(day(1).Format(time.RFC3339), "2026-13-32T25:61:61Z"+marker)),
		one("gzip without its type", fault.BadRequest, string(gzipOf([]byte("["+good+"]")))),
	}
	for _, media := range []string{"", "text/plain", "application/" + marker, "application/json; charset=utf-16", "application/json; charset=utf-7",
		"application/json; " + marker + "=1", "application/jsonx", "application/json, " + mediaTCX, mediaTCX, strings.Repeat("a", 500) + "/json"} {
		list = append(list, attack{"JSON, as " + media, fault.UnsupportedType, post(readings, media, batch(good))})
	}
	return append(list, attack{"JSON, a content encoding", fault.UnsupportedType, post(readings, mediaJSON, gzipOf(batch(good))).with("Content-Encoding", "gzip")})
}

// inUTF16 is a text in UTF-16, big- or little-endian.
func inUTF16(text string, big bool) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		high, low := byte(unit>>8), byte(unit)
		if big {
			b = append(b, high, low)
		} else {
			b = append(b, low, high)
		}
	}
	return string(b)
}

// filled is a document with comments behind it, n bytes together.
func filled(document string, n int) string {
	const piece = 1000
	var b strings.Builder
	b.WriteString(document)
	for left := n - len(document); left > 0; left = n - b.Len() {
		size := min(left, piece)
		if left > piece && left < 2*piece {
			size = left / 2 // so that no rest is too short for a comment
		}
		b.WriteString("<!--" + strings.Repeat(" ", size-len("<!---->")) + "-->")
	}
	return b.String()
}

func xmlAttacks(listener string) []attack {
	const declaration = `<?xml version="1.0" encoding="UTF-8"?>`
	document := func(inner string) string { return string(ride(day(2), "Running", inner)) }
	good := strings.TrimPrefix(document(""), declaration)
	notes := func(inner string) string { return document("<Notes>" + inner + "</Notes>") }
	extended := func(inner string) string {
		return document(`<Extensions xmlns:v="urn:vendor">` + inner + `</Extensions>`)
	}
	one := func(name string, want fault.Kind, body string) attack {
		return attack{"XML, " + name, want, post(recordings, mediaTCX, []byte(body))}
	}
	deep := func(n int) string {
		const above = 4 // TrainingCenterDatabase, Activities, Activity, Extensions
		return extended(strings.Repeat("<v:a>", n-above) + strings.Repeat("</v:a>", n-above))
	}
	attributes := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, ` a%d=""`, i)
		}
		return extended("<v:a" + b.String() + "/>")
	}
	laughs := `<!DOCTYPE lolz [<!ENTITY a "` + marker + `">`
	for c := 'b'; c <= 'j'; c++ {
		laughs += fmt.Sprintf("<!ENTITY %c \"%s\">", c, strings.Repeat(fmt.Sprintf("&%c;", c-1), 10))
	}
	entity := func(id string) string {
		return declaration + `<!DOCTYPE x [<!ENTITY e SYSTEM "` + id + `">]>` + strings.TrimPrefix(notes("&e;"), declaration)
	}
	encoded := func(encoding, text string) string {
		return `<?xml version="1.0" encoding="` + encoding + `"?>` + text
	}
	return []attack{
		one("4.5 MB", accepted, filled(document(""), 4_500_000)),
		one("4.5 MB and one byte", fault.TooLarge, filled(document(""), 4_500_001)),
		one("depth 32", accepted, deep(32)),
		one("depth 33", fault.TooLarge, deep(33)),
		one("depth 10,000", fault.TooLarge, deep(10_000)),
		one("depth 10,000, not closed", fault.TooLarge, strings.Repeat("<a>", 10_000)),
		one("32 attributes", accepted, attributes(32)),
		one("33 attributes", fault.TooLarge, attributes(33)),
		one("100,000 attributes", fault.TooLarge, attributes(100_000)),
		one("a text of 256 KiB", accepted, notes(strings.Repeat("a", 256<<10))),
		one("a text of 1 MiB and one byte", fault.TooLarge, notes(strings.Repeat("a", 1<<20+1))),
		one("a name of 2 MB", fault.TooLarge, "<"+strings.Repeat("a", 2_000_000)),
		one("a CDATA section of 4 MB", fault.TooLarge, notes("<![CDATA["+strings.Repeat("a", 4_000_000)+"]]>")),
		one("a million tags that begin", fault.TooLarge, strings.Repeat("<", 4_000_000)),
		one("a DTD", fault.BadRequest, declaration+"<!DOCTYPE TrainingCenterDatabase>"+good),
		one("billion laughs", fault.BadRequest, laughs+"]>"+strings.TrimPrefix(notes("&j;"), declaration)),
		one("quadratic blow-up", fault.BadRequest, `<!DOCTYPE x [<!ENTITY a "`+strings.Repeat("a", 50_000)+`">]>`+strings.TrimPrefix(notes(strings.Repeat("&a;", 50_000)), declaration)),
		one("an external entity, file", fault.BadRequest, entity("file:///etc/passwd")),
		one("an external entity, address", fault.BadRequest, entity(listener+"/"+marker)),
		one("an external entity, expect", fault.BadRequest, entity("expect://id")),
		one("an external DTD", fault.BadRequest, declaration+`<!DOCTYPE x SYSTEM "`+listener+`/x.dtd">`+good),
		one("a public DTD", fault.BadRequest, declaration+`<!DOCTYPE x PUBLIC "-//x//y" "`+listener+`/x.dtd">`+good),
		one("a parameter entity", fault.BadRequest, declaration+`<!DOCTYPE x [<!ENTITY % e SYSTEM "`+listener+`/x.dtd"> %e;]>`+good),
		one("an address as schema", accepted, strings.Replace(document(""), "<Activities>",
			`<Activities xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://www.garmin.com/xmlschemas/TrainingCenterDatabase/v2 `+listener+`/x.xsd">`, 1)),
		one("a style sheet", accepted, declaration+`<?xml-stylesheet href="`+listener+`/x.xsl"?>`+good),
		one("XInclude", fault.Invalid, document(`<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="`+listener+`/x"/>`)),
		one("an entity that nobody declared", fault.BadRequest, notes("&"+marker+";")),
		one("UTF-16 little-endian", fault.BadRequest, inUTF16(encoded("UTF-16", good), false)),
		one("UTF-16 big-endian with a mark", fault.BadRequest, inUTF16("\ufeff"+encoded("UTF-16", good), true)),
		one("UTF-16 declared only", fault.BadRequest, encoded("UTF-16", good)),
		one("UTF-7", fault.BadRequest, encoded("UTF-7", strings.ReplaceAll(good, "<", "+ADw-"))),
		one("UTF-7 declared only", fault.BadRequest, encoded("UTF-7", good)),
		one("Latin 1", fault.BadRequest, encoded("ISO-8859-1", strings.TrimPrefix(notes("\xe4"), declaration))),
		one("XML 1.1", fault.BadRequest, `<?xml version="1.1"?>`+good),
		one("not UTF-8", fault.BadRequest, notes("\xe4")),
		one("overlong UTF-8", fault.BadRequest, notes("\xc0\xbc")),
		one("a surrogate in UTF-8", fault.BadRequest, notes("\xed\xa0\x80")),
		one("a surrogate by reference", fault.BadRequest, notes("&#xD83D;")),
		one("NUL", fault.BadRequest, notes("\x00")),
		one("NUL by reference", fault.BadRequest, notes("&#0;")),
		one("duplicate attributes", fault.BadRequest, strings.Replace(document(""), `Sport="Running"`, `Sport="Running" Sport="`+marker+`"`, 1)),
		one("a prefix that nobody declared", fault.BadRequest, document("<"+marker+":a/>")),
		one("cut off", fault.BadRequest, document("")[:300]),
		one("two roots", fault.BadRequest, document("")+"<"+marker+"/>"),
		one("text behind", fault.BadRequest, document("")+marker),
		one("no body", fault.BadRequest, ""),
		one("JSON", fault.BadRequest, "{}"),
		one("an unknown element", fault.Invalid, document("<"+marker+"/>")),
		one("an unknown attribute", fault.Invalid, strings.Replace(document(""), "<Activities>", "<Activities "+marker+`="1">`, 1)),
		one("another root", fault.Invalid, "<"+marker+"/>"),
		one("a year of 100,000 digits", fault.Invalid, strings.Replace(document(""), "<Time>2026", "<Time>"+strings.Repeat("9", 100_000), 1)),
		one("a value of another type", fault.Invalid, strings.Replace(document(""), "<Value>71", "<Value>"+marker, 1)),
		one("a value of 100,000 digits", fault.Invalid, strings.Replace(document(""), "<Value>71", "<Value>"+strings.Repeat("7", 100_000), 1)),
		one("gzip without its type", fault.BadRequest, string(gzipOf([]byte(document(""))))),
		{"XML, as text/xml", fault.UnsupportedType, post(recordings, "text/xml", []byte(document("")))},
		{"XML, as JSON", fault.UnsupportedType, post(recordings, mediaJSON, []byte(document("")))},
		{"XML, charset=utf-16", fault.UnsupportedType, post(recordings, mediaTCX+"; charset=utf-16", []byte(document("")))},
		{"XML, a content encoding", fault.UnsupportedType, post(recordings, mediaTCX, gzipOf([]byte(document("")))).with("Content-Encoding", "gzip")},
	}
}

func consentAttacks() []attack {
	one := func(name string, want fault.Kind, body string) attack {
		return attack{"consent, " + name, want, request{method: http.MethodPut, resource: consents, media: mediaJSON, body: []byte(body)}}
	}
	const good = `{"version":"1","given":true}`
	return []attack{
		one("1,024 bytes", accepted, good+strings.Repeat(" ", 1024-len(good))),
		one("1,025 bytes", fault.TooLarge, good+strings.Repeat(" ", 1025-len(good))),
		one("depth", fault.BadRequest, strings.Repeat("[", 1000)),
		one("duplicate keys", fault.BadRequest, `{"version":"1","given":false,"given":true}`),
		one("another case", fault.Invalid, `{"version":"1","Given":true}`),
		one("an unknown member", fault.Invalid, `{"version":"1","given":true,"`+marker+`":1}`),
		one("an unknown language", fault.Invalid, `{"version":"1","given":true,"locale":"`+marker+`"}`),
		one("an unknown version", fault.Invalid, `{"version":"`+marker+`","given":true}`),
		one("a lone surrogate", fault.BadRequest, `{"version":"\ud83d","given":true}`),
		one("NUL", fault.BadRequest, "{\"version\":\"1\x00\",\"given\":true}"),
		one("UTF-16", fault.BadRequest, inUTF16(good, false)),
		one("a number", fault.Invalid, `{"version":1e999,"given":true}`),
	}
}
