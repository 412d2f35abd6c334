package tcx_test

import (
	"bytes"
	"io"

	"fitvault/shared/recording"
	"fitvault/shared/strictxml"
	"fitvault/shared/tcx"
)

// parsed is a document's summary with all of its trackpoints.
type parsed struct {
	recording.Summary
	Trackpoints []recording.Trackpoint
}

func opener(document []byte) strictxml.Open {
	return func() io.Reader { return bytes.NewReader(document) }
}

func parse(document string) (parsed, error) {
	return parseWithin([]byte(document), recording.DefaultLimits)
}

func parseWithin(document []byte, limits recording.Limits) (parsed, error) {
	return parseAs(document, limits, false)
}

func parseAs(document []byte, limits recording.Limits, lenient bool) (parsed, error) {
	summary, err := tcx.Format.Parse(opener(document), limits, lenient)
	if err != nil {
		return parsed{}, err
	}
	points, _, err := tcx.Format.Read(opener(document), limits, len(summary.Forgiven) > 0, recording.Page{Size: limits.Trackpoints})
	return parsed{summary, points}, err
}
