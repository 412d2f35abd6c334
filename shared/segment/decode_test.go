package segment_test

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"fitvault/shared/reading"
	"fitvault/shared/segment"
)

// forge makes a block of a body that no encoder wrote. Parts are bytes (int),
// uvarints (uint64), deltas (int64) and text.
func forge(documents int, uuids int, parts ...any) []byte {
	var body []byte
	for _, part := range parts {
		switch p := part.(type) {
		case int:
			body = append(body, byte(p))
		case uint64:
			body = binary.AppendUvarint(body, p)
		case int64:
			body = binary.AppendVarint(body, p) // zigzag
		case string:
			body = append(body, p...)
		}
	}
	return wrap(documents, compress(body), make([]byte, uuids))
}

func wrap(documents int, compressed, rest []byte) []byte {
	block := binary.AppendUvarint([]byte{1}, uint64(documents))
	block = binary.AppendUvarint(block, uint64(len(compressed)))
	return append(append(block, compressed...), rest...)
}

func compress(body []byte) []byte {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, flate.BestCompression)
	_, _ = w.Write(body)
	_ = w.Close()
	return out.Bytes()
}

// The tags' sets, as doc.go gives them.
const (
	null    = 1 << 0
	false_  = 1 << 1
	decimal = 1 << 3
	number  = 1 << 4
	text_   = 1 << 5
	time_   = 1 << 6
	uuid    = uint64(1 << 7)
	array   = uint64(1 << 8)
	object  = uint64(1 << 9)
)

const huge = uint64(math.MaxUint64)

