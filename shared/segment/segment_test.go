package segment_test

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"fitvault/shared/openmhealth/generate"
	"fitvault/shared/reading"
	"fitvault/shared/segment"
)

// Blocks that were written once are read for ever.
func TestGoldenBlocksDecode(t *testing.T) {
	for _, g := range readGolden(t) {
		t.Run(g.Name, func(t *testing.T) {
			got, err := segment.Decode(g.block(t), segment.DefaultLimits)
			require.NoError(t, err)
			requireSame(t, parse(t, string(g.Documents)).List(), got)
		})
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		documents := rapid.SliceOfN(anyValue(3), 0, 40).Draw(t, "documents")
		block, err := segment.Encode(documents)
		require.NoError(t, err)
		got, err := segment.Decode(block, segment.DefaultLimits)
		require.NoError(t, err)
		requireSame(t, documents, got)
	})
}

// anyValue draws documents as they come: mostly of few shapes and repeated text,
// with every form that has a tag of its own and its near misses.
func anyValue(depth int) *rapid.Generator[reading.Value] {
	kinds := []*rapid.Generator[reading.Value]{
		rapid.Just(reading.NullValue()),
		rapid.Map(rapid.Bool(), reading.BoolValue),
		rapid.Map(anyNumber(), func(literal string) reading.Value {
			v, err := reading.NumberValue(literal)
			if err != nil {
				panic(err)
			}
			return v
		}),
		rapid.Map(anyText(), reading.StringValue),
	}
	if depth > 0 {
		kinds = append(kinds,
			rapid.Map(rapid.SliceOfN(rapid.Deferred(func() *rapid.Generator[reading.Value] { return anyValue(depth - 1) }), 0, 5), reading.ArrayValue),
			rapid.Custom(func(t *rapid.T) reading.Value {
				names := rapid.SliceOfNDistinct(rapid.OneOf(rapid.SampledFrom([]string{"header", "body", "value", "unit", ""}), rapid.String()),
					0, 5, rapid.ID[string]).Draw(t, "names")
				values := make([]reading.Value, len(names))
				for i := range names {
					values[i] = anyValue(depth-1).Draw(t, "member")
				}
				return reading.ObjectValue(names, values)
			}))
	}
	return rapid.OneOf(kinds...)
}

func anyNumber() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`-?(0|[1-9][0-9]{0,2})(\.[0-9]{1,2})?`),
		rapid.StringMatching(`-?(0|[1-9][0-9]{0,10})(\.[0-9]{1,11})?`),
		rapid.StringMatching(`-?[1-9]\.[0-9]{1,33}`),
		rapid.StringMatching(`-?[1-9][0-9]{0,33}`),
	)
}

