package openmhealth

import (
	"errors"
	"slices"
	"unicode"
	"unicode/utf8"

	"fitvault/shared/reading"
)

// judge holds a record against all rules; the first that it breaks decides.
func judge(r record, header *headerJudge) (reading.Reading, *reading.PointError) {
	if r.oversize {
		return reading.Reading{}, &reading.PointError{Rule: RuleRecordSize}
	}
	failed := checkEnvelope(r.point)
	if failed == nil {
		failed = header.check(r)
	}
	if failed == nil {
		failed = checkBody(r.point)
	}
	// The bad number's own pointer may hold names that no schema names. But null
	// stands in its place, which no served schema allows: either that has failed,
	// and its pointer is one of known names, or something before it has.
	if r.number != nil && (failed == nil || failed.Pointer == *r.number) {
		failed = &reading.PointError{Pointer: *r.number, Rule: RuleNumber}
	}
	if failed != nil {
		return reading.Reading{}, failed
	}
	accepted, err := reading.FromPoint(r.point)
	errors.As(err, &failed)
	return accepted, failed
}

const maxList = 1000 // elements; what is wrong with each costs some 3 kB before one is reported

func hasLongList(v reading.Value) bool {
	return v.Kind() == reading.Array && len(v.List()) > maxList || slices.ContainsFunc(v.List(), hasLongList)
}

// checkEnvelope: a data point is an object of a header and a body, which are
// objects. (The published data-point schema allows one kind of header only.)
func checkEnvelope(point reading.Value) *reading.PointError {
	if point.Kind() != reading.Object {
		return &reading.PointError{Rule: RuleType}
	}
	for _, name := range []string{"header", "body"} {
		v, ok := point.Get(name)
		if !ok {
			return &reading.PointError{Pointer: "/" + name, Rule: RuleRequired}
		}
		if v.Kind() != reading.Object {
			return &reading.PointError{Pointer: "/" + name, Rule: RuleType}
		}
	}
	if len(point.Names()) > 2 {
		return &reading.PointError{Rule: RuleUnknownMember}
	}
	return nil
}

// headerJudge judges headers: a series' one once.
type headerJudge struct {
	owner  string
	judged bool
	failed *reading.PointError
}

func (h *headerJudge) check(r record) *reading.PointError {
	if !r.shared {
		return checkHeader(r.point, h.owner)
	}
	if !h.judged {
		h.judged, h.failed = true, checkHeader(r.point, h.owner)
	}
	return h.failed
}

const maxID = 256 // code points

func checkHeader(point reading.Value, owner string) *reading.PointError {
	header, _ := point.Get("header")
	if failed := check(headerSchema(header).Compile(), header, "/header"); failed != nil {
		return failed
	}
	if user, ok := header.Get("user_id"); ok && user.Text() != owner {
		return &reading.PointError{Pointer: "/header/user_id", Rule: RuleUser}
	}
	if id, ok := header.Get("id"); ok && !acceptableID(id.Text()) {
		return &reading.PointError{Pointer: "/header/id", Rule: RuleID}
	}
	return nil
}

// headerSchema tells the two headers apart by their members.
func headerSchema(header reading.Value) Schema {
	for _, name := range []string{"uuid", "source_creation_date_time"} {
		if _, ok := header.Get(name); ok {
			return HeaderIEEE
		}
	}
	return HeaderOMH
}

func acceptableID(id string) bool {
	for _, r := range id {
		if unicode.IsControl(r) {
			return false
		}
	}
	return id != "" && utf8.RuneCountInString(id) <= maxID
}

func checkBody(point reading.Value) *reading.PointError {
	member := func(name string) string {
		v, _ := point.At("header", "schema_id", name)
		return v.Text()
	}
	schema := Schema{reading.Type{Namespace: member("namespace"), Name: member("name")}, member("version")}
	if !slices.Contains(Served, schema) {
		return &reading.PointError{Pointer: "/header/schema_id", Rule: RuleUnknownType}
	}
	body, _ := point.Get("body")
	return check(schema.Compile(), body, "/body")
}
