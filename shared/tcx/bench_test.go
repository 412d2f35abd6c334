package tcx_test

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/recording"
	"fitvault/shared/tcx"
)

func document(b *testing.B) []byte {
	d, err := os.ReadFile(filepath.Join(folders[0], "saf-2.tcx"))
	if err != nil {
		b.Skip("shared data absent")
	}
	return d
}

func BenchmarkParse(b *testing.B) {
	d := document(b)
	b.SetBytes(int64(len(d)))
	for b.Loop() {
		_, err := tcx.Format.Parse(opener(d), recording.DefaultLimits, false)
		require.NoError(b, err)
	}
}

func BenchmarkRead(b *testing.B) {
	d := document(b)
	b.SetBytes(int64(len(d)))
	for b.Loop() {
		_, _, err := tcx.Format.Read(opener(d), recording.DefaultLimits, false, recording.Page{From: 2000, Size: 1000})
		require.NoError(b, err)
	}
}

// What people would use instead.
func BenchmarkEncodingXML(b *testing.B) {
	d := document(b)
	b.SetBytes(int64(len(d)))
	for b.Loop() {
		var database struct {
			Activities []struct {
				Sport string `xml:"Sport,attr"`
				Laps  []struct {
					Points []struct {
						Time      string
						Latitude  float64 `xml:"Position>LatitudeDegrees"`
						Longitude float64 `xml:"Position>LongitudeDegrees"`
						Altitude  float64 `xml:"AltitudeMeters"`
						Distance  float64 `xml:"DistanceMeters"`
						HeartRate int     `xml:"HeartRateBpm>Value"`
						Cadence   int
						Speed     float64 `xml:"Extensions>TPX>Speed"`
					} `xml:"Track>Trackpoint"`
				} `xml:"Lap"`
			} `xml:"Activities>Activity"`
		}
		require.NoError(b, xml.Unmarshal(d, &database))
	}
}