func anyText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"", "omh", "beats/min", "𝄞 note", "\x00", "null"}),
		rapid.String(),
		rapid.StringMatching(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`),
		rapid.StringMatching(`[0-9a-fA-F]{8}-[0-9a-f]{4}-[0-9a-g]{4}-[0-9a-f]{4}-[0-9a-f]{12}`),
		rapid.StringMatching(`20[0-9]{2}-(0[1-9]|1[0-2])-[0-2][0-9]T[01][0-9]:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])`),
		rapid.StringMatching(`[0-9]{4}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{0,11})?(Z|z|[+-][0-3][0-9]:[0-6][0-9])?`),
	)
}

// testdata/decode.py knows the format by its description alone.
func TestAnotherImplementationDecodesTheSame(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		require.Empty(t, os.Getenv("CI"), "python3 is absent")
		t.Skip("python3 is absent: the comparison with testdata/decode.py is left out")
	}
	var batches [][]reading.Value
	for _, g := range readGolden(t) {
		batches = append(batches, parse(t, string(g.Documents)).List())
	}
	draw := rapid.SliceOfN(anyValue(3), 0, 40)
	for seed := range 300 {
		batches = append(batches, draw.Example(seed))
	}
	for seed := range uint64(10) {
		batches = append(batches, generate.Batch(rand.New(rand.NewPCG(seed, 0)), 50, "ada"))
	}
	var in strings.Builder
	for _, batch := range batches {
		block, err := segment.Encode(batch)
		require.NoError(t, err)
		in.WriteString(hex.EncodeToString(block) + "\n")
	}
	command := exec.CommandContext(t.Context(), python, "testdata/decode.py")
	command.Stdin = strings.NewReader(in.String())
	var problems bytes.Buffer
	command.Stderr = &problems
	out, err := command.Output()
	require.NoError(t, err, problems.String())
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	require.Len(t, lines, len(batches))
	for i, line := range lines {
		requireSame(t, batches[i], parse(t, line).List())
	}
}

// What a thousand heart rates take: with random UUIDs, which are 15.3 kB of
// entropy by themselves, and without.
func TestSizes(t *testing.T) {
	id := randomUUIDs()
	for name, test := range map[string]struct {
		points []reading.Value
		most   int
	}{
		"1000 points with random UUIDs": {heartRates(t, 1000, id), 16_800},
		"1000 points of one id":         {heartRates(t, 1000, func() string { return "0b3c9f0e-1a2b-4c3d-8e4f-5a6b7c8d9e0f" }), 750},
		"one point":                     {heartRates(t, 1, id), 250},
		"nothing":                       {nil, 10},
	} {
		t.Run(name, func(t *testing.T) {
			block, err := segment.Encode(test.points)
			require.NoError(t, err)
			require.LessOrEqual(t, len(block), test.most)
			t.Log(len(block), "bytes")
		})
	}
}

func TestEncodeIsDeterministic(t *testing.T) {
	points := heartRates(t, 100, randomUUIDs())
	once, err := segment.Encode(points)
	require.NoError(t, err)
	again, err := segment.Encode(points)
	require.NoError(t, err)
	require.Equal(t, once, again)
}

func TestConcurrentUse(t *testing.T) {
	points := heartRates(t, 50, randomUUIDs())
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 20 {
				block, err := segment.Encode(points)
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := segment.Decode(block, segment.DefaultLimits); err != nil || !same(points, got) {
					t.Error("decoded something else", err)
				}
			}
		})
	}
	group.Wait()
}

func TestEncodeRefuses(t *testing.T) {
	refused, err := reading.NumberValue("1e99")
	require.Error(t, err)
	null := reading.NullValue()
	nest := func(depth int, wrap func(reading.Value) reading.Value) reading.Value {
		v := null
		for range depth {
			v = wrap(v)
		}
		return v
	}
	array := func(v reading.Value) reading.Value { return reading.ArrayValue([]reading.Value{v}) }
	object := func(v reading.Value) reading.Value { return reading.ObjectValue([]string{"a"}, []reading.Value{v}) }
	limits := segment.DefaultLimits
	long := strings.Repeat("a", limits.Text/2+1)

	for name, test := range map[string]struct {
		documents []reading.Value
		want      error
	}{
		"as many documents as may be":  {make([]reading.Value, limits.Documents), nil},
		"one document more":            {make([]reading.Value, limits.Documents+1), segment.ErrLimit},
		"arrays as deep as may be":     {[]reading.Value{nest(limits.Depth, array)}, nil},
		"arrays one deeper":            {[]reading.Value{nest(limits.Depth+1, array)}, segment.ErrLimit},
		"objects as deep as may be":    {[]reading.Value{nest(limits.Depth, object)}, nil},
		"objects one deeper":           {[]reading.Value{nest(limits.Depth+1, object)}, segment.ErrLimit},
		"as many values as may be":     {[]reading.Value{reading.ArrayValue(make([]reading.Value, limits.Values-1))}, nil},
		"one value more":               {[]reading.Value{reading.ArrayValue(make([]reading.Value, limits.Values))}, segment.ErrLimit},
		"one value more, in an object": {[]reading.Value{object(null), object(reading.ArrayValue(make([]reading.Value, limits.Values-3)))}, segment.ErrLimit},
		"one value more, as members":   {[]reading.Value{reading.ArrayValue(make([]reading.Value, limits.Values-4)), reading.ObjectValue([]string{"a", "b", "c"}, make([]reading.Value, 3))}, segment.ErrLimit},
		"as much text as may be":       {[]reading.Value{reading.StringValue(long[1:]), reading.StringValue(long[1:])}, nil},
		"more text":                    {[]reading.Value{reading.StringValue(long), reading.StringValue(long)}, segment.ErrLimit},
		"more text in names":           {[]reading.Value{reading.ObjectValue([]string{long, long + "a"}, make([]reading.Value, 2))}, segment.ErrLimit},
		"text that is not UTF-8":       {[]reading.Value{reading.StringValue("a\xff")}, segment.ErrValue},
		"a name that is not UTF-8":     {[]reading.Value{reading.ObjectValue([]string{"\xff"}, make([]reading.Value, 1))}, segment.ErrValue},
		"a name twice":                 {[]reading.Value{reading.ObjectValue([]string{"a", "b", "a"}, make([]reading.Value, 3))}, segment.ErrValue},
		"a refused number":             {[]reading.Value{refused}, segment.ErrValue},
		"deep inside":                  {[]reading.Value{array(object(array(reading.StringValue("\xff"))))}, segment.ErrValue},
	} {
		t.Run(name, func(t *testing.T) {
			block, err := segment.Encode(test.documents)
			require.Equal(t, test.want, err)
			if err != nil {
				require.Nil(t, block)
				return
			}
			got, err := segment.Decode(block, limits)
			require.NoError(t, err, "what is packed can be unpacked")
			require.True(t, same(test.documents, got))
		})
	}
}

// Every document that intake may let through must pack: 1 MiB of the values that
// grow most when they are kept.
func TestWhatIntakeLetsThroughIsWithinTheLimits(t *testing.T) {
	const body = 1 << 20
	for name, document := range map[string]string{
		"smallest values":  "[" + strings.Repeat("1,", body/2-2) + "1]",
		"longest numbers":  "[" + strings.Repeat("1e33,", body/5-2) + "1]",
		"empty containers": "[" + strings.Repeat("[],", body/3-2) + "1]",
		"deepest":          strings.Repeat("[", 32) + strings.Repeat("]", 32),
	} {
		t.Run(name, func(t *testing.T) {
			documents := parseAll(t, document)
			block, err := segment.Encode(documents)
			require.NoError(t, err)
			got, err := segment.Decode(block, segment.DefaultLimits)
			require.NoError(t, err)
			require.True(t, same(documents, got))
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	points := heartRates(b, 1000, randomUUIDs())
	b.ReportAllocs()
	for b.Loop() {
		_, _ = segment.Encode(points)
	}
}

func BenchmarkDecode(b *testing.B) {
	block, err := segment.Encode(heartRates(b, 1000, randomUUIDs()))
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = segment.Decode(block, segment.DefaultLimits)
	}
}