// Each case departs in one thing from a block that is right; the comments name it.
func TestDecodeRefuses(t *testing.T) {
	const at = 1777872300 // 2026-05-04T05:25:00Z
	for name, test := range map[string]struct {
		block []byte
		want  error
	}{
		// Blocks that are right, so that what the others fail for is what they say.
		"right: null":    {forge(1, 0, null), nil},
		"right: decimal": {forge(1, 0, decimal, 1, int64(715)), nil},
		"right: number":  {forge(1, 0, number, 1, 10, "1234567890"), nil},
		"right: text":    {forge(3, 0, text_, 2, 0, 1, 0, 1, 1, "ab"), nil},
		"right: time":    {forge(1, 0, time_, 0, int64(at), int64(0), int64(0)), nil},
		"right: UUID":    {forge(1, 16, uuid, 1), nil},
		"right: array":   {forge(1, 0, array, int64(1), null), nil},
		"right: object":  {forge(1, 0, object, 1, 1, "a", 1, 1, 0, null), nil},
		"right: mixed":   {forge(2, 0, null|text_, 5, 0, 1, 1, "a"), nil},

		"nothing":                          {nil, segment.ErrBlock},
		"version only":                     {[]byte{1}, segment.ErrBlock},
		"another version":                  {append([]byte{2}, forge(1, 0, null)[1:]...), segment.ErrBlock},
		"documents: cut uvarint":           {[]byte{1, 0x80}, segment.ErrBlock},
		"documents: more than the limits":  {wrap(1001, compress(nil), nil), segment.ErrLimit},
		"documents: uvarint too long":      {append([]byte{1}, bytes.Repeat([]byte{0xff}, 11)...), segment.ErrBlock},
		"compressed body: longer than all": {[]byte{1, 1, 2, 0}, segment.ErrBlock},
		"compressed body: absent size":     {[]byte{1, 1}, segment.ErrBlock},
		"compressed body: huge size":       {binary.AppendUvarint([]byte{1, 1}, huge), segment.ErrBlock},
		"compressed body: not DEFLATE":     {wrap(1, []byte{0xff, 0xff}, nil), segment.ErrBlock},
		"compressed body: cut":             {wrap(1, compress([]byte{null})[:2], nil), segment.ErrBlock},
		"compressed body: something after": {wrap(1, append(compress([]byte{null}), 0), nil), segment.ErrBlock},
		"body: empty":                      {forge(1, 0), segment.ErrBlock},
		"body: something after":            {forge(1, 0, null, 0), segment.ErrBlock},
		"body: something of no documents":  {forge(0, 0, null), segment.ErrBlock},
		"UUIDs: something after":           {forge(1, 1, null), segment.ErrBlock},
		"UUIDs: half of one":               {forge(1, 8, uuid, 1), segment.ErrBlock},

		"tags: none":                 {forge(1, 0, 0), segment.ErrBlock},
		"tags: unknown":              {forge(1, 0, uint64(1<<10)), segment.ErrBlock},
		"tags: huge":                 {forge(1, 0, huge), segment.ErrBlock},
		"tags: too few":              {forge(3, 0, null|false_, 0), segment.ErrBlock},
		"tags: one not of the set":   {forge(2, 0, null|false_, 0, 2), segment.ErrBlock},
		"tags: one that is no tag":   {forge(2, 0, null|false_, 0, 200), segment.ErrBlock},
		"decimal: no scale":          {forge(1, 0, decimal), segment.ErrBlock},
		"decimal: scale 10":          {forge(1, 0, decimal, 10, int64(1)), segment.ErrBlock},
		"decimal: none":              {forge(1, 0, decimal, 0), segment.ErrBlock},
		"decimal: cut uvarint":       {forge(1, 0, decimal, 0, 0x80), segment.ErrBlock},
		"decimal: 19 digits":         {forge(1, 0, decimal, 0, int64(1e18)), segment.ErrBlock},
		"decimal: minus 19 digits":   {forge(1, 0, decimal, 0, int64(-1e18)), segment.ErrBlock},
		"decimal: least integer":     {forge(1, 0, decimal, 9, int64(math.MinInt64)), segment.ErrBlock},
		"decimal: wraps around":      {forge(2, 0, decimal, 0, int64(1), int64(math.MaxInt64)), segment.ErrBlock},
		"number: not canonical":      {forge(1, 0, number, 1, 4, "1.50"), segment.ErrBlock},
		"number: with an exponent":   {forge(1, 0, number, 1, 3, "1e9"), segment.ErrBlock},
		"number: not a number":       {forge(1, 0, number, 1, 3, "NaN"), segment.ErrBlock},
		"number: empty":              {forge(1, 0, number, 1, 0), segment.ErrBlock},
		"text: no distinct one":      {forge(1, 0, text_, 0), segment.ErrBlock},
		"text: more than values":     {forge(1, 0, text_, 2, 1, 1, "ab"), segment.ErrBlock},
		"text: one never stands":     {forge(3, 0, text_, 2, 0, 1, 1, 1, 1, "ab"), segment.ErrBlock},
		"text: a third of two":       {forge(3, 0, text_, 2, 0, 0, 0, 1, 1, "ab"), segment.ErrBlock},
		"text: before the first":     {forge(3, 0, text_, 2, 1, 0, 0, 1, 1, "ab"), segment.ErrBlock},
		"text: indices cut":          {forge(3, 0, text_, 2, 0), segment.ErrBlock},
		"text: lengths cut":          {forge(1, 0, text_, 1), segment.ErrBlock},
		"text: longer than the body": {forge(1, 0, text_, 1, 2, "a"), segment.ErrBlock},
		"text: huge length":          {forge(1, 0, text_, 1, huge), segment.ErrBlock},
		"text: lengths overflow":     {forge(2, 0, text_, 2, 3, 3, "abcd"), segment.ErrBlock},
		"text: more than bytes":      {forge(1000, 0, text_, uint64(1000)), segment.ErrBlock},
		"text: not UTF-8":            {forge(1, 0, text_, 1, 1, "\xff"), segment.ErrBlock},
		"text: a letter in halves":   {forge(2, 0, text_, 2, 1, 1, "é"), segment.ErrBlock},

		"time: scale 10":                   {forge(1, 0, time_, 10, int64(at), int64(0), int64(0)), segment.ErrBlock},
		"time: no zone":                    {forge(1, 0, time_, 0, int64(at)), segment.ErrBlock},
		"time: zone below":                 {forge(1, 0, time_, 0, int64(at), int64(-1), int64(0)), segment.ErrBlock},
		"time: zone +24:00":                {forge(1, 0, time_, 0, int64(at), int64(1441+1440), int64(0)), segment.ErrBlock},
		"time: digits -1":                  {forge(1, 0, time_, 0, int64(at), int64(0), int64(-1)), segment.ErrBlock},
		"time: digits 10":                  {forge(1, 0, time_, 0, int64(at), int64(0), int64(10)), segment.ErrBlock},
		"time: fraction beyond its digits": {forge(1, 0, time_, 1, int64(at*10+5), int64(0), int64(0)), segment.ErrBlock},
		"time: year 1699":                  {forge(1, 0, time_, 0, int64(-8520336000), int64(0), int64(0)), segment.ErrBlock},
		"time: year 2250":                  {forge(1, 0, time_, 0, int64(8835955200), int64(0), int64(0)), segment.ErrBlock},
		"time: least integer":              {forge(1, 0, time_, 0, int64(math.MinInt64), int64(0), int64(0)), segment.ErrBlock},
		"UUID: none there":                 {forge(2, 16, uuid, 2), segment.ErrBlock},

		"array: length -1":         {forge(1, 0, array, int64(-1), null), segment.ErrLimit},
		"array: huge length":       {forge(1, 0, array, int64(math.MaxInt64), null), segment.ErrLimit},
		"array: lengths overflow":  {forge(2, 0, array, int64(math.MaxInt64), int64(0), null), segment.ErrLimit},
		"array: no elements":       {forge(1, 0, array, int64(1)), segment.ErrBlock},
		"array: deeper than all":   {forge(1, 0, strings.Repeat("\x80\x02\x02", 65), null), segment.ErrLimit},
		"array: no lengths":        {forge(1, 0, array), segment.ErrBlock},
		"object: nothing":          {forge(1, 0, object), segment.ErrBlock},
		"object: more names":       {forge(1, 0, object, 2, 1, "a"), segment.ErrBlock},
		"object: name twice":       {forge(1, 0, object, 2, 1, 1, "aa", 1, 2, 0, 1, null, null), segment.ErrBlock},
		"object: name not UTF-8":   {forge(1, 0, object, 1, 1, "\xff", 1, 1, 0, null), segment.ErrBlock},
		"object: no shapes":        {forge(1, 0, object, 1, 1, "a", 0, null), segment.ErrBlock},
		"object: more shapes":      {forge(1, 0, object, 1, 1, "a", 2, 1, 0, 0, null), segment.ErrBlock},
		"object: shapes cut":       {forge(1, 0, object, 1, 1, "a", 1), segment.ErrBlock},
		"object: shape too long":   {forge(1, 0, object, 1, 1, "a", 1, 2, 0, 0, null), segment.ErrBlock},
		"object: member twice":     {forge(1, 0, object, 2, 1, 1, "ab", 1, 2, 0, 0, null), segment.ErrBlock},
		"object: unknown name":     {forge(1, 0, object, 1, 1, "a", 1, 1, 1, null), segment.ErrBlock},
		"object: unknown shape":    {forge(2, 0, object, 1, 1, "a", 2, 1, 0, 0, 0, 2, null), segment.ErrBlock},
		"object: indices cut":      {forge(2, 0, object, 1, 1, "a", 2, 1, 0, 0), segment.ErrBlock},
		"object: members cut":      {forge(1, 0, object, 1, 1, "a", 1, 1, 0), segment.ErrBlock},
		"object: huge names":       {forge(1, 0, object, huge), segment.ErrBlock},
		"object: deeper than all":  {forge(1, 0, strings.Repeat("\x80\x04\x01\x01a\x01\x01\x00", 65), null), segment.ErrLimit},
		"inside of mixed: no body": {forge(2, 0, null|text_, 5, 0), segment.ErrBlock},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := segment.Decode(test.block, segment.DefaultLimits)
			require.Equal(t, test.want, err)
			if err != nil {
				require.Nil(t, got)
			}
		})
	}
}

