package openmhealth

import (
	"slices"

	"fitvault/shared/reading"
)

// Schema names a published schema, as a header's schema_id does.
type Schema struct {
	reading.Type
	Version string
}

func schema(namespace, name, version string) Schema {
	return Schema{reading.Type{Namespace: namespace, Name: name}, version}
}

// Serves reports whether a type is taken in, in whatever version.
func Serves(t reading.Type) bool {
	return slices.ContainsFunc(Served, func(s Schema) bool { return s.Type == t })
}

// Served is the schemas of the bodies that intake takes: every numbered version
// that was published of these types (X-1.x is an alias). A new type is one more
// line here, and its files in schemas/.
var Served = []Schema{
	schema("omh", "body-temperature", "1.0"),
	schema("omh", "body-temperature", "2.0"),
	schema("omh", "body-temperature", "3.0"),
	schema("omh", "body-temperature", "4.0"),
	schema("omh", "body-weight", "1.0"),
	schema("omh", "body-weight", "2.0"),
	schema("omh", "body-weight", "3.0"),
	schema("omh", "calories-burned", "1.0"),
	schema("omh", "calories-burned", "2.0"),
	schema("omh", "heart-rate", "1.0"), // all three allow beats/min only
	schema("omh", "heart-rate", "1.1"),
	schema("omh", "heart-rate", "2.0"),
	schema("omh", "oxygen-saturation", "1.0"),
	schema("omh", "oxygen-saturation", "2.0"),
	schema("omh", "physical-activity", "1.0"),
	schema("omh", "physical-activity", "1.1"),
	schema("omh", "physical-activity", "1.2"),
	schema("omh", "respiratory-rate", "1.0"),
	schema("omh", "respiratory-rate", "2.0"),
	schema("omh", "rr-interval", "1.0"),
	schema("omh", "sleep-duration", "1.0"),
	schema("omh", "sleep-duration", "2.0"),
	schema("omh", "sleep-episode", "1.0"),
	schema("omh", "sleep-episode", "1.1"),
	schema("omh", "step-count", "1.0"),
	schema("omh", "step-count", "2.0"),
	schema("omh", "step-count", "3.0"),
	schema("omh", "total-sleep-time", "1.0"),
	schema("ieee", "body-weight", "0.1"),
	schema("ieee", "physical-activity", "1.0"),
	schema("ieee", "sleep-episode", "1.0"),
	schema("ieee", "total-sleep-time", "1.0"),
}

// The two headers. Open mHealth's 1.2 allows, of known members, all that 1.0 and
// 1.1 allow, so it decides for the three.
var (
	HeaderIEEE = schema("ieee", "header", "1.0")
	HeaderOMH  = schema("omh", "header", "1.2")
)
