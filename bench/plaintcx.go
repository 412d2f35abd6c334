package bench

// The structs that encoding/xml decodes a TCX document into: all that the
// document has, times and numbers as Go reads them most cheaply, as text.
type (
	plainTCX struct {
		Activities []struct {
			Sport string     `xml:"Sport,attr"`
			ID    string     `xml:"Id"`
			Laps  []plainLap `xml:"Lap"`
			Maker struct {
				Name      string       `xml:"Name"`
				UnitID    string       `xml:"UnitId"`
				ProductID string       `xml:"ProductID"`
				Version   plainVersion `xml:"Version"`
			} `xml:"Creator"`
		} `xml:"Activities>Activity"`
		Author struct {
			Name       string       `xml:"Name"`
			Version    plainVersion `xml:"Build>Version"`
			Language   string       `xml:"LangID"`
			PartNumber string       `xml:"PartNumber"`
		} `xml:"Author"`
	}
	plainVersion struct {
		VersionMajor string `xml:"VersionMajor"`
		VersionMinor string `xml:"VersionMinor"`
		BuildMajor   string `xml:"BuildMajor"`
		BuildMinor   string `xml:"BuildMinor"`
	}
	plainLap struct {
		StartTime        string            `xml:"StartTime,attr"`
		TotalTimeSeconds string            `xml:"TotalTimeSeconds"`
		DistanceMeters   string            `xml:"DistanceMeters"`
		MaximumSpeed     string            `xml:"MaximumSpeed"`
		Calories         string            `xml:"Calories"`
		AverageHeartRate string            `xml:"AverageHeartRateBpm>Value"`
		MaximumHeartRate string            `xml:"MaximumHeartRateBpm>Value"`
		Intensity        string            `xml:"Intensity"`
		TriggerMethod    string            `xml:"TriggerMethod"`
		Trackpoints      []plainTrackpoint `xml:"Track>Trackpoint"`
		AvgSpeed         string            `xml:"Extensions>LX>AvgSpeed"`
		AvgRunCadence    string            `xml:"Extensions>LX>AvgRunCadence"`
		MaxRunCadence    string            `xml:"Extensions>LX>MaxRunCadence"`
	}
	plainTrackpoint struct {
		Time       string `xml:"Time"`
		Latitude   string `xml:"Position>LatitudeDegrees"`
		Longitude  string `xml:"Position>LongitudeDegrees"`
		Altitude   string `xml:"AltitudeMeters"`
		Distance   string `xml:"DistanceMeters"`
		HeartRate  string `xml:"HeartRateBpm>Value"`
		Speed      string `xml:"Extensions>TPX>Speed"`
		RunCadence string `xml:"Extensions>TPX>RunCadence"`
	}
)