func TestDecodeKeepsToLimits(t *testing.T) {
	documents := parseAll(t, `{"name": ["text", true, 1.5, "2026-05-04T07:25:00Z", 12345678901234567890]}`,
		`{"name": ["0b3c9f0e-1a2b-4c3d-8e4f-5a6b7c8d9e0f"]}`)
	block, err := segment.Encode(documents)
	require.NoError(t, err)
	just := segment.Limits{Documents: 2, Depth: 2, Values: 2 + 2 + 6,
		Text: 2*len("name") + len("texttrue1.5") + 20 + 20 + 36}
	got, err := segment.Decode(block, just)
	require.NoError(t, err)
	requireSame(t, documents, got)
	for text := range just.Text {
		limits := just
		limits.Text = text
		_, err := segment.Decode(block, limits)
		require.Equal(t, segment.ErrLimit, err, "%d bytes of text", text)
	}
	for values := range just.Values {
		limits := just
		limits.Values = values
		_, err := segment.Decode(block, limits)
		require.Equal(t, segment.ErrLimit, err, "%d values", values)
	}
	for name, less := range map[string]func(*segment.Limits){
		"documents": func(l *segment.Limits) { l.Documents-- },
		"depth":     func(l *segment.Limits) { l.Depth-- },
		"all":       func(l *segment.Limits) { *l = segment.Limits{} },
	} {
		t.Run(name, func(t *testing.T) {
			limits := just
			less(&limits)
			_, err := segment.Decode(block, limits)
			require.Equal(t, segment.ErrLimit, err)
		})
	}
}

