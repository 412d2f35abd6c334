package gpx

import (
	"math"
	"strconv"
	"strings"

	x "fitvault/shared/strictxml"
)

// model is what the lenient reading knows of GPX (docs/lenient.md).
var model = func() *x.Element {
	decimal := x.Number(false, math.Inf(-1), math.Inf(1), false)
	double := x.Number(true, math.Inf(-1), math.Inf(1), false)
	beats, revolutions, degrees := x.Integer(1, 255), x.Integer(0, 254), x.Number(false, 0, 360, false)
	text := func(text string) (string, string, bool) { return text, "", true }

	// Written beside or inside extensions without the namespace that they have.
	hidden := []*x.Element{
		{Name: "speed", Value: decimal}, {Name: "hr", Value: beats}, {Name: "heartrate", Value: beats}, {Name: "cad", Value: revolutions},
		{Name: "cadence", Value: revolutions}, {Name: "power", Value: x.Integer(0, 65535)}, {Name: "distance", Value: decimal},
	}
	sensors := func(space string, more ...*x.Element) *x.Element {
		return &x.Element{Name: "TrackPointExtension", Space: space, Hidden: hidden, Children: append(append([]*x.Element{
			{Name: "atemp", Value: double}, {Name: "wtemp", Value: double}, {Name: "depth", Value: double},
			{Name: "hr", Value: beats}, {Name: "cad", Value: revolutions},
		}, more...), &x.Element{Name: "Extensions", Kind: x.Extension})}
	}
	extensions := &x.Element{Name: "extensions", Kind: x.Extension, Hidden: hidden, Children: []*x.Element{
		sensors(spaceV1),
		sensors(spaceV2, &x.Element{Name: "speed", Value: double}, &x.Element{Name: "course", Value: degrees}, &x.Element{Name: "bearing", Value: degrees}),
	}}
	point := func(name string) *x.Element {
		description := func(name string) *x.Element {
			return &x.Element{Name: name, Kind: x.Description, Probe: document(`<_:wpt lat="0" lon="0">{here}</_:wpt>`)}
		}
		link := description("link")
		link.Many = true
		return &x.Element{Name: name, Kind: x.Each, Many: true, Hidden: hidden,
			Attributes: []x.Attribute{
				{Name: "lat", Required: true, Value: x.Number(false, -90, 90, false)},
				{Name: "lon", Required: true, Value: longitude},
			},
			Children: []*x.Element{
				{Name: "ele", Value: decimal}, {Name: "time", Value: x.Time}, {Name: "magvar", Value: x.Number(false, 0, 360, true)},
				{Name: "geoidheight", Value: decimal},
				description("name"), description("cmt"), description("desc"), description("src"), link, description("sym"), description("type"),
				{Name: "fix", Value: x.Word("", x.ForgiveWord, "none", "2d", "3d", "dgps", "pps")},
				{Name: "sat", Value: x.Integer(0, math.MaxInt32)}, {Name: "hdop", Value: decimal}, {Name: "vdop", Value: decimal},
				{Name: "pdop", Value: decimal}, {Name: "ageofdgpsdata", Value: decimal}, {Name: "dgpsid", Value: x.Integer(0, 1023)},
				extensions,
			}}
	}
	// The descriptions that tracks and routes begin with.
	about := func(of string) []*x.Element {
		description := func(name string, many bool) *x.Element {
			return &x.Element{Name: name, Kind: x.Description, Many: many, Probe: document("<_:" + of + ">{here}</_:" + of + ">")}
		}
		return []*x.Element{
			description("name", false), description("cmt", false), description("desc", false), description("src", false),
			description("link", true), description("number", false), {Name: "type", Value: text}, description("extensions", false),
		}
	}
	segment := &x.Element{Name: "trkseg", Kind: x.Container, Many: true, Children: []*x.Element{
		point("trkpt"),
		{Name: "extensions", Kind: x.Description, Probe: document("<_:trk><_:trkseg>{here}</_:trkseg></_:trk>")},
	}}
	return &x.Element{Name: "gpx", Space: spaceGPX, Kind: x.Container,
		Attributes: []x.Attribute{
			{Name: "version", Required: true, Missing: "1.1", Value: version},
			{Name: "creator", Required: true, Missing: "unknown"},
		},
		Children: []*x.Element{
			{Name: "metadata", Kind: x.Description, Probe: document("{here}")},
			point("wpt"),
			{Name: "rte", Kind: x.Container, Many: true, Children: append(about("rte"), point("rtept"))},
			{Name: "trk", Kind: x.Container, Many: true, Children: append(about("trk"), segment)},
			{Name: "extensions", Kind: x.Description, Probe: document("{here}")},
		}}
}()

// longitude is one of the schema, which does not have 180 but has -180.
func longitude(text string) (string, string, bool) {
	t := strings.Trim(text, x.Whitespace)
	if f, err := strconv.ParseFloat(t, 64); err == nil && f == 180 {
		return "-180", x.ForgiveRange, true
	}
	return x.Number(false, -180, 180, true)(text)
}

// version is that of the schema. The namespace says which GPX a document is.
func version(text string) (string, string, bool) {
	if text == "1.1" {
		return text, "", true
	}
	return "1.1", x.ForgiveWord, true
}

func document(inside string) string {
	return `<_:gpx xmlns:_="` + spaceGPX + `" version="1.1" creator=""{spaces}>` + inside + `</_:gpx>`
}
