package tcx_test

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"fitvault/shared/fault"
	"fitvault/shared/recording"
	"fitvault/shared/tcx"
)

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// The worst documents of 32 MiB that we could think of: CPU time and memory of
// each, for docs/adr/0013. It takes minutes and holds nothing, so it runs only
// when asked for, with WORST=1.
func TestWorst(t *testing.T) {
	if os.Getenv("WORST") == "" {
		t.Skip("minutes: set WORST=1")
	}
	const size = 32<<20 - 4096
	fill := func(before, unit, after string) string {
		return before + strings.Repeat(unit, (size-len(before)-len(after))/len(unit)) + after
	}
	head, tail, _ := strings.Cut(recorded("@"), "@")
	ext, extEnd, _ := strings.Cut(point("2026-05-04T05:25:00Z", "<Extensions>@</Extensions>"), "@")
	var nested, nestedEnd string
	for i := 0; i < 22; i++ {
		nested += fmt.Sprintf(`<v%d:a xmlns:v%d="urn:%d" xmlns:w%d="urn:w%d">`, i, i, i, i, i)
		nestedEnd = fmt.Sprintf(`</v%d:a>`, i) + nestedEnd
	}
	attrs := ""
	for i := 0; i < 31; i++ {
		attrs += fmt.Sprintf(` a%d=""`, i)
	}
	pattrs := ` xmlns:q="urn:q"`
	for i := 0; i < 31; i++ {
		pattrs += fmt.Sprintf(` q:a%d=""`, i)
	}
	for _, c := range []struct{ name, document string }{
		{"plain trackpoints", fill(head+"<Track>", "<Trackpoint><Time>2026-05-04T05:25:00Z</Time></Trackpoint>", "</Track>"+tail)},
		{"real trackpoints", fill(head+"<Track>", "<Trackpoint>\n<Time>2026-05-04T05:25:00.000Z</Time><Position><LatitudeDegrees>48.137112356</LatitudeDegrees><LongitudeDegrees>11.57541235</LongitudeDegrees></Position><AltitudeMeters>519.2000122070312</AltitudeMeters><DistanceMeters>12.5</DistanceMeters><HeartRateBpm><Value>120</Value></HeartRateBpm><Cadence>80</Cadence></Trackpoint>\n", "</Track>"+tail)},
		{"trackpoints that are not plain", fill(head+"<Track>", "<Trackpoint><Time>2026-05-04T05:25:00+02:00</Time></Trackpoint>", "</Track>"+tail)},
		{"trackpoints nearly plain", fill(head+"<Track>", "<Trackpoint><Time>2026-05-04T05:25:00Z</Time><AltitudeMeters>1</AltitudeMeters><DistanceMeters>1</DistanceMeters><Cadence>1</Cadence ></Trackpoint>", "</Track>"+tail)},
		{"empty elements", fill(ext, "<v:a/>", extEnd)},
		{"short elements", fill(ext, "<v:a></v:a>", extEnd)},
		{"laps invalid", fill(head, "<a/>", tail)},
		{"points invalid", fill(head+"<Track>", "<Trackpoint/>", "</Track>"+tail)},
		{"HR undefined", fill(head+"<Track>", "<Trackpoint><Time>2026-05-04T05:25:00Z</Time><HeartRateBpm>undefined</HeartRateBpm></Trackpoint>", "</Track>"+tail)},
		{"nested declarations", fill(ext+nested, `<v0:b xmlns:x1="urn:1"/>`, nestedEnd+extEnd)},
		{"nested declarations 2", fill(ext, nested+nestedEnd, extEnd)},
		{"attributes", fill(ext, `<v:a`+attrs+`/>`, extEnd)},
		{"prefixed attributes", fill(ext, `<v:a`+pattrs+`/>`, extEnd)},
		{"one-attribute tags", fill(ext, `<v:a a=""/>`, extEnd)},
		{"namespace names", fill(ext, `<v:a xmlns:q="urn:q"/>`, extEnd)},
		{"references", fill(head+"<Notes/>", "&#32;", tail)},
		{"references in notes", fill(head, "<Notes>"+strings.Repeat("&amp;", 40000)+"</Notes>", tail)},
		{"long numbers", fill(head+"<Track>", "<Trackpoint><Time>2026-05-04T05:25:00Z</Time><AltitudeMeters>"+strings.Repeat("9", 250000)+"</AltitudeMeters></Trackpoint>", "</Track>"+tail)},
		{"comments", fill(head, "<!---->", tail)},
		{"creators", fill(strings.TrimSuffix(head+"</Lap></Activity></Activities>"+closing, "</Activity></Activities>"+closing), "<Creator/>", "</Activity></Activities>"+closing)},
		{"ids", fill(opening+"<Activities>", activity("Running", "2026-05-04T05:25:00Z", lap("2026-05-04T05:25:00Z", "1", "")), "</Activities>"+closing)},
		{"activities without an id", fill(opening+"<Activities>", `<Activity><Lap/></Activity>`, "</Activities>"+closing)},
		{"lines", fill(head, "\n", tail+"<a/>")},
	} {
		for _, lenient := range []bool{false, true} {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			begin := cpu()
			s, err := tcx.Format.Parse(func() io.Reader { return strings.NewReader(c.document) }, recording.DefaultLimits, lenient)
			took := cpu() - begin
			runtime.ReadMemStats(&after)
			t.Logf("%-32s lenient=%v %6.2fs alloc %4d MB %v %v points=%d forgiven=%d", c.name, lenient, took.Seconds(), (after.TotalAlloc-before.TotalAlloc)>>20, fault.KindOf(err), err, s.Trackpoints, len(s.Forgiven))
		}
	}
}