// Small blocks that claim to be large: what they cost is bounded by the limits,
// and most of them by their own size.
func TestDecodeOfBombsIsCheap(t *testing.T) {
	most := uint64(segment.DefaultLimits.Values)
	for name, test := range map[string]struct {
		block []byte
		cost  uint64 // bytes
	}{
		"1 GB of zeros":              {wrap(1, zeros(1<<30), nil), 150 << 20}, // what the body may take, as its buffer grows
		"more values than may be":    {forge(1, 0, array, int64(most), null), 1 << 20},
		"more text than may be":      {forge(1000, 0, text_, 1, uint64(100_000), strings.Repeat("a", 100_000)), 2 << 20},
		"more names than may be":     {forge(1000, 0, object, 1, uint64(100_000), strings.Repeat("a", 100_000), 1, 1, 0, null), 2 << 20},
		"more times than there are":  {forge(1, 0, array, int64(most-2), time_, 0), 1 << 20},
		"more UUIDs than there are":  {forge(1, 0, array, int64(most-2), uuid, most-2), 8 << 20},
		"more shapes than there are": {forge(1, 0, array, int64(most-2), object, 0, most-2), 1 << 20},
		"arrays in arrays":           {forge(1, 0, array, int64(most/2), array, int64(2)), 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := segment.Decode(test.block, segment.DefaultLimits)
			runtime.ReadMemStats(&after)
			require.Error(t, err)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, test.cost)
		})
	}
}

// zeros compresses n zero bytes, in the time of a few of them.
func zeros(n int) []byte {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, flate.BestSpeed)
	for chunk := make([]byte, 1<<20); n > 0; n -= len(chunk) {
		_, _ = w.Write(chunk)
	}
	_ = w.Close()
	return out.Bytes()
}

// A block is authenticated before it comes here; damaged all the same, it must
// not panic, and what it gives must be what could have been packed.
func TestDamagedBlocks(t *testing.T) {
	block, err := segment.Encode(heartRates(t, 30, randomUUIDs()))
	require.NoError(t, err)
	for n := range len(block) {
		_, err := segment.Decode(block[:n], segment.DefaultLimits)
		require.Error(t, err, "cut to %d bytes", n)
	}
	for _, g := range append(readGolden(t), goldenBlock{Block: fmt.Sprintf("%x", block)}) {
		block := g.block(t)
		for i := range len(block) * 8 {
			flipped := bytes.Clone(block)
			flipped[i/8] ^= 1 << (i % 8)
			requireSound(t, flipped)
		}
	}
}

// requireSound: what decodes can be packed again, and is the same then.
func requireSound(t testing.TB, block []byte) {
	t.Helper()
	got, err := segment.Decode(block, segment.DefaultLimits)
	if err != nil {
		require.True(t, err == segment.ErrBlock || err == segment.ErrLimit, "an error of its own: %v", err)
		return
	}
	again, err := segment.Encode(got)
	require.NoError(t, err)
	back, err := segment.Decode(again, segment.DefaultLimits)
	require.NoError(t, err)
	requireSame(t, got, back)
}

func FuzzDecode(f *testing.F) {
	for _, g := range readGolden(f) {
		f.Add(g.block(f))
	}
	f.Fuzz(func(t *testing.T, block []byte) { requireSound(t, block) })
}

// FuzzDecodeBody fuzzes behind the compression, which bit flips seldom pass.
func FuzzDecodeBody(f *testing.F) {
	f.Add(uint16(1), []byte{null}, []byte(nil))
	f.Fuzz(func(t *testing.T, documents uint16, body, uuids []byte) {
		requireSound(t, wrap(int(documents), compress(body), uuids))
	})
}

func FuzzRoundTrip(f *testing.F) {
	for _, g := range readGolden(f) {
		f.Add([]byte(g.Documents))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := reading.Decode(jsontext.NewDecoder(bytes.NewReader(text)), 32)
		if err != nil {
			return
		}
		documents := []reading.Value{v}
		if list := v.List(); v.Kind() == reading.Array && len(list) <= segment.DefaultLimits.Documents {
			documents = list
		}
		block, err := segment.Encode(documents)
		require.NoError(t, err)
		got, err := segment.Decode(block, segment.DefaultLimits)
		require.NoError(t, err)
		requireSame(t, documents, got)
	})
}
