package tcx

import (
	"math"

	"fitvault/shared/recording"
	x "fitvault/shared/strictxml"
)

// model is what the lenient reading knows of TCX (docs/lenient.md).
var model = func() *x.Element {
	double := x.Number(true, math.Inf(-1), math.Inf(1), false)
	byte1 := x.Integer(1, 255)
	cadence := x.Integer(0, 254)
	watts := x.Integer(0, 65535)

	heartRate := func(name string) *x.Element {
		return &x.Element{Name: name, Bare: "Value", Children: []*x.Element{{Name: "Value", Required: true, Value: byte1}}}
	}
	hidden := []*x.Element{{Name: "Speed", Value: double}, {Name: "RunCadence", Value: cadence}, {Name: "Watts", Value: watts}}
	tpx := &x.Element{Name: "TPX", Space: spaceExtension, Attributes: []x.Attribute{{Name: "CadenceSensor", Value: x.Word("", x.ForgiveWord, "Footpod", "Bike")}},
		Children: []*x.Element{
			{Name: "Speed", Value: double}, {Name: "RunCadence", Value: cadence}, {Name: "Watts", Value: watts}, {Name: "Extensions", Kind: x.Extension},
		}}
	count, power := x.Integer(0, 65535), x.Integer(0, 65535)
	lx := &x.Element{Name: "LX", Space: spaceExtension, Children: []*x.Element{
		{Name: "AvgSpeed", Value: double}, {Name: "MaxBikeCadence", Value: cadence}, {Name: "AvgRunCadence", Value: cadence},
		{Name: "MaxRunCadence", Value: cadence}, {Name: "Steps", Value: count}, {Name: "AvgWatts", Value: power}, {Name: "MaxWatts", Value: power},
		{Name: "Extensions", Kind: x.Extension},
	}}
	point := &x.Element{Name: "Trackpoint", Kind: x.Each, Required: true, Many: true, Hidden: hidden, Children: []*x.Element{
		{Name: "Time", Required: true, Value: x.Time},
		{Name: "Position", Children: []*x.Element{
			{Name: "LatitudeDegrees", Required: true, Value: x.Number(true, -90, 90, false)},
			{Name: "LongitudeDegrees", Required: true, Value: x.Number(true, -180, 180, true)},
		}},
		{Name: "AltitudeMeters", Value: double},
		{Name: "DistanceMeters", Value: double},
		heartRate("HeartRateBpm"),
		{Name: "Cadence", Value: cadence},
		{Name: "SensorState", Value: x.Word("", x.ForgiveWord, "Present", "Absent")},
		{Name: "Extensions", Kind: x.Extension, Children: []*x.Element{tpx}, Hidden: hidden},
	}}
	lap := func(name string) *x.Element {
		return &x.Element{Name: name, Kind: x.Container, Required: true, Many: true,
			Attributes: []x.Attribute{{Name: "StartTime", Required: true, Missing: unknownTime, Rule: x.ForgiveLapStart, Value: lapTime}},
			Children: []*x.Element{
				{Name: "TotalTimeSeconds", Required: true, Missing: "0", Value: double},
				{Name: "DistanceMeters", Required: true, Missing: "0", Value: double},
				{Name: "MaximumSpeed", Value: double},
				{Name: "Calories", Required: true, Missing: "0", Value: x.Integer(0, 65535)},
				heartRate("AverageHeartRateBpm"),
				heartRate("MaximumHeartRateBpm"),
				{Name: "Intensity", Required: true, Missing: "Active", Value: x.Word("Active", x.ForgiveWord, "Active", "Resting")},
				{Name: "Cadence", Value: cadence},
				{Name: "TriggerMethod", Required: true, Missing: "Manual",
					Value: x.Word("Manual", x.ForgiveWord, "Manual", "Distance", "Location", "Time", "HeartRate")},
				{Name: "Track", Kind: x.Container, Many: true, NotEmpty: true, Children: []*x.Element{point}},
				{Name: "Notes", Kind: x.Description, Probe: inLap("{here}")},
				{Name: "Extensions", Kind: x.Extension, Children: []*x.Element{lx}},
			}}
	}
	activity := &x.Element{Name: "Activity", Kind: x.Container, Many: true,
		Attributes: []x.Attribute{{Name: "Sport", Required: true, Missing: "Other", Rule: x.ForgiveSport,
			Value: x.Word("Other", x.ForgiveSport, "Running", "Biking", "Other")}},
		Children: []*x.Element{
			{Name: "Id", Required: true, Missing: unknownID, Unique: true, Value: x.Time},
			lap("Lap"),
			{Name: "Notes", Kind: x.Description, Probe: inActivity("{here}")},
			{Name: "Training", Kind: x.Description, Probe: inActivity("{here}")},
			{Name: "Creator", Kind: x.Description, Probe: inActivity("{here}")},
			{Name: "Extensions", Kind: x.Description, Probe: inActivity("{here}")},
		}}
	return &x.Element{Name: "TrainingCenterDatabase", Space: spaceTCX, Kind: x.Container, Children: []*x.Element{
		{Name: "Folders", Kind: x.Untouched},
		{Name: "Activities", Kind: x.Container, Children: []*x.Element{activity}},
		{Name: "Workouts", Kind: x.Untouched},
		{Name: "Courses", Kind: x.Untouched},
		{Name: "Author", Kind: x.Description, Probe: inDatabase("{here}")},
		{Name: "Extensions", Kind: x.Description, Probe: inDatabase("{here}")},
	}}
}()

// unknownTime stands in for a time of a lap that cannot be read; the collector
// leaves it out. unknownID is the start of keys that stand in, of that time too.
const (
	unknownID   = "0001-01-01T00:00:00"
	unknownTime = unknownID + "Z"
)

// lapTime is a time, or, where it is none that can be read, nothing.
func lapTime(text string) (string, string, bool) {
	use, rule, keep := x.Time(text)
	if _, _, ok := recording.Moment(use); !ok {
		return "", rule, false
	}
	return use, rule, keep
}

func inDatabase(inside string) string {
	return `<_:TrainingCenterDatabase xmlns:_="` + spaceTCX + `"{spaces}>` + inside + `</_:TrainingCenterDatabase>`
}

const emptyLap = `<_:TotalTimeSeconds>0</_:TotalTimeSeconds><_:DistanceMeters>0</_:DistanceMeters><_:Calories>0</_:Calories>` +
	`<_:Intensity>Active</_:Intensity><_:TriggerMethod>Manual</_:TriggerMethod>`

func inActivity(inside string) string {
	return inDatabase(`<_:Activities><_:Activity Sport="Other"><_:Id>` + unknownTime + `</_:Id><_:Lap StartTime="` + unknownTime + `">` + emptyLap + `</_:Lap>` +
		inside + `</_:Activity></_:Activities>`)
}

func inLap(inside string) string {
	return inDatabase(`<_:Activities><_:Activity Sport="Other"><_:Id>` + unknownTime + `</_:Id><_:Lap StartTime="` + unknownTime + `">` + emptyLap + inside + `</_:Lap>` +
		`</_:Activity></_:Activities>`)
}
