package attack

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"hash/crc32"
	"strings"

	"fitvault/shared/fault"
)

func gzipOf(content []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(content) // to memory
	_ = w.Close()
	return b.Bytes()
}

// bomb is gzip (RFC 1952) of head, then n MiB of spaces, in one member: about 1 KB
// for each MiB. The piece that stands for one MiB after another is made once.
func bomb(head string, n int) []byte {
	spaces := bytes.Repeat([]byte(" "), 1<<20)
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression) // a level that exists
	write := func(content []byte) []byte {
		from := b.Len()
		_, _ = w.Write(content)
		_ = w.Flush()
		return bytes.Clone(b.Bytes()[from:])
	}
	first := append(write([]byte(head)), write(spaces)...)
	again := write(spaces) // its references go back into spaces, as they will whatever is repeated
	b.Reset()
	_ = w.Close()
	last := bytes.Clone(b.Bytes())

	sum := crc32.ChecksumIEEE([]byte(head))
	for range n {
		sum = crc32.Update(sum, crc32.IEEETable, spaces)
	}
	out := append([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}, first...)
	for range n - 1 {
		out = append(out, again...)
	}
	out = append(out, last...)
	out = binary.LittleEndian.AppendUint32(out, sum)
	return binary.LittleEndian.AppendUint32(out, uint32(len(head)+n<<20))
}

// gzipAttacks is attacks with compressed bodies.
func gzipAttacks() []attack {
	document := string(ride(day(3), "Running", ""))
	good := heartRate(newUUID(3, 4), day(4), "71", "beats/min")
	bombs := func(head string) []byte { return bomb(head, 1024) }
	valid := gzipOf([]byte(document))
	points := `<gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1" creator="a"><trk><trkseg>` + strings.Repeat(`<trkpt lat="1" lon="1"/>`, 1_000_001) + `</trkseg></trk></gpx>`
	return []attack{
		{"gzip, as it should be", accepted, post(recordings, mediaTCX+"+gzip", valid)},
		{"gzip, JSON as it should be", accepted, post(readings, mediaJSON+"+gzip", gzipOf(batch(good)))},
		{"gzip, a bomb of 1 GiB of XML", fault.TooLarge, post(recordings, mediaTCX+"+gzip", bombs(document))},
		{"gzip, a bomb of 1 GiB within a tag", fault.TooLarge, post(recordings, mediaTCX+"+gzip", bombs("<TrainingCenterDatabase "))},
		{"gzip, a bomb of 1 GiB of JSON", fault.TooLarge, post(readings, mediaJSON+"+gzip", bombs("["))},
		{"gzip, a bomb in five hundred members", fault.BadRequest, post(readings, mediaJSON+"+gzip", append(gzipOf([]byte("[")), bytes.Repeat(gzipOf(bytes.Repeat([]byte(" "), 1<<20)), 500)...))},
		{"gzip, 32 MiB", accepted, post(recordings, mediaTCX+"+gzip", gzipOf([]byte(filled(document, 32<<20))))},
		{"gzip, 32 MiB and one byte", fault.TooLarge, post(recordings, mediaTCX+"+gzip", gzipOf([]byte(filled(document, 32<<20+1))))},
		{"gzip, 1 MiB and one byte of JSON", fault.TooLarge, post(readings, mediaJSON+"+gzip", gzipOf([]byte("["+good+strings.Repeat(" ", 1<<20-len(good)-1)+"]")))},
		{"gzip, 1,000,001 trackpoints", fault.TooLarge, post(recordings, mediaGPX+"+gzip", gzipOf([]byte(points)))},
		{"gzip, of gzip", fault.BadRequest, post(recordings, mediaTCX+"+gzip", gzipOf(valid))},
		{"gzip, cut off", fault.BadRequest, post(recordings, mediaTCX+"+gzip", valid[:len(valid)-9])},
		{"gzip, a wrong checksum", fault.BadRequest, post(recordings, mediaTCX+"+gzip", append(bytes.Clone(valid[:len(valid)-8]), 0, 0, 0, 0, 0, 0, 0, 0))},
		{"gzip, something behind", fault.BadRequest, post(recordings, mediaTCX+"+gzip", append(bytes.Clone(valid), marker...))},
		{"gzip, that is none", fault.BadRequest, post(recordings, mediaTCX+"+gzip", []byte(document))},
		{"gzip, a name in its header", fault.BadRequest, post(recordings, mediaTCX+"+gzip", append([]byte{0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 255}, strings.Repeat(marker, 100_000)...))},
	}
}
