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

// forge makes a block of parts that no encoder wrote: bytes (int), uvarints
// (uint64), zigzags (int64), text with its length before it (sized) and without.
func forge(documents int, text, columns []any) []byte {
	return wrap(documents, compress(join(text)), join(columns))
}

type sized string

func join(parts []any) (b []byte) {
	for _, part := range parts {
		switch p := part.(type) {
		case int:
			b = append(b, byte(p))
		case uint64:
			b = binary.AppendUvarint(b, p)
		case int64:
			b = binary.AppendVarint(b, p) // zigzag
		case sized:
			b = append(binary.AppendUvarint(b, uint64(len(p))), p...)
		case string:
			b = append(b, p...)
		}
	}
	return b
}

func wrap(documents int, compressed, rest []byte) []byte {
	block := binary.AppendUvarint([]byte{2}, uint64(documents))
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

const huge = uint64(math.MaxUint64)

// Each case departs in one thing from a block that is right; the comments name it.
func TestDecodeRefuses(t *testing.T) {
	const at = 1777872300 // 2026-05-04T05:25:00Z
	type parts = []any
	num, txt := sized(`"#0"`), sized(`"#1"`) // shapes of one hole
	const (
		same, texts, decimals, times, uuids = 0, 1, 2, 3, 4
		all                                 = 3 // ints: all the same
	)
	one := func(shape sized, columns ...any) []byte { return forge(1, parts{1, shape}, columns) }
	two := func(shape sized, columns ...any) []byte { return forge(2, parts{1, shape}, columns) }
	deep := func(n int) sized { return sized(strings.Repeat("[", n) + strings.Repeat("]", n)) }

	for name, test := range map[string]struct {
		block []byte
		want  error
	}{
		// Blocks that are right, so that what the others fail for is what they say.
		"right: nothing":   {forge(0, nil, nil), nil},
		"right: no hole":   {one(`{"a":[1,"##",null]}`), nil},
		"right: same":      {forge(2, parts{1, txt, sized("a")}, parts{same}), nil},
		"right: texts":     {forge(2, parts{1, txt, "ab"}, parts{texts, all, int64(1)}), nil},
		"right: number":    {forge(1, parts{1, num, "1234567890"}, parts{texts, all, int64(10)}), nil},
		"right: decimals":  {one(num, decimals, 1, all, int64(715)), nil},
		"right: times":     {one(txt, times, 0, all, int64(at), all, int64(0), all, int64(0)), nil},
		"right: UUIDs":     {one(txt, uuids, strings.Repeat("u", 16)), nil},
		"right: order 0":   {two(num, decimals, 0, 0, 0b000001_10, 0b0_1110_1_00), nil},                                       // k 1: v 2 is 1, v 7 is -4
		"right: order 1":   {two(num, decimals, 0, 1, int64(7), 0b000000_10), nil},                                            // k 0: v 1 → -1
		"right: escape":    {two(num, decimals, 0, 1, int64(7), "\x03\xff\xff\xfc", "\x00\x00\x00\x00\x00\x00\x00\x04"), nil}, // k 0, 24 ones, v 1
		"right: all zeros": {two(num, decimals, 0, 1, int64(7), 0b111111_00), nil},
		"right: tables":    {forge(3, parts{2, 0, 1, 1, 1, 0, 1, sized("null"), sized("[]")}, nil), nil},
		"right: deep":      {one(deep(64)), nil},

		"nothing":                          {nil, segment.ErrBlock},
		"version only":                     {[]byte{2}, segment.ErrBlock},
		"another version":                  {append([]byte{1}, one("null")[1:]...), segment.ErrBlock},
		"documents: cut uvarint":           {[]byte{2, 0x80}, segment.ErrBlock},
		"documents: more than the limits":  {wrap(1001, compress(nil), nil), segment.ErrLimit},
		"documents: uvarint too long":      {append([]byte{2}, bytes.Repeat([]byte{0xff}, 11)...), segment.ErrBlock},
		"compressed text: longer than all": {[]byte{2, 1, 2, 0}, segment.ErrBlock},
		"compressed text: absent size":     {[]byte{2, 1}, segment.ErrBlock},
		"compressed text: huge size":       {binary.AppendUvarint([]byte{2, 1}, huge), segment.ErrBlock},
		"compressed text: not DEFLATE":     {wrap(1, []byte{0xff, 0xff}, nil), segment.ErrBlock},
		"compressed text: cut":             {wrap(1, compress([]byte{1, 4, 'n', 'u', 'l', 'l'})[:4], nil), segment.ErrBlock},
		"compressed text: something after": {wrap(1, append(compress([]byte{1, 4, 'n', 'u', 'l', 'l'}), 0), nil), segment.ErrBlock},
		"text: empty":                      {forge(1, nil, nil), segment.ErrBlock},
		"text: something after":            {forge(1, parts{1, sized("null"), 0}, nil), segment.ErrBlock},
		"text: something of no documents":  {forge(0, parts{1, sized("null")}, nil), segment.ErrBlock},
		"columns: something after":         {one("null", 0), segment.ErrBlock},
		"columns: none":                    {one(num), segment.ErrBlock},

		"tables: none":               {forge(1, parts{0}, nil), segment.ErrBlock},
		"tables: more than there is": {forge(1, parts{2, 0, 1, sized("null"), sized("[]")}, nil), segment.ErrBlock},
		"tables: huge":               {forge(1, parts{huge}, nil), segment.ErrBlock},
		"tables: shapes cut":         {forge(2, parts{2, 0, 1, 1, 1, sized("null")}, nil), segment.ErrBlock},
		"tables: one without any":    {forge(2, parts{2, 0, 2, sized("null"), sized("[]")}, nil), segment.ErrBlock},
		"runs: cut":                  {forge(2, parts{2, 0, 1}, nil), segment.ErrBlock},
		"runs: cut in one":           {forge(2, parts{2, 0}, nil), segment.ErrBlock},
		"runs: of none":              {forge(2, parts{2, 0, 0, 0, 1, 1, 1, sized("null"), sized("[]")}, nil), segment.ErrBlock},
		"runs: of more":              {forge(2, parts{2, 0, 1, 1, 2, sized("null"), sized("[]")}, nil), segment.ErrBlock},
		"runs: of an unknown table":  {forge(2, parts{2, 0, 1, 2, 1, sized("null"), sized("[]")}, nil), segment.ErrBlock},

		"shape: longer than the text": {forge(1, parts{1, 5, "null"}, nil), segment.ErrBlock},
		"shape: huge":                 {forge(1, parts{1, huge}, nil), segment.ErrBlock},
		"shape: empty":                {one(""), segment.ErrBlock},
		"shape: not JSON":             {one("nul"), segment.ErrBlock},
		"shape: an object cut":        {one(`{"a"`), segment.ErrBlock},
		"shape: an array cut":         {one(`[1`), segment.ErrBlock},
		"shape: a name twice":         {one(`{"a":1,"a":1}`), segment.ErrBlock},
		"shape: not UTF-8":            {one("\"\xff\""), segment.ErrBlock},
		"shape: two values":           {one("null null"), segment.ErrBlock},
		"shape: number not canonical": {one("1.0"), segment.ErrBlock},
		"shape: number too long":      {one("1e99"), segment.ErrBlock},
		"shape: an unknown hole":      {one(`"#2"`, decimals, 0, all, int64(1)), segment.ErrBlock},
		"shape: # alone":              {one(`"#"`), segment.ErrBlock},
		"shape: deeper than all":      {one(deep(65)), segment.ErrLimit},

		"column: no class":          {one(num, 5), segment.ErrBlock},
		"same: none":                {one(txt, same), segment.ErrBlock},
		"same: longer than all":     {forge(1, parts{1, txt, 2, "a"}, parts{same}), segment.ErrBlock},
		"same: not UTF-8":           {forge(1, parts{1, txt, sized("\xff")}, parts{same}), segment.ErrBlock},
		"same: not a number":        {forge(1, parts{1, num, sized("a")}, parts{same}), segment.ErrBlock},
		"texts: no lengths":         {one(txt, texts), segment.ErrBlock},
		"texts: negative length":    {forge(1, parts{1, txt, "a"}, parts{texts, all, int64(-1)}), segment.ErrBlock},
		"texts: huge length":        {forge(1, parts{1, txt, "a"}, parts{texts, all, int64(math.MaxInt64)}), segment.ErrBlock},
		"texts: longer than all":    {forge(2, parts{1, txt, "abc"}, parts{texts, all, int64(2)}), segment.ErrBlock},
		"texts: not UTF-8":          {forge(1, parts{1, txt, "\xff"}, parts{texts, all, int64(1)}), segment.ErrBlock},
		"texts: a letter in halves": {forge(2, parts{1, txt, "é"}, parts{texts, all, int64(1)}), segment.ErrBlock},
		"number: not canonical":     {forge(1, parts{1, num, "1.50"}, parts{texts, all, int64(4)}), segment.ErrBlock},
		"number: with an exponent":  {forge(1, parts{1, num, "1e9"}, parts{texts, all, int64(3)}), segment.ErrBlock},
		"number: not a number":      {forge(1, parts{1, num, "NaN"}, parts{texts, all, int64(3)}), segment.ErrBlock},
		"number: empty":             {forge(1, parts{1, num}, parts{texts, all, int64(0)}), segment.ErrBlock},
		"decimals: in a text":       {one(txt, decimals, 0, all, int64(1)), segment.ErrBlock},
		"decimals: no scale":        {one(num, decimals), segment.ErrBlock},
		"decimals: scale 10":        {one(num, decimals, 10, all, int64(1)), segment.ErrBlock},
		"decimals: 19 digits":       {one(num, decimals, 0, all, int64(1e18)), segment.ErrBlock},
		"decimals: minus 19":        {one(num, decimals, 0, all, int64(-1e18)), segment.ErrBlock},
		"decimals: least integer":   {one(num, decimals, 9, all, int64(math.MinInt64)), segment.ErrBlock},
		"decimals: wrap around":     {two(num, decimals, 0, 1, int64(1), "\x03\xff\xff\xff", "\xff\xff\xff\xff\xff\xff\xff\xf8"), segment.ErrBlock},

		"ints: none":             {one(num, decimals, 0), segment.ErrBlock},
		"ints: order 4":          {one(num, decimals, 0, 4, int64(1)), segment.ErrBlock},
		"ints: no value":         {one(num, decimals, 0, all), segment.ErrBlock},
		"ints: value cut":        {one(num, decimals, 0, all, 0x80), segment.ErrBlock},
		"ints: order of more":    {one(num, decimals, 0, 2, int64(1), int64(1)), segment.ErrBlock},
		"ints: first absent":     {two(num, decimals, 0, 1), segment.ErrBlock},
		"ints: no bits":          {two(num, decimals, 0, 1, int64(7)), segment.ErrBlock},
		"ints: cut in the ones":  {two(num, decimals, 0, 1, int64(7), 0b000000_11), segment.ErrBlock},
		"ints: cut behind ones":  {two(num, decimals, 0, 1, int64(7), 0b111110_10), segment.ErrBlock},
		"ints: cut in an escape": {two(num, decimals, 0, 1, int64(7), "\x03\xff\xff\xfc\x00"), segment.ErrBlock},
		"ints: more bits":        {two(num, decimals, 0, 1, int64(7), 0b000000_01), segment.ErrBlock},

		"times: in a number":                {one(num, times, 0, all, int64(at), all, int64(0), all, int64(0)), segment.ErrBlock},
		"times: scale 10":                   {one(txt, times, 10, all, int64(at), all, int64(0), all, int64(0)), segment.ErrBlock},
		"times: no scale":                   {one(txt, times), segment.ErrBlock},
		"times: no zone":                    {one(txt, times, 0, all, int64(at)), segment.ErrBlock},
		"times: zone below":                 {one(txt, times, 0, all, int64(at), all, int64(-1), all, int64(0)), segment.ErrBlock},
		"times: zone +24:00":                {one(txt, times, 0, all, int64(at), all, int64(1441+1440), all, int64(0)), segment.ErrBlock},
		"times: digits -1":                  {one(txt, times, 0, all, int64(at), all, int64(0), all, int64(-1)), segment.ErrBlock},
		"times: digits 10":                  {one(txt, times, 0, all, int64(at), all, int64(0), all, int64(10)), segment.ErrBlock},
		"times: fraction beyond its digits": {one(txt, times, 1, all, int64(at*10+5), all, int64(0), all, int64(0)), segment.ErrBlock},
		"times: year 1699":                  {one(txt, times, 0, all, int64(-8520336000), all, int64(0), all, int64(0)), segment.ErrBlock},
		"times: year 2250":                  {one(txt, times, 0, all, int64(8835955200), all, int64(0), all, int64(0)), segment.ErrBlock},
		"times: least integer":              {one(txt, times, 0, all, int64(math.MinInt64), all, int64(0), all, int64(0)), segment.ErrBlock},
		"UUIDs: in a number":                {one(num, uuids, strings.Repeat("u", 16)), segment.ErrBlock},
		"UUIDs: half of one":                {two(txt, uuids, strings.Repeat("u", 24)), segment.ErrBlock},
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
	for name, test := range map[string]struct {
		block []byte
		cost  uint64 // bytes
	}{
		"1 GB of zeros":              {wrap(1, zeros(1<<30), nil), 150 << 20}, // what the text may take, as its buffer grows
		"more values than may be":    {forge(1000, []any{1, sized("[" + strings.Repeat("1,", 1000) + "1]")}, nil), 1 << 20},
		"more text than may be":      {forge(1000, []any{1, sized(`"#1"`), sized(strings.Repeat("a", 100_000))}, []any{0}), 2 << 20},
		"more text in a shape":       {forge(1000, []any{1, sized(`["` + strings.Repeat("a", 100_000) + `"]`)}, nil), 2 << 20},
		"more names than may be":     {forge(1000, []any{1, sized(`{"` + strings.Repeat("a", 100_000) + `":1}`)}, nil), 2 << 20},
		"more times than there are":  {forge(1000, []any{1, sized(`"#1"`)}, []any{3, 0}), 1 << 20},
		"more UUIDs than there are":  {forge(1000, []any{1, sized(`"#1"`)}, []any{4}), 1 << 20},
		"more shapes than there are": {forge(1000, []any{uint64(1000), strings.Repeat("\x00\x01", 1000)}, nil), 1 << 20},
		"more holes than there are":  {forge(1000, []any{1, sized("[" + strings.Repeat(`"#0",`, 100) + `"#0"]`)}, nil), 16 << 20},
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
	f.Add(uint16(1), []byte("\x01\x04null"), []byte(nil))
	f.Fuzz(func(t *testing.T, documents uint16, text, columns []byte) {
		requireSound(t, wrap(int(documents), compress(text), columns))
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
