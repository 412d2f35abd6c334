package e2e

import (
	"crypto/rand"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/e2e/search"
	"fitvault/shared/openmhealth"
	"fitvault/shared/openmhealth/generate"
	"fitvault/shared/reading"
)

// canaries are a note and three values that nobody has sent before.
type canaries struct {
	note   string
	values []string // decimal fractions of 11 digits, like 71.236548917
}

func newCanaries(t *testing.T) canaries {
	c := canaries{note: "canary" + rand.Text()}
	for _, whole := range []string{"71", "36", "48"} {
		n, err := rand.Int(rand.Reader, big.NewInt(1e8))
		require.NoError(t, err)
		c.values = append(c.values, fmt.Sprintf("%s.%08d7", whole, n))
	}
	return c
}

// sought are the canaries as a search looks for them.
func (c canaries) sought() []search.Canary {
	all := []search.Canary{search.Text("note", c.note)}
	for i, v := range c.values {
		all = append(all, search.Number(fmt.Sprintf("value %d", i), v))
	}
	return all
}

// freeText is members that must have taken a note; there are more.
var freeText = []string{
	"/body/user_notes", "/body/activity_name", "/body/descriptive_statistic_denominator",
	"/header/id", "/header/acquisition_provenance/source_name", "/header/acquisition_provenance/source_data_point_id",
	"/header/external_datasheets/*/datasheet_type", "/header/external_datasheets/*/datasheet_reference",
}

// points are data points of every served schema that hold canaries in every
// member that may hold one: each text and each number of a generated point is
// exchanged for a canary, and stays so where intake accepts it.
func (c canaries) points(t *testing.T, owner string) []reading.Value {
	rng := mathrand.New(mathrand.NewPCG(71, 36))
	var points []reading.Value
	where := map[string]bool{} // schema and member
	for _, schema := range openmhealth.Served {
		for range 8 {
			point := generate.Point(rng, schema, owner)
			held := map[string]bool{}
			c.plant(point, owner, point, "", held)
			fresh := false
			for member := range held {
				member = schema.String() + "-" + schema.Version + member
				fresh = fresh || !where[member]
				where[member] = true
			}
			if fresh {
				points = append(points, point)
			}
		}
	}
	for _, member := range freeText {
		require.True(t, slices.ContainsFunc(keys(where), func(w string) bool { return strings.HasSuffix(w, member) }), member)
	}
	for _, schema := range openmhealth.Served {
		require.True(t, slices.ContainsFunc(keys(where), func(w string) bool {
			return strings.HasPrefix(w, schema.String()+"-"+schema.Version+"/body/")
		}), "no member of %s %s takes a canary", schema, schema.Version)
	}
	return points
}

func keys(m map[string]bool) (all []string) {
	for k := range m {
		all = append(all, k)
	}
	return all
}

// plant goes through v, which is part of point, and notes in held where a
// canary has stayed.
func (c canaries) plant(point reading.Value, owner string, v reading.Value, at string, held map[string]bool) {
	for i := range v.List() {
		child := &v.List()[i]
		name := at + "/*"
		if v.Kind() == reading.Object {
			name = at + "/" + v.Names()[i]
		}
		if len(child.List()) > 0 {
			c.plant(point, owner, *child, name, held)
			continue
		}
		var tries []reading.Value
		switch child.Kind() {
		case reading.String:
			tries = []reading.Value{reading.StringValue(c.note), reading.StringValue("https://example.com/" + c.note)}
		case reading.Number:
			value, err := reading.NumberValue(c.values[len(held)%len(c.values)])
			if err != nil {
				panic(err) // a canary is a number
			}
			tries = []reading.Value{value}
		}
		was := *child
		for _, try := range tries {
			*child = try
			if _, err := openmhealth.Decode(point.AppendJSON(nil), owner, openmhealth.Intake); err == nil {
				held[name] = true
				was = try
				break
			}
		}
		*child = was
	}
}

// recording is a TCX document with canaries wherever one may write: notes, names,
// comments, extensions of others, and numbers.
func (c canaries) recording(day string) string {
	fill := strings.NewReplacer("NOTE", c.note, "DAY", day, "LATITUDE", c.values[2], "LONGITUDE", c.values[1], "ALTITUDE", c.values[0])
	return fill.Replace(`<?xml version="1.0" encoding="UTF-8"?>
<!-- NOTE -->
<TrainingCenterDatabase xmlns="http://www.garmin.com/xmlschemas/TrainingCenterDatabase/v2" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<Activities><Activity Sport="Biking"><Id>DAYT10:00:00Z</Id>
<Lap StartTime="DAYT10:00:00Z"><TotalTimeSeconds>ALTITUDE</TotalTimeSeconds><DistanceMeters>LATITUDE</DistanceMeters><MaximumSpeed>LONGITUDE</MaximumSpeed><Calories>7</Calories><Intensity>Active</Intensity><TriggerMethod>Manual</TriggerMethod>
<Track>
<Trackpoint><Time>DAYT10:00:00Z</Time><Position><LatitudeDegrees>LATITUDE</LatitudeDegrees><LongitudeDegrees>LONGITUDE</LongitudeDegrees></Position><AltitudeMeters>ALTITUDE</AltitudeMeters><DistanceMeters>LONGITUDE</DistanceMeters><HeartRateBpm><Value>71</Value></HeartRateBpm>
<Extensions><TPX xmlns="http://www.garmin.com/xmlschemas/ActivityExtension/v2"><Speed>LONGITUDE</Speed><Watts>17</Watts></TPX></Extensions></Trackpoint>
<Trackpoint><Time>DAYT10:00:01Z</Time><DistanceMeters>LATITUDE</DistanceMeters><Extensions><note xmlns="urn:example:NOTE">NOTE</note></Extensions></Trackpoint>
</Track><Notes>NOTE</Notes></Lap><Notes>A ride. NOTE</Notes>
<Creator xsi:type="Device_t"><Name>NOTE</Name><UnitId>7</UnitId><ProductID>7</ProductID><Version><VersionMajor>7</VersionMajor><VersionMinor>0</VersionMinor></Version></Creator>
</Activity></Activities></TrainingCenterDatabase>`)
}
